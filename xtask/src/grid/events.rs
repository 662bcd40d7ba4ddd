//! The segments that arrive in a state: each kind below, at the edges of, inside and above the
//! window.

use std::fmt;

use super::states::{PEER_WINDOW, State};

/// A segment of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// The acknowledgement number, when the ACK bit is set.
    pub(super) ack: Option<u32>,
    pub(super) seq: u32,
    /// Bytes of data.
    pub(super) data: u32,
    /// In words, for the script's comment.
    pub(super) what: String,
}

impl Segment {
    /// SEG.LEN: SYN and FIN count (RFC 9293 §3.3.1).
    pub(super) fn len(&self) -> u32 {
        self.data + u32::from(self.syn) + u32::from(self.fin)
    }
}

impl fmt::Display for Segment {
    /// In the script's notation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut flags = String::new();
        for (set, letter) in
            [(self.fin, 'F'), (self.syn, 'S'), (self.rst, 'R'), (self.data > 0, 'P')]
        {
            flags.extend(set.then_some(letter));
        }
        if self.ack.is_some() {
            flags.push('.');
        }
        if flags.is_empty() {
            flags.push('-');
        }
        let end = self.seq.wrapping_add(self.data);
        write!(f, "{flags} {}:{end}({})", self.seq, self.data)?;
        if let Some(ack) = self.ack {
            write!(f, " ack {ack}")?;
        }
        write!(f, " win {PEER_WINDOW}")?;
        if self.syn { f.write_str(" <mss 1460>") } else { Ok(()) }
    }
}

/// The segments for a state, each with the name of its script.
pub(super) fn segments(state: State) -> Vec<(String, Segment)> {
    let v = state.variables();
    let mut all = Vec::new();
    let plain = |what: &str| Segment {
        syn: false,
        fin: false,
        rst: false,
        ack: None,
        seq: v.rcv_nxt,
        data: 0,
        what: what.to_owned(),
    };
    let mut add = |name: &str, segment: Segment| all.push((name.to_owned(), segment));
    if !state.has_numbers() {
        return without_numbers(state);
    }
    for (place, words, seq) in places(state) {
        // In SYN-RECEIVED only the ACK of our SYN is no other mistake.
        let una = Some(if state == State::SynReceived { v.snd_nxt } else { v.snd_una });
        let syn = Segment { syn: true, seq, ..plain(&format!("a SYN {words}")) };
        add(&format!("syn-{place}"), syn.clone());
        let what = format!("a SYN+ACK {words}");
        add(&format!("syn-ack-{place}"), Segment { ack: una, what, ..syn });
        add(
            &format!("rst-{place}"),
            Segment { rst: true, seq, ..plain(&format!("a RST {words}")) },
        );
        let rst_ack = plain(&format!("a RST+ACK {words}"));
        add(&format!("rst-ack-{place}"), Segment { rst: true, seq, ack: una, ..rst_ack });
        let fin = plain(&format!("a FIN {words}"));
        add(&format!("fin-{place}"), Segment { fin: true, seq, ack: una, ..fin });
        let ack = plain(&format!("an ACK {words} for nothing new"));
        add(&format!("ack-seq-{place}"), Segment { seq, ack: una, ..ack });
        let data = plain(&format!("data that begins {words}"));
        add(&format!("data-{place}"), Segment { seq, data: 100, ack: una, ..data });
        let bare = plain(&format!("data without ACK that begins {words}"));
        add(&format!("data-without-ack-{place}"), Segment { seq, data: 100, ..bare });
    }
    let overlap = plain("data that begins below the window and ends inside");
    let seq = v.rcv_nxt - 50;
    add("data-overlaps", Segment { seq, data: 100, ack: Some(v.snd_una), ..overlap });
    let fin = plain("a FIN with data at the left edge of the window");
    add("fin-with-data", Segment { fin: true, data: 100, ack: Some(v.snd_una), ..fin });
    for (name, words, ack) in [
        ("ack-new", "an ACK for everything sent", v.snd_nxt),
        ("ack-old", "an ACK just below what is acknowledged", v.snd_una.wrapping_sub(1)),
        (
            "ack-very-old",
            "an ACK below what the window ever reached",
            v.snd_una.wrapping_sub(40_000),
        ),
        ("ack-above", "an ACK for what was never sent", v.snd_nxt + 1),
        ("ack-far-above", "an ACK far above what was sent", v.snd_nxt + 100_000),
    ] {
        add(name, Segment { ack: Some(ack), ..plain(words) });
        let fin = format!("a FIN with {words}");
        add(&format!("fin-{name}"), Segment { ack: Some(ack), fin: true, ..plain(&fin) });
    }
    add("no-flags", plain("a segment without any flag"));
    all
}

/// Where a segment can begin.
fn places(state: State) -> Vec<(&'static str, &'static str, u32)> {
    let v = state.variables();
    let mut all = vec![
        ("far-below", "far below the window", v.rcv_nxt - 10_000),
        ("below", "just below the window", v.rcv_nxt - 1),
        ("left-edge", "at the left edge of the window", v.rcv_nxt),
        ("inside", "inside the window", v.rcv_nxt + 1000),
        ("far-above", "far above the window", v.rcv_nxt + 100_000),
    ];
    // Behind the peer's FIN the window is nobody's business any more.
    if !state.has_fin() {
        all.push(("right-edge", "at the right edge of the window", v.rcv_nxt + v.rcv_wnd - 1));
        // Not at the very first number above it: Linux takes an empty segment there.
        all.push(("above", "just above the window", v.rcv_nxt + v.rcv_wnd + 1));
    }
    all
}

/// CLOSED, LISTEN and SYN-SENT have no window yet: only flags and acknowledgements matter.
fn without_numbers(state: State) -> Vec<(String, Segment)> {
    let v = state.variables();
    let mut all = Vec::new();
    let acks: &[(&str, &str, u32)] = match state {
        State::SynSent => &[
            ("", "", 1),
            ("-ack-iss", " that acknowledges ISS", 0),
            ("-ack-below", " that acknowledges less than ISS", u32::MAX),
            ("-ack-above", " that acknowledges more than SND.NXT", 2),
        ],
        _ => &[("", "", 7777)],
    };
    for bits in 0..8u32 {
        let (syn, fin, rst) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        for data in [0, 100] {
            let names: Vec<&str> = [(syn, "syn"), (fin, "fin"), (rst, "rst"), (data > 0, "data")]
                .iter()
                .filter_map(|(set, name)| set.then_some(*name))
                .collect();
            let base =
                Segment { syn, fin, rst, ack: None, seq: v.rcv_nxt, data, what: String::new() };
            let words = names.join("+").to_uppercase().replace("DATA", "data");
            if names.is_empty() {
                let what = "a segment without any flag".to_owned();
                all.push(("no-flags".to_owned(), Segment { what, ..base.clone() }));
            } else {
                let what = format!("{words} without ACK");
                all.push((names.join("-"), Segment { what, ..base.clone() }));
            }
            for (suffix, about, ack) in acks {
                let name = [names.as_slice(), &["ack"]].concat().join("-");
                let plus = if words.is_empty() { "" } else { "+" };
                let what = format!("{words}{plus}ACK{about}");
                all.push((
                    format!("{name}{suffix}"),
                    Segment { what, ack: Some(*ack), ..base.clone() },
                ));
            }
        }
    }
    all
}
