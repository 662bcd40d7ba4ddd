//! Messages and their bytes. The codec is `dhcproto`'s; its constructors draw a transaction id from
//! the machine's own randomness, which nothing in a world may, so messages start from an empty one
//! that is decoded instead.

use core::net::Ipv4Addr;

use dhcproto::v4::{
    Decodable, Decoder, DhcpOption, Encodable, Encoder, HType, Message, MessageType, Opcode,
    OptionCode,
};
use netarium_wire::Mac;

/// The shortest message: BOOTP's 300 bytes, which old relays and clients insist on (RFC 1542 §2.1).
const LEN_MIN: usize = 300;
/// The longest message that anybody here sends or takes.
pub(super) const LEN_MAX: usize = 1_472;
/// Where the options begin, behind the cookie.
const OPTIONS: usize = 240;

/// A request of a client.
pub(super) fn request(xid: u32, mac: Mac, kind: MessageType) -> Message {
    let mut empty = [0; OPTIONS + 1];
    // BOOTREQUEST, Ethernet, six bytes of address.
    empty[..3].copy_from_slice(&[1, 1, 6]);
    empty[236..].copy_from_slice(&[99, 130, 83, 99, 255]);
    let mut message =
        Message::decode(&mut Decoder::new(&empty)).expect("a header with cookie and end decodes");
    message.set_xid(xid).set_chaddr(&mac.0);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message
}

/// The answer to a message, without options but its kind (RFC 2131 §4.3.1, table 3).
pub(super) fn reply(to: &Message, kind: MessageType) -> Message {
    let mut message = request(to.xid(), mac_of(to), kind);
    message.set_opcode(Opcode::BootReply).set_flags(to.flags()).set_giaddr(to.giaddr());
    message
}

/// The bytes of a message.
pub(super) fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEN_MIN);
    let encoded = message.encode(&mut Encoder::new(&mut bytes));
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    if bytes.len() < LEN_MIN {
        bytes.resize(LEN_MIN, 0);
    }
    bytes
}

/// A DHCP message for Ethernet; `None` for anything else.
pub(super) fn decode(bytes: &[u8]) -> Option<Message> {
    if bytes.get(236..OPTIONS)? != [99, 130, 83, 99] {
        return None;
    }
    let message = Message::decode(&mut Decoder::new(&readable(bytes))).ok()?;
    // The codec believes `hlen` when it is asked for the client's address.
    let ethernet = message.htype() == HType::Eth && message.hlen() == 6;
    (ethernet && kind_of(&message).is_some()).then_some(message)
}

/// The message with no other options than those that are looked at here, each as long as it can be:
/// the codec gives up, or worse, where an option of any kind makes no sense. RFC 2132 §3: nobody has to
/// understand what he does not know.
fn readable(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes[..OPTIONS].to_vec();
    let mut rest = &bytes[OPTIONS..];
    while let Some((&code, behind)) = rest.split_first() {
        if code == 0 {
            rest = behind;
            continue;
        }
        let Some((&len, behind)) = behind.split_first().filter(|_| code != 255) else { break };
        let Some((data, behind)) = behind.split_at_checked(len.into()) else { break };
        let (text, len) = (std::str::from_utf8(data).is_ok(), data.len());
        let makes_sense = match code {
            // Subnet mask, requested address, lease time, server, T1, T2.
            1 | 50 | 51 | 54 | 58 | 59 => len == 4,
            // Routers, name servers.
            3 | 6 => len > 0 && len.is_multiple_of(4),
            // Host name, domain, message.
            12 | 15 | 56 => len > 0 && text,
            // MTU.
            26 => len == 2,
            // Kind of message.
            53 => len == 1,
            // Wanted options, client identifier.
            55 | 61 => len > 0,
            _ => false,
        };
        if makes_sense {
            out.extend_from_slice(&[code, len as u8]);
            out.extend_from_slice(data);
        }
        rest = behind;
    }
    out.push(255);
    out
}

/// What a message is.
pub(super) fn kind_of(message: &Message) -> Option<MessageType> {
    message.opts().msg_type()
}

/// The client's Ethernet address.
pub(super) fn mac_of(message: &Message) -> Mac {
    let mut mac = [0; 6];
    mac.copy_from_slice(&message.chaddr()[..6]);
    Mac(mac)
}

/// An option that holds one address.
pub(super) fn address(message: &Message, code: OptionCode) -> Option<Ipv4Addr> {
    match message.opts().get(code)? {
        DhcpOption::RequestedIpAddress(a)
        | DhcpOption::ServerIdentifier(a)
        | DhcpOption::SubnetMask(a) => Some(*a),
        _ => None,
    }
}

/// An option that holds a number of seconds.
pub(super) fn seconds(message: &Message, code: OptionCode) -> Option<u32> {
    match message.opts().get(code)? {
        DhcpOption::AddressLeaseTime(s) | DhcpOption::Renewal(s) | DhcpOption::Rebinding(s) => {
            Some(*s)
        }
        _ => None,
    }
}

/// An option that holds addresses; empty when it is not there.
pub(super) fn addresses(message: &Message, code: OptionCode) -> Vec<Ipv4Addr> {
    match message.opts().get(code) {
        Some(DhcpOption::Router(all) | DhcpOption::DomainNameServer(all)) => all.clone(),
        _ => Vec::new(),
    }
}

/// An option that holds a text, as far as it is printable: it goes into files and messages.
pub(super) fn text(message: &Message, code: OptionCode) -> Option<String> {
    let text = match message.opts().get(code)? {
        DhcpOption::Hostname(t) | DhcpOption::DomainName(t) | DhcpOption::Message(t) => t,
        _ => return None,
    };
    let plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ';' | '{' | '}');
    let kept: String = text.chars().filter(plain).take(253).collect();
    (!kept.is_empty()).then_some(kept)
}

/// How many bits of a subnet mask are set; `None` for one with gaps.
pub(super) fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (bits.count_ones() == ones).then_some(ones as u8)
}
