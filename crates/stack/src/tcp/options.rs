//! The options of a segment, as a connection reads and writes them.

use netarium_wire::{Frame, TcpHeader, TcpOption, TcpOptions};

use super::config::WireProfile;
use super::seq::Seq;

/// RFC 7323 §2.3: the largest shift.
pub const MAX_WINDOW_SHIFT: u8 = 14;

/// What the options of a segment say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift, at most 14.
    pub window_shift: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks, in the order of the option.
    pub sack: Blocks,
}

/// The blocks of a SACK option (RFC 2018 §3), at most four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    blocks: [(Seq, Seq); 4],
    count: u8,
}

impl Blocks {
    /// The first four of these.
    pub fn new(blocks: &[(Seq, Seq)]) -> Blocks {
        let mut b = Blocks::default();
        for (to, from) in b.blocks.iter_mut().zip(blocks) {
            *to = *from;
            b.count += 1;
        }
        b
    }

    /// The blocks in the data of an option; what is not a whole block is ignored.
    pub fn of(data: &[u8]) -> Blocks {
        let mut b = Blocks::default();
        let word = |w: &[u8]| Seq(u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
        for pair in data.chunks_exact(8).take(4) {
            b.blocks[b.count as usize] = (word(&pair[..4]), word(&pair[4..]));
            b.count += 1;
        }
        b
    }

    /// First byte of each block and the byte behind its last.
    pub fn as_slice(&self) -> &[(Seq, Seq)] {
        &self.blocks[..self.count as usize]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl SegmentOptions {
    /// Reads the options of a parsed frame. Unknown and malformed ones are ignored (RFC 9293
    /// §3.1, MUST-6 and MUST-7); of an option that stands twice the last counts.
    pub fn of(frame: &Frame) -> SegmentOptions {
        let mut o = SegmentOptions::default();
        for option in TcpHeader::options_of(frame) {
            match option {
                TcpOption::Mss(mss) => o.mss = Some(mss),
                TcpOption::WindowScale(s) => o.window_shift = Some(s.min(MAX_WINDOW_SHIFT)),
                TcpOption::SackPermitted => o.sack_permitted = true,
                TcpOption::Timestamps(val, ecr) => o.timestamps = Some((val, ecr)),
                TcpOption::Sack(data) => o.sack = Blocks::of(data),
                _ => {}
            }
        }
        o
    }

    /// The options of a SYN in the order in which a system sends them.
    pub fn write_syn(&self, profile: WireProfile) -> TcpOptions {
        match profile {
            WireProfile::Linux => self.write_linux_syn(),
            WireProfile::Windows => self.write_windows_syn(),
        }
    }

    /// `mss,nop,wscale,nop,nop,sackOK`; timestamps, when switched on, behind.
    fn write_windows_syn(&self) -> TcpOptions {
        let mut o = TcpOptions::new();
        if let Some(mss) = self.mss {
            o.push(TcpOption::Mss(mss));
        }
        if let Some(shift) = self.window_shift {
            o.push(TcpOption::Nop);
            o.push(TcpOption::WindowScale(shift));
        }
        match (self.sack_permitted, self.timestamps) {
            (true, Some((val, ecr))) => {
                o.push(TcpOption::SackPermitted);
                o.push(TcpOption::Timestamps(val, ecr));
            }
            (false, Some((val, ecr))) => write_timestamps(&mut o, val, ecr),
            (true, None) => {
                o.push_raw(&[1, 1]);
                o.push(TcpOption::SackPermitted);
            }
            (false, None) => {}
        }
        o
    }

    /// `mss,sackOK,TS,nop,wscale`.
    fn write_linux_syn(&self) -> TcpOptions {
        let mut o = TcpOptions::new();
        if let Some(mss) = self.mss {
            o.push(TcpOption::Mss(mss));
        }
        match (self.sack_permitted, self.timestamps) {
            (true, Some((val, ecr))) => {
                o.push(TcpOption::SackPermitted);
                o.push(TcpOption::Timestamps(val, ecr));
            }
            (false, Some((val, ecr))) => write_timestamps(&mut o, val, ecr),
            (true, None) => {
                o.push_raw(&[1, 1]);
                o.push(TcpOption::SackPermitted);
            }
            (false, None) => {}
        }
        if let Some(shift) = self.window_shift {
            o.push(TcpOption::Nop);
            o.push(TcpOption::WindowScale(shift));
        }
        o
    }
}

/// Timestamps behind two NOPs, so that they stand aligned (RFC 7323 appendix A).
pub fn write_timestamps(o: &mut TcpOptions, val: u32, ecr: u32) {
    o.push_raw(&[1, 1]);
    o.push(TcpOption::Timestamps(val, ecr));
}

/// SACK blocks behind two NOPs.
pub fn write_sack(o: &mut TcpOptions, blocks: &[(Seq, Seq)]) {
    let mut bytes = [0u8; 32];
    let mut len = 0;
    for (start, end) in blocks.iter().take(4) {
        bytes[len..len + 4].copy_from_slice(&start.0.to_be_bytes());
        bytes[len + 4..len + 8].copy_from_slice(&end.0.to_be_bytes());
        len += 8;
    }
    o.push_raw(&[1, 1]);
    o.push(TcpOption::Sack(&bytes[..len]));
}
