//! Chance that a seed decides, drawn by *name*.
//!
//! Two ways to draw, both independent of what any other component draws:
//!
//! - [`Seed::stream`] gives a component its own [`Rng`] for one purpose (initial sequence numbers,
//!   ephemeral ports, query ids);
//! - [`Seed::luck`] gives a stateless [`Luck`] that answers for (flow, ordinal): whether the third
//!   frame of a flow is lost does not depend on what other flows did before it.
//!
//! Adding a host, dropping a frame or tracing more changes nobody else's luck.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// A hash of a name that is the same on every machine, in every build, for ever (SipHash-1-3 with
/// a zero key).
pub fn name_hash(name: &str) -> u64 {
    let mut h = SipHasher13::new_with_keys(0, 0);
    h.write(name.as_bytes());
    h.finish()
}

/// The seed of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    fn key(self, component: &str, purpose: &str) -> (u64, u64) {
        let mut h = SipHasher13::new_with_keys(self.0, 0x6e65_7461_7269_756d);
        h.write(component.as_bytes());
        h.write_u8(0xff);
        h.write(purpose.as_bytes());
        let a = h.finish();
        h.write_u8(1);
        (a, h.finish())
    }

    /// The random stream of `component` (a node's or link's name) for `purpose`.
    pub fn stream(self, component: &str, purpose: &str) -> Rng {
        let (a, b) = self.key(component, purpose);
        Rng::from_key(a, b)
    }

    /// Stateless draws of `component` for `purpose`.
    pub fn luck(self, component: &str, purpose: &str) -> Luck {
        let (a, b) = self.key(component, purpose);
        Luck { a, b }
    }
}

/// Stateless draws: the same (flow, ordinal) always gives the same number.
#[derive(Clone, Copy, Debug)]
pub struct Luck {
    a: u64,
    b: u64,
}

impl Luck {
    /// A uniformly distributed number for the `ordinal`-th draw of `flow`.
    pub fn draw(self, flow: u64, ordinal: u64) -> u64 {
        let mut h = SipHasher13::new_with_keys(self.a, self.b);
        h.write_u64(flow.to_le());
        h.write_u64(ordinal.to_le());
        h.finish()
    }

    /// Whether an event of probability `p` (0 to 1, in 2⁻³² steps as given by
    /// [`probability`]) happens.
    pub fn happens(self, p: u32, flow: u64, ordinal: u64) -> bool {
        ((self.draw(flow, ordinal) >> 32) as u32) < p
    }

    /// A keyed hash of bytes, for RFC 6528 initial sequence numbers and the like.
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let mut h = SipHasher13::new_with_keys(self.a, self.b);
        h.write(bytes);
        h.finish()
    }
}

/// A probability as a threshold for 32-bit draws. `p` is clamped to 0..=1; 1 maps to the largest
/// threshold, which misses one draw in 2³².
pub fn probability(p: f64) -> u32 {
    (p.clamp(0.0, 1.0) * 4_294_967_296.0).min(4_294_967_295.0) as u32
}

/// The shortest decimal fraction whose [`probability`] is `threshold`, as digits and how many of
/// them stand behind the point.
fn decimal(threshold: u32) -> (u64, u32) {
    let exact = |n: u64, scale: u64| probability(n as f64 / scale as f64) == threshold;
    for places in 0..10 {
        let scale = 10u64.pow(places);
        let below = ((u128::from(threshold) * u128::from(scale)) >> 32) as u64;
        if let Some(n) = (below..=below + 1).find(|&n| exact(n, scale)) {
            return (n, places);
        }
    }
    // Steps of 10⁻¹⁰ are finer than those of 2⁻³².
    let scale = 10u64.pow(10);
    (((u128::from(threshold) * u128::from(scale)).div_ceil(1 << 32)) as u64, 10)
}

/// A threshold as the shortest number from 0 to 1 that [`probability`] makes it of.
pub fn fraction(threshold: u32) -> f64 {
    let (n, places) = decimal(threshold);
    n as f64 / 10u64.pow(places) as f64
}

/// A threshold in words, exactly: `5%`, `0.1%`.
pub fn percent(threshold: u32) -> String {
    let (n, places) = decimal(threshold);
    let (n, places) = if places < 2 { (n * 10u64.pow(2 - places), 0) } else { (n, places - 2) };
    let scale = 10u64.pow(places);
    match places as usize {
        0 => format!("{n}%"),
        width => format!("{}.{:0width$}%", n / scale, n % scale),
    }
}

/// A small, fast, seeded generator (xoshiro256++ by Blackman and Vigna, public domain).
#[derive(Clone, Debug)]
pub struct Rng {
    s: [u64; 4],
}

impl Rng {
    fn from_key(a: u64, b: u64) -> Self {
        let mut state = a ^ b.rotate_left(32);
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let s = [next() ^ a, next(), next() ^ b, next() | 1];
        Rng { s }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.s;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `n` (0 when `n` is 0), by multiplication; the bias is below 2⁻³² · n.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(n)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_names_only() {
        let seed = Seed(7);
        let mut a = seed.stream("web", "isn");
        let mut b = seed.stream("web", "isn");
        let mut c = seed.stream("pc", "isn");
        let mut d = seed.stream("web", "port");
        let first = a.next_u64();
        assert_eq!(first, b.next_u64());
        assert_ne!(first, c.next_u64());
        assert_ne!(first, d.next_u64());
        assert_ne!(first, Seed(8).stream("web", "isn").next_u64());
    }

    #[test]
    fn luck_is_stateless_and_fair() {
        let luck = Seed(1).luck("web.home", "loss");
        let p = probability(0.25);
        let hits = (0..100_000).filter(|&n| luck.happens(p, 42, n)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert_eq!(luck.draw(1, 2), luck.draw(1, 2));
        assert!(!luck.happens(0, 1, 1));
    }

    #[test]
    fn thresholds_read_back_as_written() {
        for (p, text) in [
            (0.0, "0%"),
            (1.0, "100%"),
            (0.05, "5%"),
            (0.07, "7%"),
            (0.5, "50%"),
            (0.001, "0.1%"),
            (0.125, "12.5%"),
            (0.000_123, "0.0123%"),
        ] {
            let threshold = probability(p);
            assert_eq!((fraction(threshold), percent(threshold).as_str()), (p, text));
        }
        let mut rng = Seed(5).stream("x", "y");
        for threshold in (0..10_000).map(|_| rng.next_u32()).chain([1, u32::MAX - 1]) {
            assert_eq!(probability(fraction(threshold)), threshold);
        }
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Seed(3).stream("x", "y");
        assert!((0..10_000).all(|_| rng.below(10) < 10));
        assert_eq!(rng.below(0), 0);
    }

    /// These numbers must never change: recordings depend on them.
    #[test]
    fn draws_are_pinned() {
        assert_eq!(name_hash("web"), 8063957747723765198);
        assert_eq!(Seed(1).stream("web", "isn").next_u64(), 13000114745799232940);
        assert_eq!(Seed(1).luck("web.home", "loss").draw(1, 2), 15082965170454512745);
    }
}
