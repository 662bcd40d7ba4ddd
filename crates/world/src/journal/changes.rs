//! What becomes another of a link, in the binary form.

use netarium_base::Duration;

use super::parts::{Cursor, Fault, number, option, present};
use crate::edit::LinkChange;
use crate::link::{Burst, Jitter, Nth, Reorder, Shape};

pub(super) fn write_change(out: &mut Vec<u8>, change: &LinkChange) {
    let mut small = |kind: u8, n: u64| {
        out.push(kind);
        number(out, n);
    };
    match change {
        LinkChange::Loss(p) => small(0, u64::from(*p)),
        LinkChange::Delay(d) => small(1, d.as_nanos()),
        LinkChange::Queue(n) => small(3, u64::from(*n)),
        LinkChange::Duplicate(p) => small(9, u64::from(*p)),
        LinkChange::Corrupt(p) => small(11, u64::from(*p)),
        other => write_larger(out, other),
    }
}

fn write_larger(out: &mut Vec<u8>, change: &LinkChange) {
    match change {
        LinkChange::Loss(_)
        | LinkChange::Delay(_)
        | LinkChange::Queue(_)
        | LinkChange::Duplicate(_)
        | LinkChange::Corrupt(_) => unreachable!("a single number is written by the caller"),
        LinkChange::Rate(rate) => {
            out.push(2);
            present(out, *rate, number);
        }
        LinkChange::QueueBytes(n) => {
            out.push(4);
            present(out, *n, number);
        }
        LinkChange::Jitter(jitter) => {
            out.push(5);
            present(out, *jitter, |out, j: Jitter| {
                number(out, j.spread.as_nanos());
                out.push(u8::from(j.shape == Shape::Normal));
                out.push(u8::from(j.reorder));
            });
        }
        LinkChange::Burst(burst) => {
            out.push(6);
            present(out, *burst, |out, b: Burst| {
                for p in [b.enter, b.leave, b.good, b.bad] {
                    number(out, u64::from(p));
                }
            });
        }
        LinkChange::Nth(nth) => {
            out.push(7);
            number(out, nth.list.len() as u64);
            nth.list.iter().for_each(|&n| number(out, n));
            present(out, nth.every, number);
        }
        LinkChange::Matching(matching) => {
            out.push(8);
            let text = matching.as_ref().map(ToString::to_string);
            option(out, text.as_deref().map(str::as_bytes));
        }
        LinkChange::Reorder(reorder) => {
            out.push(10);
            present(out, *reorder, |out, r: Reorder| {
                number(out, u64::from(r.probability));
                number(out, r.late.as_nanos());
                number(out, u64::from(r.gap));
            });
        }
        LinkChange::Mtu(mtu) => {
            out.push(12);
            present(out, mtu.map(u64::from), number);
        }
    }
}

/// A value that may be absent.
fn maybe<'a, T>(
    c: &mut Cursor<'a>,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    if c.flag()? { read(c).map(Some) } else { Ok(None) }
}

pub(super) fn read_change(c: &mut Cursor<'_>) -> Result<LinkChange, Fault> {
    Ok(match c.byte()? {
        0 => LinkChange::Loss(c.small()?),
        1 => LinkChange::Delay(Duration::from_nanos(c.number()?)),
        2 => LinkChange::Rate(maybe(c, Cursor::number)?),
        3 => LinkChange::Queue(c.small()?),
        4 => LinkChange::QueueBytes(maybe(c, Cursor::number)?),
        5 => LinkChange::Jitter(maybe(c, |c| {
            let spread = Duration::from_nanos(c.number()?);
            let shape = if c.flag()? { Shape::Normal } else { Shape::Uniform };
            Ok(Jitter { spread, shape, reorder: c.flag()? })
        })?),
        6 => LinkChange::Burst(maybe(c, |c| {
            let (enter, leave) = (c.small()?, c.small()?);
            Ok(Burst { enter, leave, good: c.small()?, bad: c.small()? })
        })?),
        7 => {
            let count = c.number()?;
            if count > c.0.len() as u64 {
                return Err(Fault::Bad("more frames are named than there are bytes"));
            }
            let list = (0..count).map(|_| c.number()).collect::<Result<_, _>>()?;
            LinkChange::Nth(Nth { list, every: maybe(c, Cursor::number)? })
        }
        8 => {
            let text = maybe(c, Cursor::text)?;
            let read = text.map(|t| t.parse()).transpose();
            LinkChange::Matching(read.map_err(|_: String| Fault::Bad("no packet is matched so"))?)
        }
        9 => LinkChange::Duplicate(c.small()?),
        10 => LinkChange::Reorder(maybe(c, |c| {
            let (probability, late) = (c.small()?, Duration::from_nanos(c.number()?));
            Ok(Reorder { probability, late, gap: c.small()? })
        })?),
        11 => LinkChange::Corrupt(c.small()?),
        12 => LinkChange::Mtu(maybe(c, Cursor::small)?),
        kind => return Err(Fault::Unknown("a change of a link", kind)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings that exist already must still be read as what they were.
    #[test]
    fn the_bytes_of_changes_are_pinned() {
        let matching = LinkChange::Matching(Some("tcp flags syn".parse().unwrap()));
        for (change, expected) in [
            (LinkChange::Loss(300), &[0, 0xac, 2][..]),
            (LinkChange::Delay(Duration::from_nanos(5)), &[1, 5]),
            (LinkChange::Rate(Some(9)), &[2, 1, 9]),
            (LinkChange::Rate(None), &[2, 0]),
            (LinkChange::Queue(7), &[3, 7]),
            (LinkChange::QueueBytes(Some(1)), &[4, 1, 1]),
            (LinkChange::Jitter(Some("9ns normal reorder".parse().unwrap())), &[5, 1, 9, 1, 1]),
            (
                LinkChange::Burst(Some(Burst { enter: 1, leave: 2, good: 3, bad: 4 })),
                &[6, 1, 1, 2, 3, 4],
            ),
            (LinkChange::Nth("2,5,every 8".parse().unwrap()), &[7, 2, 2, 5, 1, 8]),
            (matching, b"\x08\x01\x0dtcp flags syn"),
            (LinkChange::Duplicate(1), &[9, 1]),
            (
                LinkChange::Reorder(Some(Reorder {
                    probability: 1,
                    late: Duration::from_nanos(2),
                    gap: 3,
                })),
                &[10, 1, 1, 2, 3],
            ),
            (LinkChange::Corrupt(1), &[11, 1]),
            (LinkChange::Mtu(Some(68)), &[12, 1, 68]),
        ] {
            let mut out = Vec::new();
            write_change(&mut out, &change);
            assert_eq!(out, expected, "{change}");
            assert_eq!(read_change(&mut Cursor(&out)).ok(), Some(change));
        }
    }
}
