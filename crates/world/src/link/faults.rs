//! What a wire may do to its frames beyond delay, rate, queue and loss.
//!
//! Everything here is a setting of one direction, has a text form (the same in lab files, on the
//! command line and in the trace), and reads back what it prints.

use core::fmt;
use core::str::FromStr;

use netarium_base::Duration;
use netarium_base::chance::{percent, probability};

use super::matching::PacketMatch;

/// The longest jitter and the longest hold of a reordered frame: an hour.
pub const LATE_MAX: Duration = Duration::from_secs(3_600);
/// How many frame numbers one direction can be told to lose.
pub const NTH_MAX: usize = 1_000;
/// The smallest MTU of a link: RFC 791 asks that 68 bytes pass.
pub const MTU_MIN: u32 = 68;
/// The largest MTU of a link, bytes: more than an IPv4 packet can have.
pub const MTU_MAX: u32 = 65_535;
/// The largest queue in bytes: 1 TB.
pub const QUEUE_BYTES_MAX: u64 = 1_000_000_000_000;

/// What one direction of a link does beyond its plain settings; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How the delay varies.
    pub jitter: Option<Jitter>,
    /// Loss in bursts, besides the random one.
    pub burst: Option<Burst>,
    /// Which frames are lost by their number. With [`Faults::matching`], only frames that match are
    /// counted.
    pub nth: Nth,
    /// Which frames are lost by what they carry: all that match, or with [`Faults::nth`] those of
    /// its numbers.
    pub matching: Option<PacketMatch>,
    /// The probability that a frame arrives twice, in steps of 2⁻³². The copy takes nothing of the
    /// rate and arrives right behind the frame.
    pub duplicate: u32,
    /// Which frames are held back so that later ones overtake them.
    pub reorder: Option<Reorder>,
    /// The probability that one bit of a frame, any but equally likely, is turned over, in steps of
    /// 2⁻³². Frames have no frame check sequence here that would find it: it comes through to the
    /// checksums of IP, TCP, UDP and ICMP.
    pub corrupt: u32,
    /// The largest packet, bytes from the IP header on; larger ones are dropped without a word, as
    /// by a switch that knows no jumbo frames. No limit when absent.
    pub mtu: Option<u32>,
    /// How many bytes may wait while a frame is being serialised, besides the limit of frames.
    pub queue_bytes: Option<u64>,
}

/// How a delay varies from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter {
    /// By how much: up to this much more or less when uniform, the standard deviation when normal.
    /// 1 ns to [`LATE_MAX`]. A delay is never less than 1 ns.
    pub spread: Duration,
    /// How it is distributed.
    pub shape: Shape,
    /// Whether frames overtake each other because of it. Otherwise one that would overtake arrives
    /// together with the one before it, as behind a queue.
    pub reorder: bool,
}

/// A distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// All values from −spread to +spread are equally likely.
    #[default]
    Uniform,
    /// Like a normal distribution with the spread as standard deviation: a sum of twelve uniform
    /// draws (Irwin–Hall), never further from the middle than six times the spread.
    Normal,
}

/// Loss by the model of Gilbert and Elliott: a wire is in a good or in a bad state, each with a loss
/// of its own, and changes between them from frame to frame. Probabilities in steps of 2⁻³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// From good to bad (p).
    pub enter: u32,
    /// From bad to good (r): a stay in the bad state lasts 1/r frames on average.
    pub leave: u32,
    /// Loss in the good state (1−k).
    pub good: u32,
    /// Loss in the bad state (1−h).
    pub bad: u32,
}

/// Numbers of frames, counted from 1 since the setting was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nth {
    /// These, in ascending order; at most [`NTH_MAX`].
    pub list: Vec<u64>,
    /// Every frame whose number this divides.
    pub every: Option<u64>,
}

impl Nth {
    /// Whether it names no frame.
    pub fn is_none(&self) -> bool {
        self.list.is_empty() && self.every.is_none()
    }

    /// Whether the frame of this number is meant.
    pub fn names(&self, number: u64) -> bool {
        self.every.is_some_and(|n| n > 0 && number.is_multiple_of(n))
            || self.list.binary_search(&number).is_ok()
    }
}

/// Which frames are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// The probability, in steps of 2⁻³².
    pub probability: u32,
    /// How much longer such a frame travels: 1 ns to [`LATE_MAX`].
    pub late: Duration,
    /// Only each `gap`-th frame of a flow can be held back; 1 means any.
    pub gap: u32,
}

/// A probability in words: `5%` or `0.05`.
pub fn read_probability(text: &str) -> Option<u32> {
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok().filter(|_| plain(percent))? / 100.0,
        None => text.parse().ok().filter(|_| plain(text))?,
    };
    (0.0..=1.0).contains(&value).then(|| probability(value))
}

/// A positive time up to [`LATE_MAX`].
fn read_time(text: &str) -> Result<Duration, String> {
    let time: Option<Duration> = text.parse().ok();
    let fits = |t: &Duration| *t > Duration::ZERO && *t <= LATE_MAX;
    time.filter(fits).ok_or_else(|| format!("`{text}` is no time from 1ns to 1h"))
}

fn chance(text: Option<&str>, of: &str) -> Result<u32, String> {
    let text = text.ok_or_else(|| format!("a probability belongs behind `{of}`"))?;
    read_probability(text).ok_or_else(|| format!("`{text}` is no probability such as 5%"))
}

impl FromStr for Jitter {
    type Err = String;

    /// `5ms`, `5ms normal`, `5ms uniform reorder`.
    fn from_str(text: &str) -> Result<Jitter, String> {
        let mut words = text.split_whitespace();
        let spread = read_time(words.next().unwrap_or_default())?;
        let mut jitter = Jitter { spread, shape: Shape::Uniform, reorder: false };
        for word in words {
            match word {
                "uniform" => jitter.shape = Shape::Uniform,
                "normal" => jitter.shape = Shape::Normal,
                "reorder" => jitter.reorder = true,
                _ => return Err(format!("`{word}` is not `uniform`, `normal` or `reorder`")),
            }
        }
        Ok(jitter)
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spread)?;
        f.write_str(if self.shape == Shape::Normal { " normal" } else { "" })?;
        f.write_str(if self.reorder { " reorder" } else { "" })
    }
}

impl FromStr for Burst {
    type Err = String;

    /// `p 1% r 25%`, `p 1% r 25% bad 80% good 0.1%`.
    fn from_str(text: &str) -> Result<Burst, String> {
        let mut words = text.split_whitespace();
        let (mut enter, mut leave, mut good, mut bad) = (None, None, 0, u32::MAX);
        while let Some(word) = words.next() {
            match word {
                "p" => enter = Some(chance(words.next(), word)?),
                "r" => leave = Some(chance(words.next(), word)?),
                "good" => good = chance(words.next(), word)?,
                "bad" => bad = chance(words.next(), word)?,
                _ => return Err(format!("`{word}` is not `p`, `r`, `good` or `bad`")),
            }
        }
        match (enter, leave) {
            (Some(enter), Some(leave)) => Ok(Burst { enter, leave, good, bad }),
            _ => Err("both `p` (into a burst) and `r` (out of it) are needed".to_owned()),
        }
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p {} r {}", percent(self.enter), percent(self.leave))?;
        if self.bad != u32::MAX {
            write!(f, " bad {}", percent(self.bad))?;
        }
        if self.good != 0 {
            write!(f, " good {}", percent(self.good))?;
        }
        Ok(())
    }
}

impl FromStr for Nth {
    type Err = String;

    /// `3`, `3,5,9`, `every 10`, `3,every 10`.
    fn from_str(text: &str) -> Result<Nth, String> {
        let mut nth = Nth::default();
        let number = |text: &str| {
            let n = text.trim().parse().ok().filter(|&n: &u64| n > 0);
            n.ok_or_else(|| format!("`{}` is not the number of a frame, from 1", text.trim()))
        };
        for part in text.split(',') {
            match part.trim().strip_prefix("every ") {
                Some(n) => nth.every = Some(number(n)?),
                None => nth.list.push(number(part)?),
            }
        }
        if nth.list.len() > NTH_MAX {
            return Err(format!("at most {NTH_MAX} frames can be named"));
        }
        nth.list.sort_unstable();
        nth.list.dedup();
        Ok(nth)
    }
}

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        let mut parts: Vec<String> = self.list.iter().map(u64::to_string).collect();
        parts.extend(self.every.map(|n| format!("every {n}")));
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Reorder {
    type Err = String;

    /// `25% by 10ms`, `25% by 10ms gap 5`.
    fn from_str(text: &str) -> Result<Reorder, String> {
        let mut words = text.split_whitespace();
        let probability = chance(words.next(), "reorder")?;
        let (mut late, mut gap) = (None, 1);
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            match word {
                "by" => late = Some(read_time(value)?),
                "gap" => {
                    let read = value.parse().ok().filter(|&n: &u32| n > 0);
                    gap = read.ok_or_else(|| format!("`{value}` is not a gap of 1 or more"))?;
                }
                _ => return Err(format!("`{word}` is not `by` or `gap`")),
            }
        }
        let late = late.ok_or("how late is missing: `by 10ms`")?;
        Ok(Reorder { probability, late, gap })
    }
}

impl fmt::Display for Reorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", percent(self.probability), self.late)?;
        if self.gap > 1 {
            write!(f, " gap {}", self.gap)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: FromStr<Err = String> + fmt::Display>(texts: &[(&str, &str)]) {
        for (text, shown) in texts {
            match text.parse::<T>() {
                Ok(value) => assert_eq!(value.to_string(), *shown, "{text}"),
                Err(why) => assert_eq!(why, *shown, "{text}"),
            }
        }
    }

    #[test]
    fn settings_read_what_they_print_and_say_what_is_wrong() {
        same::<Jitter>(&[
            ("5ms", "5ms"),
            ("5ms uniform", "5ms"),
            ("1us reorder normal", "1us normal reorder"),
            ("5", "`5` is no time from 1ns to 1h"),
            ("0ms", "`0ms` is no time from 1ns to 1h"),
            ("", "`` is no time from 1ns to 1h"),
            ("5ms pareto", "`pareto` is not `uniform`, `normal` or `reorder`"),
        ]);
        same::<Burst>(&[
            ("p 1% r 25%", "p 1% r 25%"),
            ("r 0.25 p 0.01 good 0.1% bad 80%", "p 1% r 25% bad 80% good 0.1%"),
            ("p 1%", "both `p` (into a burst) and `r` (out of it) are needed"),
            ("p", "a probability belongs behind `p`"),
            ("p 2 r 1", "`2` is no probability such as 5%"),
            ("1% 2%", "`1%` is not `p`, `r`, `good` or `bad`"),
        ]);
        same::<Nth>(&[
            ("3", "3"),
            ("9, 3,5,3", "3,5,9"),
            ("every 10", "every 10"),
            ("3,every 10", "3,every 10"),
            ("0", "`0` is not the number of a frame, from 1"),
            ("every 0", "`0` is not the number of a frame, from 1"),
            ("", "`` is not the number of a frame, from 1"),
            ("1,,2", "`` is not the number of a frame, from 1"),
        ]);
        same::<Reorder>(&[
            ("25% by 10ms", "25% by 10ms"),
            ("100% gap 5 by 1ms", "100% by 1ms gap 5"),
            ("25%", "how late is missing: `by 10ms`"),
            ("25% by", "`` is no time from 1ns to 1h"),
            ("25% by 1ms gap 0", "`0` is not a gap of 1 or more"),
            ("by 1ms", "`by` is no probability such as 5%"),
        ]);
    }

    #[test]
    fn nth_names_frames() {
        let nth: Nth = "2,7,every 5".parse().unwrap();
        let named: Vec<u64> = (0..=20).filter(|&n| n > 0 && nth.names(n)).collect();
        assert_eq!(named, [2, 5, 7, 10, 15, 20]);
        assert!(Nth::default().is_none() && !Nth::default().names(1));
    }
}
