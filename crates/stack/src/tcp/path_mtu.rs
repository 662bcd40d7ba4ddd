//! The segment size of a connection: what the peer takes, what the path carries, what options need
//! (RFC 6691, RFC 879, RFC 1191).

use netarium_base::Ctx;

use super::connection::Connection;
use super::seq::Seq;
use super::state::State;
use crate::errno::Errno;

/// Every host takes packets of so many bytes (RFC 791), the IP header left out here.
const SMALLEST: u32 = 68;

impl Connection {
    /// The segment size follows from the peer's MSS, the path MTU and the timestamps (RFC 6691 §2:
    /// the MSS option does not count options, so that they are taken off here).
    pub(crate) fn sync_mss(&mut self) {
        let path = self.pmtu.saturating_sub(self.header_bytes() as u16);
        let mss = u32::from(self.snd.peer_mss.min(path).max(self.config.min_snd_mss));
        self.snd.mss = self.within_half_window(mss - self.option_bytes());
    }

    /// Segments are at most half of the largest window ever offered, as BSD and Linux have it, so
    /// that a peer with a small buffer can have two on their way (RFC 9293 §3.8.6.2.1).
    fn within_half_window(&self, mss: u32) -> u32 {
        let max = self.snd.max_wnd;
        let bound = if max > 536 { max / 2 } else { max };
        let least = SMALLEST - 20 - self.option_bytes();
        if max > 0 && mss > bound { bound.max(least) } else { mss }
    }

    /// The path to the peer carries packets of `pmtu` bytes now. Whether that changed anything.
    pub(crate) fn set_path_mtu(&mut self, pmtu: u16) -> bool {
        let before = self.snd.mss;
        self.pmtu = pmtu;
        self.sync_mss();
        self.snd.mss != before
    }

    /// A router dropped one of our segments because it is larger than `pmtu` (RFC 1191 §6.5; RFC
    /// 5927 §7.1: believed only when the quoted number is in flight): it goes out again at once, cut
    /// to size, and that says nothing of congestion.
    pub(crate) fn on_path_mtu(&mut self, cx: &mut Ctx<'_>, quoted: Seq, pmtu: u16) {
        if !self.is_in_flight(quoted) || pmtu >= self.pmtu {
            return;
        }
        self.soft_error = Some(Errno::EMSGSIZE);
        self.set_path_mtu(pmtu);
        if self.snd.syn_acked && self.state != State::TimeWait {
            self.too_large = true;
            self.on_smaller_mss(cx);
        }
    }

    /// The IPv4 identification of a segment: counted per connection from a random start, also with
    /// DF, as Linux does.
    pub(crate) fn ip_id(&self) -> u16 {
        (self.setup.timestamp_offset as u16).wrapping_add(self.stats.segments_out as u16)
    }

    /// Whether a number quoted by ICMP is one that is on its way (RFC 5927 §4.1).
    pub(crate) fn is_in_flight(&self, quoted: Seq) -> bool {
        quoted.at_or_after(self.snd.una) && quoted.at_or_before(self.snd.nxt)
    }
}
