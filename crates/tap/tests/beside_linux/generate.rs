//! Scripts from seeds: a start, then steps near what would be right.

use std::fmt;

use netarium_base::{Rng, Seed};
use netarium_wire::TcpFlags;

/// What the peer's end knows of the connection: what it would be right to send next. Numbers count
/// from the initial ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// What the host has acknowledged.
    pub(crate) seq: u32,
    /// What the host has sent.
    pub(crate) ack: u32,
}

/// A segment of the peer, with numbers relative to the initial ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seg {
    pub(crate) flags: TcpFlags,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) len: usize,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) mss: Option<u16>,
    pub(crate) sack_permitted: bool,
    pub(crate) window_scale: Option<u8>,
    /// TSval; the echo is what the host sent last.
    pub(crate) timestamp: Option<u32>,
    pub(crate) sack: Option<(u32, u32)>,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A segment arrives.
    Segment(Seg),
    /// The host's program calls.
    Listen,
    Connect,
    Accept,
    Read(usize),
    Write(usize),
    Shutdown,
    Close,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step::Segment(s) = self else { return write!(f, "{self:?}") };
        write!(f, "> {} {}({})", s.flags, s.seq as i32, s.len)?;
        if s.flags.contains(TcpFlags::ACK) {
            write!(f, " ack {}", s.ack as i32)?;
        }
        write!(f, " win {}", s.window)?;
        if s.urgent > 0 {
            write!(f, " urg {}", s.urgent)?;
        }
        let options = (s.mss, s.sack_permitted, s.window_scale, s.timestamp, s.sack);
        if options != (None, false, None, None, None) {
            write!(f, " {options:?}")?;
        }
        Ok(())
    }
}

/// How many steps follow the start.
const STEPS: u32 = 14;

/// A sequence of steps.
pub(crate) struct Script {
    rng: Rng,
    port: u16,
    plan: Vec<Step>,
    left: u32,
    timestamps: Option<u32>,
    established: bool,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Script {
        let rng = Seed(seed).stream("script", "steps");
        let port = 10_000 + (seed % 40_000) as u16;
        let mut script = Script {
            rng,
            port,
            plan: Vec::new(),
            left: STEPS,
            timestamps: None,
            established: false,
        };
        script.start();
        script.plan.reverse();
        script
    }

    /// The peer's port: each script has its own.
    pub(crate) fn peer_port(&self) -> u16 {
        self.port
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.below(all.len() as u32) as usize]
    }

    fn in_a(&mut self, hundred: u32) -> bool {
        self.rng.below(100) < hundred
    }

    /// How the connection begins: by the peer, by the host, or not rightly at all.
    fn start(&mut self) {
        if self.in_a(40) {
            self.timestamps = Some(1_000 + self.rng.below(1_000));
        }
        let syn = self.syn();
        match self.rng.below(10) {
            0..=5 => {
                let ack = self.plain(TcpFlags::ACK, 1, 1, 0);
                self.plan = vec![Step::Listen, syn, ack, Step::Accept];
                self.established = true;
            }
            6 => self.plan = vec![Step::Listen, syn],
            7 => self.plan = vec![Step::Listen],
            8 => {
                let Step::Segment(mut answer) = syn else { unreachable!("it is a segment") };
                answer.flags = TcpFlags::SYN | TcpFlags::ACK;
                answer.ack = 1;
                self.plan = vec![Step::Connect, Step::Segment(answer)];
                self.established = true;
            }
            _ => self.plan = vec![Step::Connect],
        }
    }

    fn syn(&mut self) -> Step {
        let mss = self.one_of(&[None, Some(1460), Some(1460), Some(536), Some(100), Some(0)]);
        let (sack_permitted, scaled) = (self.in_a(60), self.in_a(60));
        let flags = match self.rng.below(20) {
            0 => TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR,
            1 => TcpFlags::SYN | TcpFlags::PSH,
            _ => TcpFlags::SYN,
        };
        let len = if self.in_a(5) { 10 } else { 0 };
        Step::Segment(Seg {
            flags,
            len,
            window: 65_535,
            mss,
            sack_permitted,
            window_scale: scaled.then_some(7),
            timestamp: self.timestamps,
            ..Seg::default()
        })
    }

    /// What is answered at once in every state: an empty segment just below `seq`.
    pub(crate) fn probe(&self, seq: u32, view: &View) -> Step {
        self.plain(TcpFlags::ACK, seq.wrapping_sub(1), view.ack, 0)
    }

    fn plain(&self, flags: TcpFlags, seq: u32, ack: u32, len: usize) -> Step {
        let window = 65_535;
        let timestamp = self.timestamps;
        Step::Segment(Seg { flags, seq, ack, len, window, timestamp, ..Seg::default() })
    }

    /// The next step; `None` at the end.
    pub(crate) fn next(&mut self, view: &View) -> Option<Step> {
        if let Some(step) = self.plan.pop() {
            return Some(step);
        }
        self.left = self.left.checked_sub(1)?;
        if self.left == 0 {
            // What the host thinks in the end: it answers this in every state.
            return Some(self.probe(view.seq, view));
        }
        Some(match self.rng.below(100) {
            0..=13 => self.call(),
            14..=45 => self.right(view),
            _ => self.odd(view),
        })
    }

    fn call(&mut self) -> Step {
        match self.rng.below(16) {
            0..=4 => Step::Read(self.one_of(&[1, 10, 100_000])),
            5..=10 => Step::Write(self.one_of(&[1, 100, 1_460, 5_000])),
            11 => Step::Shutdown,
            12 => Step::Close,
            _ => Step::Accept,
        }
    }

    /// What a well-behaved peer would send.
    fn right(&mut self, view: &View) -> Step {
        use TcpFlags as F;
        let (flags, len) = match self.rng.below(10) {
            0..=2 => (F::ACK, 0),
            3..=5 => (F::ACK | F::PSH, 10),
            6 | 7 => (F::ACK, 536),
            8 => (F::ACK | F::FIN, 0),
            _ => (F::ACK | F::PSH | F::FIN, 10),
        };
        if let Some(now) = &mut self.timestamps {
            *now += 1;
        }
        self.plain(flags, view.seq, view.ack, len)
    }

    /// What it would not.
    fn odd(&mut self, view: &View) -> Step {
        use TcpFlags as F;
        let flags = match self.rng.below(24) {
            0..=8 => F::ACK,
            9..=11 => F::ACK | F::PSH,
            12 | 13 => F::ACK | F::FIN,
            14 | 15 => F::RST,
            16 => F::RST | F::ACK,
            17 | 18 => F::SYN,
            19 => F::SYN | F::ACK,
            20 => F::empty(),
            21 => F::FIN,
            22 => F::SYN | F::FIN,
            _ => F::ACK | F::URG,
        };
        let seq = match self.rng.below(14) {
            0..=4 => 0,
            5 => 1,
            6 => -1,
            7 => -10,
            8 => 10,
            9 => 100,
            10 => 600,
            11 => 60_000,
            12 => 70_000,
            _ => self.rng.next_u32() as i32,
        };
        let ack = match self.rng.below(12) {
            0..=6 => 0,
            7 => 1,
            8 => -1,
            9 => -100,
            10 => 70_000,
            _ => self.rng.next_u32() as i32,
        };
        let len = self.one_of(&[0, 0, 0, 1, 10, 100, 536, 1_400]);
        let mut seg = Seg {
            flags,
            seq: view.seq.wrapping_add_signed(seq),
            ack: view.ack.wrapping_add_signed(ack),
            len,
            window: self.one_of(&[65_535, 65_535, 1_000, 1, 0]),
            timestamp: self.timestamps,
            ..Seg::default()
        };
        if flags.contains(F::URG) {
            seg.urgent = self.one_of(&[0, 1, 5, 100]);
        }
        self.odd_options(view, &mut seg);
        Step::Segment(seg)
    }

    fn odd_options(&mut self, view: &View, seg: &mut Seg) {
        match self.rng.below(12) {
            0 => seg.timestamp = None,
            1 => seg.timestamp = self.timestamps.map(|t| t.wrapping_sub(100)),
            2 => seg.timestamp = Some(5),
            3 => seg.mss = Some(700),
            4 => seg.sack = Some((view.ack.wrapping_sub(20), view.ack.wrapping_sub(10))),
            _ => {}
        }
        if seg.flags.contains(TcpFlags::SYN) && self.in_a(50) {
            (seg.mss, seg.sack_permitted) = (Some(1460), true);
        }
    }
}
