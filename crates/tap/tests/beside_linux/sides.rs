//! What both sides share: the words of a reply, and the numbers of a connection.

use std::fmt;
use std::net::Ipv4Addr;

use netarium_wire::{Arp, Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOption, TcpOptions};

use super::common::{KERNEL_MAC, OUR_MAC};
use super::generate::{Seg, Step, View};

/// The host under test, on either side, and its port.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub(crate) const PORT: u16 = 5_001;
/// The peer that the script plays.
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// The peer's initial sequence number: its numbers pass zero.
const IRS: u32 = 0xffff_fff0;

/// A segment of the host, with numbers relative to the initial ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) flags: TcpFlags,
    pub(crate) seq: u32,
    /// 0 without ACK.
    pub(crate) ack: u32,
    pub(crate) len: usize,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    /// Kinds of options, but for padding; MSS and shift with their values.
    pub(crate) options: String,
    /// SACK reports a duplicate, and nothing else.
    pub(crate) duplicate: bool,
    /// It acknowledges more than any before.
    pub(crate) news: bool,
}

impl Answer {
    /// Equal but for the window, which must be zero for both or for none, and for whether data is
    /// pushed.
    pub(crate) fn is_like(&self, other: &Answer) -> bool {
        let pushed = if self.len > 0 { TcpFlags::PSH } else { TcpFlags::empty() };
        (self.window == 0) == (other.window == 0)
            && (self.flags | pushed, self.seq, self.ack)
                == (other.flags | pushed, other.seq, other.ack)
            && (self.len, self.urgent) == (other.len, other.urgent)
            && self.options == other.options
    }

    /// A pure acknowledgement of new data in order, of which the timing is nobody's business; some of
    /// that data may have come before.
    fn is_timing(&self) -> bool {
        let plain = self.duplicate || !self.options.contains("sack");
        self.news && plain && self.flags == TcpFlags::ACK && self.len == 0
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { flags, seq, ack, len, window, urgent, options, .. } = self;
        let (seq, ack) = (*seq as i32, *ack as i32);
        write!(f, "{flags} {seq}({len}) ack {ack} win {window} <{options}>")?;
        if *urgent > 0 { write!(f, " urg {urgent}") } else { Ok(()) }
    }
}

/// What a step led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// Of a call: bytes, or minus the number of the error.
    pub(crate) result: Option<i64>,
    pub(crate) segments: Vec<Answer>,
    /// The peer has sent a FIN.
    pub(crate) fin_received: bool,
    /// The segment that led to it has text behind a FIN that the peer sent.
    pub(crate) behind_fin: bool,
    /// The peer's last window shrank in place: by segments with the same numbers.
    pub(crate) shrunk: bool,
    /// The peer's last window came ahead of the stream, and text in order after it.
    pub(crate) overtaken: bool,
    /// What the peer has acknowledged.
    pub(crate) acked: u32,
    /// The connection is one that the host began.
    pub(crate) connects: bool,
    /// The host's program has closed it, and the peer has acknowledged the FIN of that.
    pub(crate) is_left: bool,
    /// The host's next expected number.
    pub(crate) expects: u32,
}

impl Reply {
    /// The host, which connects, answers a SYN that crossed its own.
    pub(crate) fn crosses_syns(&self) -> bool {
        let syn_ack = TcpFlags::SYN | TcpFlags::ACK;
        self.connects && self.segments.iter().any(|s| s.flags.contains(syn_ack))
    }

    /// What the last of the pure acknowledgements of new data acknowledges.
    pub(crate) fn timed_ack(&self) -> Option<u32> {
        self.segments.iter().rfind(|s| s.is_timing()).map(|s| s.ack)
    }

    /// The segments without pure acknowledgements of new data.
    pub(crate) fn without_timing(&self) -> Vec<&Answer> {
        self.segments.iter().filter(|s| !s.is_timing()).collect()
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(result) = self.result {
            write!(f, "= {result} ")?;
        }
        let all: Vec<String> = self.segments.iter().map(Answer::to_string).collect();
        write!(f, "[{}]", all.join(" | "))
    }
}

/// Who takes the steps of a script.
pub(crate) trait Side {
    /// Takes one step; what it led to.
    fn take(&mut self, step: &Step) -> Reply;
}

/// The newest numbers of the peer's segments, and the largest window that came with them.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    seq: u32,
    ack: u32,
    window: u16,
    /// A later segment with the same numbers had a smaller window, but an open one.
    shrunk: bool,
    /// They came ahead of the stream, and text in order after them.
    overtaken: bool,
    /// The newest timestamp.
    newest: Option<u32>,
}

impl Offer {
    /// The peer sends a segment that the host, which knows `view`, may believe.
    /// `stamps`: the host uses timestamps.
    fn note(&mut self, seg: &Seg, view: &View, stamps: bool) {
        let ahead = |a: u32, b: u32| a.wrapping_sub(b) as i32;
        let Seg { seq, ack, window, .. } = *seg;
        let end = seq.wrapping_add(seg.len as u32);
        let syn = seg.flags.contains(TcpFlags::SYN);
        let first = syn && view.seq == 0;
        // PAWS (RFC 7323 §5.3) takes no notice of old ones.
        let old = seg.timestamp.zip(self.newest).is_some_and(|(t, n)| ahead(t, n) < 0);
        let again = (seg.seq, seg.ack, seg.len) == (self.seq, self.ack, 0);
        if (syn && !first) || (stamps && old && !again) {
            return;
        }
        if !old {
            self.newest = seg.timestamp.or(self.newest);
        }
        let in_window = ahead(seq, view.seq) < 65_536 && ahead(end, view.seq) >= 0;
        let believable = in_window && (ahead(self.ack, ack) <= 0 && ahead(ack, view.ack) <= 0);
        if first || (believable && (ahead(seq, self.seq) > 0 || ahead(ack, self.ack) > 0)) {
            *self = Offer { seq, ack, window, newest: self.newest, ..Offer::default() };
        } else if believable && ahead(seq, self.seq) < 0 {
            self.overtaken |= ahead(seq, view.seq) <= 0 && seg.len > 0;
        } else if believable && (seq, ack) == (self.seq, self.ack) {
            self.shrunk = seg.window > 0 && seg.window < self.window;
            if !self.shrunk {
                self.window = seg.window;
            }
        }
    }
}

/// Numbers of one connection as the peer knows them.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) peer_port: u16,
    /// The host's initial sequence number, once seen.
    pub(crate) iss: Option<u32>,
    /// The host's last TSval.
    pub(crate) tsval: u32,
    pub(crate) view: View,
    /// Where the peer's FINs stood: some may have been out of the window.
    pub(crate) fins: Vec<u32>,
    /// The end of what came ahead of the stream and is kept.
    pub(crate) kept_to: Option<u32>,
    /// The last segment had text behind one of them, or some is kept.
    pub(crate) behind_fin: bool,
    /// What the peer said of its window.
    pub(crate) offer: Offer,
    pub(crate) connects: bool,
    pub(crate) closed: bool,
    /// What acknowledges the host's FIN.
    pub(crate) fin_end: Option<u32>,
    pub(crate) fin_acked: bool,
}

impl Numbers {
    pub(crate) fn note(&mut self, step: &Step) {
        self.connects |= matches!(step, Step::Connect);
        self.closed |= matches!(step, Step::Close);
    }

    pub(crate) fn reply(&self, result: Option<i64>, segments: Vec<Answer>) -> Reply {
        let Numbers { connects, closed, fin_acked, .. } = *self;
        Reply {
            result,
            segments,
            fin_received: !self.fins.is_empty(),
            behind_fin: self.behind_fin,
            shrunk: self.offer.shrunk,
            overtaken: self.offer.overtaken,
            acked: self.offer.ack,
            connects,
            is_left: closed && fin_acked,
            expects: self.view.seq,
        }
    }

    fn note_fins(&mut self, seg: &Seg) {
        let syn = u32::from(seg.flags.contains(TcpFlags::SYN));
        let end = seg.seq.wrapping_add(seg.len as u32 + syn);
        let ahead = |a: u32, b: u32| a.wrapping_sub(b) as i32 > 0;
        if seg.flags.contains(TcpFlags::FIN) {
            self.fins.push(end);
        }
        let next = self.view.seq;
        let taken = self.fins.iter().any(|fin| ahead(next, *fin));
        if !taken && ahead(seg.seq, next) && seg.seq.wrapping_sub(next) < 65_536 {
            let further = self.kept_to.filter(|to| ahead(*to, end));
            self.kept_to = Some(further.unwrap_or(end));
        }
        let kept = self.kept_to;
        let behind =
            |fin: &u32| (seg.len > 0 && ahead(end, *fin)) || kept.is_some_and(|to| ahead(to, *fin));
        self.behind_fin = self.fins.iter().any(behind);
    }

    pub(crate) fn frame(&mut self, seg: &Seg) -> Box<Frame> {
        self.note_fins(seg);
        let ack_or_syn = seg.flags.intersects(TcpFlags::ACK | TcpFlags::SYN);
        if ack_or_syn && !seg.flags.contains(TcpFlags::RST) {
            self.offer.note(seg, &self.view, self.tsval != 0);
        }
        self.fin_acked |= seg.flags.contains(TcpFlags::ACK) && self.fin_end == Some(seg.ack);
        let iss = self.iss.unwrap_or(0);
        let mut options = TcpOptions::new();
        if let Some(mss) = seg.mss {
            options.push(TcpOption::Mss(mss));
        }
        if seg.sack_permitted {
            options.push(TcpOption::SackPermitted);
        }
        if let Some(shift) = seg.window_scale {
            options.push(TcpOption::WindowScale(shift));
        }
        if let Some(tsval) = seg.timestamp {
            options.push(TcpOption::Timestamps(tsval, self.tsval));
        }
        if let Some((from, to)) = seg.sack {
            let ends = [from, to].map(|n| n.wrapping_add(iss).to_be_bytes());
            options.push(TcpOption::Sack(&ends.concat()));
        }
        let has_ack = seg.flags.contains(TcpFlags::ACK);
        let header = TcpHeader {
            src_port: self.peer_port,
            dst_port: PORT,
            seq: seg.seq.wrapping_add(IRS),
            ack: if has_ack { seg.ack.wrapping_add(iss) } else { 0 },
            flags: seg.flags,
            window: seg.window,
            urgent: seg.urgent,
        };
        let ip = IpHeader::new(PEER.into(), HOST.into());
        let mut frame = header.frame(&ip, &options, Payload::copy_from(&vec![b'x'; seg.len]));
        frame.set_macs(KERNEL_MAC, OUR_MAC);
        frame
    }

    /// Reads a segment of the host; `None` when it is of another connection.
    pub(crate) fn read(&mut self, frame: &Frame) -> Option<Answer> {
        let tcp = TcpHeader::of(frame)?;
        if tcp.dst_port != self.peer_port || tcp.src_port != PORT {
            return None;
        }
        let (syn, ack) = (tcp.flags.contains(TcpFlags::SYN), tcp.flags.contains(TcpFlags::ACK));
        if syn {
            // Of a later connection between the same ends, too.
            self.iss = Some(tcp.seq);
        }
        let len = frame.payload().len();
        let mut options = self.options(frame);
        let duplicate = TcpHeader::options_of(frame).any(|o| match o {
            TcpOption::Sack(b) if b.len() == 8 => {
                let from = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
                (tcp.ack.wrapping_sub(from) as i32) > 0
            }
            _ => false,
        });
        if tcp.flags.contains(TcpFlags::RST) {
            // Nobody reads those.
            options.clear();
        }
        let answer = Answer {
            flags: tcp.flags,
            // A RST for what has no ACK has the number 0, absolutely.
            seq: if tcp.seq == 0 { 0 } else { tcp.seq.wrapping_sub(self.iss.unwrap_or(0)) },
            ack: if ack { tcp.ack.wrapping_sub(IRS) } else { 0 },
            len,
            window: tcp.window,
            urgent: tcp.urgent,
            options,
            duplicate,
            news: ack && tcp.ack.wrapping_sub(IRS).wrapping_sub(self.view.seq) as i32 > 0,
        };
        if !tcp.flags.contains(TcpFlags::RST) {
            let ends = len as u32 + u32::from(syn) + u32::from(tcp.flags.contains(TcpFlags::FIN));
            let end = answer.seq.wrapping_add(ends);
            if tcp.flags.contains(TcpFlags::FIN) {
                self.fin_end = Some(end);
            }
            if end.wrapping_sub(self.view.ack) as i32 > 0 {
                self.view.ack = end;
            }
            if ack {
                self.view.seq = answer.ack;
            }
        }
        Some(answer)
    }

    fn options(&mut self, frame: &Frame) -> String {
        let iss = IRS;
        let mut texts = Vec::new();
        for option in TcpHeader::options_of(frame) {
            texts.push(match option {
                TcpOption::Nop | TcpOption::End => continue,
                TcpOption::Mss(mss) => format!("mss {mss}"),
                TcpOption::WindowScale(shift) => format!("ws {shift}"),
                TcpOption::SackPermitted => "sackOK".to_owned(),
                TcpOption::Timestamps(val, _) => {
                    self.tsval = val;
                    "ts".to_owned()
                }
                TcpOption::Sack(blocks) => {
                    let number = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
                    let block = |b: &[u8]| {
                        let [from, to] =
                            [&b[..4], &b[4..]].map(|n| number(n).wrapping_sub(iss) as i32);
                        format!("{from}-{to}")
                    };
                    let blocks: Vec<String> = blocks.chunks_exact(8).map(block).collect();
                    format!("sack {}", blocks.join(","))
                }
                TcpOption::Unknown(kind, _) => format!("kind {kind}"),
            });
        }
        texts.join(" ")
    }
}

pub(crate) fn arp_from_peer(operation: u16) -> Box<Frame> {
    let arp =
        Arp { operation, sender_mac: OUR_MAC, sender: PEER, target_mac: KERNEL_MAC, target: HOST };
    let mut frame = arp.frame(KERNEL_MAC);
    frame.set_macs(KERNEL_MAC, OUR_MAC);
    frame
}
