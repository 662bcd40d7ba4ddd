//! Sessions: states, time-outs, limits.

mod common;

use common::*;
use netarium_base::{DropReason, Duration};
use netarium_filter::{TcpState, Timeout};
use netarium_wire::TcpFlags;

const C: &str = "192.168.17.20:4000";
const S: &str = "10.0.0.7:80";

impl Router {
    fn client(&mut self, flags: TcpFlags) -> &mut Router {
        self.arrive(INSIDE, &tcp(C, S, flags)).left();
        self
    }

    fn server(&mut self, flags: TcpFlags) -> &mut Router {
        self.arrive(OUTSIDE, &tcp(S, C, flags)).left();
        self
    }

    fn tcp_state(&self) -> (TcpState, Duration) {
        let s = self.sessions();
        assert_eq!(s.len(), 1);
        (s[0].tcp.unwrap(), s[0].remaining)
    }
}

fn established() -> Router {
    let mut r = Router::new();
    r.client(SYN).server(SYN_ACK).client(ACK);
    r
}

#[test]
fn a_connection_from_start_to_end() {
    let mut r = Router::new();
    let secs = Duration::from_secs;
    r.client(SYN);
    assert_eq!(r.tcp_state(), (TcpState::SynSent, secs(120)));
    r.server(SYN_ACK);
    assert_eq!(r.tcp_state(), (TcpState::SynRecv, secs(60)));
    r.client(ACK);
    assert_eq!(r.tcp_state(), (TcpState::Established, secs(432_000)));
    assert!(r.sessions()[0].assured);
    r.client(FIN_ACK);
    assert_eq!(r.tcp_state(), (TcpState::FinWait, secs(120)));
    r.server(ACK);
    assert_eq!(r.tcp_state(), (TcpState::CloseWait, secs(60)));
    r.server(FIN_ACK);
    assert_eq!(r.tcp_state(), (TcpState::LastAck, secs(30)));
    r.client(ACK);
    assert_eq!(r.tcp_state(), (TcpState::TimeWait, secs(120)));
    r.after(secs(119));
    assert_eq!(r.tcp_state(), (TcpState::TimeWait, secs(1)));
    r.after(secs(1));
    assert_eq!(r.filter.session_count(), 0);
    let told = ["new", "answered", "established", "closing", "closing", "closing", "closed"];
    let mut events: Vec<_> = told.map(|t| format!("conntrack {t}")).into();
    events.push("conntrack expired".into());
    assert_eq!(r.events(), events);
    let last = r.trace.records().last().unwrap();
    assert_ne!(last.cause.0, 0, "an expiry results from the last packet");
    assert_ne!(last.flow.0, 0);
}

#[test]
fn five_days_of_silence() {
    let mut r = established();
    let five_days = Duration::from_secs(5 * 86_400);
    let almost = five_days.saturating_sub(Duration::from_nanos(1));
    r.after(almost).client(ACK).after(almost);
    assert_eq!(r.tcp_state().0, TcpState::Established);
    r.after(Duration::from_nanos(1));
    assert_eq!(r.filter.session_count(), 0);
    // RFC 5382's two hours are far below; an answer now finds nothing and begins a new flow.
    r.server(ACK);
    assert_eq!(r.sessions()[0].original.source(), at(S));
}

#[test]
fn deadlines_never_come_late_and_need_no_packet() {
    let mut r = Router::new();
    assert_eq!(r.filter.next_deadline(), None);
    r.client(SYN);
    r.arrive(INSIDE, &udp("192.168.17.20:1", "10.0.0.7:53")).left();
    let mut expired = Vec::new();
    while let Some(due) = r.filter.next_deadline() {
        let wait = due.since(r.now);
        let before = r.filter.session_count();
        r.after(wait);
        if r.filter.session_count() < before {
            expired.push(r.now.as_millis() / 1000);
        }
    }
    assert_eq!(expired, [30, 120]);
    assert_eq!(r.filter.stats().expired, 2);
}

#[test]
fn resets_end_a_connection_soon_and_a_refusal_at_once() {
    let mut r = established();
    r.server(RST);
    assert_eq!(r.tcp_state(), (TcpState::Close, Duration::from_secs(10)));
    r.client(SYN);
    assert_eq!(r.tcp_state().0, TcpState::Close, "the server has to agree, as on Linux");
    let mut r = established();
    r.client(RST);
    r.client(SYN);
    assert_eq!(r.tcp_state().0, TcpState::SynSent, "the port may be used again");
    r.server(RST | ACK);
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn time_wait_gives_way_to_a_new_connection() {
    let mut r = established();
    r.client(FIN_ACK).server(FIN_ACK).client(ACK);
    assert_eq!(r.tcp_state().0, TcpState::TimeWait);
    r.client(SYN);
    assert_eq!(r.tcp_state().0, TcpState::SynSent);
    assert!(!r.sessions()[0].replied);
    assert_eq!(r.sessions()[0].counters[0].packets, 1);
}

#[test]
fn a_server_that_forgot_the_connection_makes_it_a_new_one() {
    let mut r = established();
    r.client(SYN);
    assert_eq!(r.tcp_state().0, TcpState::Established, "a SYN in the middle is ignored");
    // The answer acknowledges the SYN with its seven bytes (sequence number 0).
    let wire = netarium_wire::TcpHeader {
        src_port: 80,
        dst_port: 4000,
        ack: 8,
        flags: SYN_ACK,
        ..Default::default()
    };
    let header = netarium_wire::IpHeader::new(ip(FRIEND), ip(PC));
    let answer = wire.frame(&header, &Default::default(), Default::default());
    r.arrive(OUTSIDE, &answer).left();
    assert_eq!(r.tcp_state().0, TcpState::SynRecv);
}

#[test]
fn picked_up_in_the_middle() {
    let mut r = Router::new();
    r.client(ACK);
    assert_eq!(r.tcp_state(), (TcpState::Established, Duration::from_secs(300)));
    r.server(ACK).client(ACK);
    assert_eq!(r.tcp_state(), (TcpState::Established, Duration::from_secs(432_000)));
    assert!(r.sessions()[0].assured);
}

#[test]
fn simultaneous_open_is_one_connection() {
    let mut r = Router::new();
    r.client(SYN).server(SYN);
    assert_eq!(r.tcp_state().0, TcpState::SynSent2);
    r.client(SYN_ACK).server(SYN_ACK).client(ACK);
    assert_eq!(r.tcp_state().0, TcpState::Established);
}

#[test]
fn udp_becomes_a_stream_after_two_seconds() {
    let mut r = Router::new();
    let (q, a) = (udp("192.168.17.20:1", "10.0.0.7:53"), udp("10.0.0.7:53", "192.168.17.20:1"));
    r.arrive(INSIDE, &q).left();
    r.arrive(OUTSIDE, &a).left();
    r.arrive(INSIDE, &q).left();
    let remaining = |r: &Router| r.sessions()[0].remaining.as_secs();
    assert_eq!((remaining(&r), r.sessions()[0].assured), (30, false));
    r.after(Duration::from_millis(2001));
    r.arrive(INSIDE, &q).left();
    assert_eq!((remaining(&r), r.sessions()[0].assured), (120, true));
}

#[test]
fn a_full_table_makes_room_for_conversations() {
    let mut r = established();
    r.filter.set_session_limit(3);
    r.after(Duration::from_secs(1));
    r.arrive(INSIDE, &tcp("192.168.17.20:1", S, SYN)).left();
    r.after(Duration::from_secs(1));
    r.arrive(INSIDE, &udp("192.168.17.20:2", S)).left();
    r.after(Duration::from_secs(1));
    r.arrive(INSIDE, &tcp("192.168.17.20:3", S, SYN)).left();
    let ports: Vec<_> = {
        let mut p: Vec<_> = r.sessions().iter().map(|s| s.original.sport).collect();
        p.sort_unstable();
        p
    };
    assert_eq!(ports, [2, 3, 4000], "the longest silent unanswered flow went");
    assert_eq!(r.filter.stats().evicted, 1);
    assert_eq!(r.events().iter().filter(|e| *e == "conntrack evicted").count(), 1);
}

#[test]
fn a_table_full_of_conversations_takes_no_more() {
    let mut r = established();
    r.filter.set_session_limit(1);
    let stranger = tcp("192.168.17.20:1", S, SYN);
    assert_eq!(r.arrive(INSIDE, &stranger).dropped(), DropReason::ConntrackFull);
    assert_eq!((r.filter.session_count(), r.filter.stats().full), (1, 1));
    r.client(ACK).server(ACK).client(FIN_ACK).server(FIN_ACK).client(ACK);
    r.arrive(INSIDE, &stranger).left();
    assert_eq!(r.sessions()[0].original.sport, 1, "what is over makes room");
    r.filter.set_session_limit(0);
    assert_eq!(r.arrive(INSIDE, &tcp(C, S, SYN)).dropped(), DropReason::ConntrackFull);
}

#[test]
fn a_shorter_timeout_holds_for_flows_that_exist() {
    let mut r = established();
    r.filter.set_timeout(r.now, Timeout::Established, Duration::from_secs(7200));
    assert_eq!(r.tcp_state().1, Duration::from_secs(7200));
    r.after(Duration::from_secs(7200));
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn fragments_end_here() {
    let mut r = Router::new();
    let mut bytes = udp("192.168.17.20:1", S).to_vec();
    bytes[20] = 0x20; // more fragments
    let f = netarium_wire::Frame::from_bytes(&bytes);
    assert_eq!(r.arrive(INSIDE, &f).dropped(), DropReason::Fragment);
}

#[test]
fn sessions_are_small() {
    let mut r = Router::nat();
    for port in 1024..5024u16 {
        let from = format!("192.168.17.20:{port}").parse().unwrap();
        r.arrive(INSIDE, &tcp_at(from, at(S), SYN)).left();
    }
    assert_eq!((r.filter.session_count(), r.filter.mappings().count()), (4000, 4000));
    assert!(r.filter.bytes_used() / 4000 <= 300, "{} bytes", r.filter.bytes_used() / 4000);
}
