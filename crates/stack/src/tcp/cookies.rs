//! SYN cookies (RFC 4987 §3.6): a listener that keeps nothing about a half-open connection puts what
//! it must know into the numbers of its SYN+ACK, and reads it back from the ACK that answers.
//!
//! The initial sequence number carries a counter of minutes and one of four segment sizes, under a
//! keyed hash of the end points; the low six bits of the timestamp carry the window shift, SACK and
//! ECN, as on Linux. Without timestamps a connection from a cookie has none of these. The key comes
//! from the world's seed and the host's name.

use netarium_base::{Instant, Luck};

use super::demux::Ends;
use super::options::SegmentOptions;
use super::seq::Seq;

/// The segment sizes that a cookie can say: the largest one not above the peer's is taken.
const SIZES: [u16; 4] = [536, 1300, 1440, 1460];
/// A cookie is good for so many minutes.
const LIFETIME: u32 = 2;
/// How long after the last cookie was sent ACKs are looked at for cookies.
pub(crate) const LISTEN_FOR: netarium_base::Duration = netarium_base::Duration::from_secs(120);

const COOKIE_BITS: u32 = 24;
const COOKIE_MASK: u32 = (1 << COOKIE_BITS) - 1;
const STAMP_BITS: u32 = 6;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const STAMP_SACK: u32 = 1 << 4;
const STAMP_ECN: u32 = 1 << 5;
const STAMP_NO_SCALE: u32 = 0xf;

fn minutes(now: Instant) -> u32 {
    (now.as_millis() / 60_000) as u32
}

fn hash(luck: &Luck, ends: &Ends, count: u32, round: u8) -> u32 {
    let mut key = ends.key();
    key.extend(count.to_be_bytes());
    key.push(round);
    luck.hash(&key) as u32
}

/// The initial sequence number of a SYN+ACK, and the segment size that it stands for.
pub(crate) fn encode(luck: &Luck, now: Instant, ends: &Ends, irs: Seq, mss: u16) -> (Seq, u16) {
    let index = SIZES.iter().rposition(|s| *s <= mss).unwrap_or(0);
    let count = minutes(now);
    let low = hash(luck, ends, count, 1).wrapping_add(index as u32) & COOKIE_MASK;
    let number = hash(luck, ends, 0, 0)
        .wrapping_add(irs.0)
        .wrapping_add(count << COOKIE_BITS)
        .wrapping_add(low);
    (Seq(number), SIZES[index])
}

/// The segment size that a cookie stands for; `None` when it is not ours or too old.
pub(crate) fn decode(luck: &Luck, now: Instant, ends: &Ends, irs: Seq, cookie: Seq) -> Option<u16> {
    let rest = cookie.0.wrapping_sub(hash(luck, ends, 0, 0)).wrapping_sub(irs.0);
    let age = minutes(now).wrapping_sub(rest >> COOKIE_BITS) & (u32::MAX >> COOKIE_BITS);
    if age >= LIFETIME {
        return None;
    }
    let count = minutes(now).wrapping_sub(age);
    let index = rest.wrapping_sub(hash(luck, ends, count, 1)) & COOKIE_MASK;
    SIZES.get(index as usize).copied()
}

/// The timestamp of a SYN+ACK that carries options: the latest one not after `stamp`.
pub(crate) fn encode_stamp(stamp: u32, options: &SegmentOptions, ecn: bool) -> u32 {
    let mut bits = options.window_shift.map_or(STAMP_NO_SCALE, u32::from);
    if options.sack_permitted {
        bits |= STAMP_SACK;
    }
    if ecn {
        bits |= STAMP_ECN;
    }
    let with_bits = (stamp & !STAMP_MASK) | bits;
    if with_bits > stamp { with_bits.wrapping_sub(1 << STAMP_BITS) } else { with_bits }
}

/// What the echo of such a timestamp says: window shift, SACK, ECN.
pub(crate) fn decode_stamp(echo: u32) -> (Option<u8>, bool, bool) {
    let shift = echo & STAMP_NO_SCALE;
    let scale = (shift != STAMP_NO_SCALE).then_some(shift as u8);
    (scale, echo & STAMP_SACK != 0, echo & STAMP_ECN != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::{Duration, Seed};

    fn ends(port: u16) -> Ends {
        Ends::new("10.0.0.1:80".parse().unwrap(), format!("10.0.0.2:{port}").parse().unwrap())
    }

    /// RFC 4987 §3.6: a cookie is good for its ends, its peer's number and two minutes.
    #[test]
    fn cookies_are_read_back_only_where_they_belong() {
        let luck = Seed(7).luck("h", "cookie");
        let now = Instant::ZERO + Duration::from_secs(59);
        let irs = Seq(0xffff_fff0);
        for (mss, size) in [(1460, 1460), (1459, 1440), (1400, 1300), (600, 536), (100, 536)] {
            let (cookie, sent) = encode(&luck, now, &ends(4000), irs, mss);
            assert_eq!(sent, size);
            let read = |t, e: &Ends, irs, c| decode(&luck, t, e, irs, c);
            assert_eq!(read(now, &ends(4000), irs, cookie), Some(size));
            let later = now + Duration::from_secs(60);
            assert_eq!(read(later, &ends(4000), irs, cookie), Some(size));
            assert_eq!(read(later + Duration::from_secs(60), &ends(4000), irs, cookie), None);
            assert_eq!(read(now, &ends(4001), irs, cookie), None);
            assert_eq!(read(now, &ends(4000), irs + 4, cookie), None);
            assert_eq!(read(now, &ends(4000), irs, cookie + 4), None);
        }
    }

    #[test]
    fn timestamps_carry_the_options() {
        for shift in [None, Some(0), Some(7), Some(14)] {
            for (sack, ecn) in [(false, false), (true, false), (true, true)] {
                let o = SegmentOptions {
                    window_shift: shift,
                    sack_permitted: sack,
                    ..SegmentOptions::default()
                };
                for stamp in [0u32, 63, 64, 1_000_000, u32::MAX] {
                    let sent = encode_stamp(stamp, &o, ecn);
                    assert_eq!(decode_stamp(sent), (shift, sack, ecn));
                    assert!(stamp.wrapping_sub(sent) < 128, "not from the future");
                }
            }
        }
    }
}
