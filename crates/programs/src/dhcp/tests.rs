//! The server's decisions and its files, without a network.

use core::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use netarium_wire::Mac;
use proptest::prelude::*;

use super::conf::Config;
use super::leases::{Binding, Leases};
use super::server::{LEASES_MAX, Outcome, Port, Server, To};
use super::wire::{address, addresses, decode, encode, kind_of, reply, request, seconds};

const CONF: &str = "
default-lease-time 600; max-lease-time 7200;
authoritative;
subnet 10.0.0.0 netmask 255.255.255.0 {
  range 10.0.0.10 10.0.0.12;   # three
  option routers 10.0.0.1;
}
option domain-name-servers 10.0.0.53, 10.0.0.54;
host printer { hardware ethernet 02:00:00:00:00:99; fixed-address 10.0.0.11; }
";
const ME: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn mac(n: u32) -> Mac {
    let [a, b, c, d] = n.to_be_bytes();
    Mac([2, 1, a, b, c, d])
}

struct Wire {
    server: Server,
    now: u64,
}

impl Wire {
    fn new() -> Wire {
        let config = Config::read(CONF).expect("it is right");
        Wire { server: Server::new(config, Leases::default()), now: 1_000_000 }
    }

    fn ask(&mut self, message: &Message) -> Outcome {
        // What goes over a wire.
        let message = decode(&encode(message)).expect("what is sent is read");
        self.server.handle(self.now, Port { name: "eth0", address: ME }, &message)
    }

    fn discover(&mut self, mac: Mac) -> Option<Ipv4Addr> {
        let (offer, _) = self.ask(&request(1, mac, MessageType::Discover)).answer?;
        assert_eq!(kind_of(&offer), Some(MessageType::Offer));
        Some(offer.yiaddr())
    }

    fn select(&mut self, mac: Mac, wanted: Ipv4Addr, server: Ipv4Addr) -> Outcome {
        let mut m = request(2, mac, MessageType::Request);
        m.opts_mut().insert(DhcpOption::RequestedIpAddress(wanted));
        m.opts_mut().insert(DhcpOption::ServerIdentifier(server));
        self.ask(&m)
    }

    fn lease(&mut self, mac: Mac) -> Option<Ipv4Addr> {
        let offered = self.discover(mac)?;
        let (ack, to) = self.select(mac, offered, ME).answer?;
        assert_eq!(kind_of(&ack), Some(MessageType::Ack));
        assert_eq!(to, To::Station(offered, mac));
        Some(ack.yiaddr())
    }

    fn kind(out: &Outcome) -> Option<MessageType> {
        out.answer.as_ref().and_then(|(m, _)| kind_of(m))
    }
}

#[test]
fn answers_carry_what_the_file_says() {
    let mut w = Wire::new();
    let out = w.ask(&request(7, mac(1), MessageType::Discover));
    let (offer, to) = out.answer.expect("an offer");
    assert_eq!((offer.yiaddr(), to), (ip(10), To::Station(ip(10), mac(1))));
    assert_eq!(addresses(&offer, OptionCode::Router), [ip(1)]);
    assert_eq!(addresses(&offer, OptionCode::DomainNameServer), [ip(53), ip(54)]);
    assert_eq!(address(&offer, OptionCode::SubnetMask), Some(Ipv4Addr::new(255, 255, 255, 0)));
    assert_eq!(address(&offer, OptionCode::ServerIdentifier), Some(ME));
    let times = [OptionCode::AddressLeaseTime, OptionCode::Renewal, OptionCode::Rebinding];
    assert_eq!(times.map(|t| seconds(&offer, t)), [Some(600), Some(300), Some(525)]);
    // Only what the client wants, of what it may do without.
    let mut m = request(7, mac(1), MessageType::Discover);
    m.opts_mut().insert(DhcpOption::ParameterRequestList(vec![OptionCode::Router]));
    m.opts_mut().insert(DhcpOption::AddressLeaseTime(1_000_000));
    let (offer, _) = w.ask(&m).answer.expect("an offer");
    assert!(addresses(&offer, OptionCode::DomainNameServer).is_empty());
    assert_eq!(addresses(&offer, OptionCode::Router), [ip(1)]);
    assert_eq!(seconds(&offer, OptionCode::AddressLeaseTime), Some(7200), "at most");
    // RFC 2131 §4.1: the broadcast bit.
    m.set_flags(dhcproto::v4::Flags::default().set_broadcast());
    assert_eq!(w.ask(&m).answer.expect("an offer").1, To::Everybody);
}

/// RFC 2131 §4.3.1: the reserved one, the old one, the one asked for, a fresh one, the one that has
/// been free for longest; one that was abandoned last of all.
#[test]
fn addresses_are_chosen_in_the_rfcs_order() {
    let mut w = Wire::new();
    let mut asking = request(1, mac(1), MessageType::Discover);
    asking.opts_mut().insert(DhcpOption::RequestedIpAddress(ip(12)));
    assert_eq!(w.ask(&asking).answer.expect("an offer").0.yiaddr(), ip(12), "asked for");
    assert_eq!(w.lease(mac(1)), Some(ip(12)), "offered before");
    assert_eq!(w.lease(mac(2)), Some(ip(10)), "fresh");
    assert_eq!(w.discover(mac(3)), None, "the last one is kept for the printer");
    assert_eq!(w.lease(Mac([2, 0, 0, 0, 0, 0x99])), Some(ip(11)));
    // Both leases end; the older one goes first, but a client that comes back gets its own.
    w.now += 601;
    assert_eq!(w.lease(mac(2)), Some(ip(10)));
    assert_eq!(w.lease(mac(4)), Some(ip(12)));
    // Declined: not given again until nothing else is left.
    let mut m = request(3, mac(4), MessageType::Decline);
    m.opts_mut().insert(DhcpOption::RequestedIpAddress(ip(12)));
    m.opts_mut().insert(DhcpOption::ServerIdentifier(ME));
    let out = w.ask(&m);
    assert!(out.changed && out.note.is_some());
    w.now += 10;
    assert_eq!(w.server.leases.get(ip(12)).map(|l| l.binding), Some(Binding::Abandoned));
    let out = w.ask(&request(1, mac(5), MessageType::Discover));
    assert_eq!(out.log[0], "Reclaiming abandoned lease 10.0.0.12.");
    assert_eq!(w.lease(mac(5)), Some(ip(12)));
    let out = w.ask(&request(1, mac(6), MessageType::Discover));
    assert!(out.answer.is_none());
    assert_eq!(
        out.log,
        ["DHCPDISCOVER from 02:01:00:00:00:06 via eth0: network 10.0.0.0/24: no free leases"]
    );
    assert_eq!(
        out.note.as_deref(),
        Some(
            "no address is left for 02:01:00:00:00:06: of 3 (10.0.0.10 to 10.0.0.12) 2 are leased, \
             0 offered and 1 kept for others; the next one ends in 591 s"
        )
    );
}

/// RFC 2131 §4.3.2.
#[test]
fn requests_are_granted_denied_or_left_alone() {
    let mut w = Wire::new();
    assert_eq!(w.lease(mac(1)), Some(ip(10)));
    // RENEWING: the address stands in ciaddr, the answer goes there.
    let mut renew = request(3, mac(1), MessageType::Request);
    renew.set_ciaddr(ip(10));
    let (ack, to) = w.ask(&renew).answer.expect("renewed");
    assert_eq!((kind_of(&ack), to), (Some(MessageType::Ack), To::Address(ip(10))));
    // SELECTING another server: our offer is free again.
    assert_eq!(w.discover(mac(2)), Some(ip(12)));
    assert!(w.select(mac(2), ip(99), ip(2)).answer.is_none());
    assert_eq!(w.discover(mac(3)), Some(ip(12)));
    // SELECTING us, but not what we offered.
    assert_eq!(Wire::kind(&w.select(mac(3), ip(10), ME)), Some(MessageType::Nak));
    // INIT-REBOOT: ours, somebody else's, another network's, unknown.
    let reboot = |w: &mut Wire, who: Mac, wanted: Ipv4Addr| {
        let mut m = request(4, who, MessageType::Request);
        m.opts_mut().insert(DhcpOption::RequestedIpAddress(wanted));
        Wire::kind(&w.ask(&m))
    };
    assert_eq!(reboot(&mut w, mac(1), ip(10)), Some(MessageType::Ack));
    assert_eq!(reboot(&mut w, mac(4), ip(10)), Some(MessageType::Nak));
    assert_eq!(reboot(&mut w, mac(4), Ipv4Addr::new(10, 9, 9, 9)), Some(MessageType::Nak));
    assert_eq!(reboot(&mut w, mac(4), ip(77)), None, "perhaps another server's");
    w.server.config.authoritative = false;
    assert_eq!(reboot(&mut w, mac(4), Ipv4Addr::new(10, 9, 9, 9)), None);
    // RELEASE, by its owner only.
    let mut release = request(5, mac(4), MessageType::Release);
    release.set_ciaddr(ip(10));
    assert!(!w.ask(&release).changed);
    release.set_chaddr(&mac(1).0);
    assert!(w.ask(&release).changed);
    // INFORM: no address, no time.
    let mut inform = request(6, mac(9), MessageType::Inform);
    inform.set_ciaddr(ip(200));
    let (ack, to) = w.ask(&inform).answer.expect("informed");
    assert_eq!((to, ack.yiaddr()), (To::Address(ip(200)), Ipv4Addr::UNSPECIFIED));
    assert_eq!(seconds(&ack, OptionCode::AddressLeaseTime), None);
    assert_eq!(addresses(&ack, OptionCode::Router), [ip(1)]);
    // A relay's message is dropped, and said so.
    let mut relayed = request(7, mac(9), MessageType::Discover);
    relayed.set_giaddr(ip(254));
    let out = w.ask(&relayed);
    assert!(out.answer.is_none() && out.log[0].contains("relays are not supported"));
}

/// Whoever makes up clients gets at most the pool, and takes no more memory than it.
#[test]
fn a_flood_of_clients_is_bounded() {
    let conf = "subnet 10.0.0.0 netmask 255.0.0.0 { range 10.1.0.0 10.3.255.255; }";
    let config = Config::read(conf).expect("it is right");
    let mut server = Server::new(config, Leases::default());
    let port = Port { name: "eth0", address: ME };
    let mut given = 0;
    for n in 0..LEASES_MAX as u32 + 100 {
        let out = server.handle(1000, port, &request(n, mac(n), MessageType::Discover));
        given += usize::from(out.answer.is_some());
    }
    assert_eq!((given, server.leases.len()), (LEASES_MAX, LEASES_MAX));
}

#[test]
fn the_file_of_leases_reads_back() {
    let mut w = Wire::new();
    w.lease(mac(1));
    w.lease(mac(2));
    let text = w.server.leases.file();
    let again = Leases::read(&text);
    assert_eq!(again.iter().collect::<Vec<_>>(), w.server.leases.iter().collect::<Vec<_>>());
    // What is broken is left out, whatever it is.
    let broken = text.replacen("hardware ethernet ", "hardware ethernet x", 1);
    assert_eq!(Leases::read(&broken).len(), 1);
    for cut in 0..text.len() {
        Leases::read(&text[..cut]);
    }
}

#[test]
fn wrong_configurations_are_refused_with_their_line() {
    for (text, line, what) in [
        ("subnet 10.0.0.1 netmask 255.255.255.0 {}", 1, "bad subnet number/mask"),
        ("\nsubnet 10.0.0.0 netmask 255.0.255.0 {}", 2, "expecting `subnet"),
        ("subnet 10.0.0.0 netmask 255.255.255.0 {\n range 10.0.1.1;\n}", 2, "not on net"),
        ("range 10.0.0.1;", 1, "not known here"),
        ("max-lease-time 0;", 1, "not known here"),
        ("option routers here;", 1, "cannot be read"),
        ("host a { hardware ethernet 02:00; }", 1, "not an Ethernet address"),
        ("shared-network x {}", 1, "unknown block"),
        ("authoritative", 1, "semicolon expected"),
        ("}", 1, "unexpected brace"),
    ] {
        let e = Config::read(text).expect_err(text);
        assert_eq!(e.line, line, "{text}: {}", e.what);
        assert!(e.what.contains(what), "{text}: {}", e.what);
    }
}

proptest! {
    /// Nothing from a wire or a file panics.
    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        text in ".{0,200}",
        from in 0usize..300,
    ) {
        let _ = decode(&bytes);
        let mut message = encode(&request(1, mac(1), MessageType::Discover));
        for (at, b) in bytes.iter().enumerate().take(40) {
            let len = message.len();
            message[(from + at * 7) % len] = *b;
        }
        if let Some(m) = decode(&message) {
            let mut w = Wire::new();
            let out = w.server.handle(1, Port { name: "eth0", address: ME }, &m);
            if let Some((answer, _)) = out.answer {
                encode(&answer);
            }
            encode(&reply(&m, MessageType::Nak));
        }
        let _ = Config::read(&text);
        let _ = Leases::read(&text);
        let _ = Leases::read(&format!("lease {text}"));
    }
}
