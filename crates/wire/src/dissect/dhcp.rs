//! DHCP (RFC 2131, options of RFC 2132), in tcpdump's words.

use core::net::Ipv4Addr;

use super::{Cut, Printer, Seen};
use crate::eth::Mac;
use crate::frame::{be16, be32};

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const PARAMETERS: u8 = 55;
const MESSAGE_TYPE: u8 = 53;

/// How an option's value is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Addresses,
    Pairs,
    Longs,
    Signed,
    Shorts,
    Bytes,
    Text,
    Switches,
    Overload,
    ClientId,
    Fqdn,
    Routes,
    NodeType,
    UserClass,
    AgentInformation,
    None,
}

use Form::{
    Addresses as I, AgentInformation, Bytes as B, ClientId, Fqdn, Longs as L, NodeType, Overload,
    Pairs as P, Routes, Shorts as S, Signed as SL, Switches as W, Text as A, UserClass,
};

const OPTIONS: &[(u8, Form, &str)] = &[
    (0, Form::None, "PAD"),
    (1, I, "Subnet-Mask"),
    (2, SL, "Time-Zone"),
    (3, I, "Default-Gateway"),
    (4, I, "Time-Server"),
    (5, I, "IEN-Name-Server"),
    (6, I, "Domain-Name-Server"),
    (7, I, "LOG"),
    (8, I, "CS"),
    (9, I, "LPR-Server"),
    (10, I, "IM"),
    (11, I, "RL"),
    (12, A, "Hostname"),
    (13, S, "BS"),
    (14, A, "DP"),
    (15, A, "Domain-Name"),
    (16, I, "SS"),
    (17, A, "RP"),
    (18, A, "EP"),
    (19, W, "IPF"),
    (20, W, "SRT"),
    (21, P, "PF"),
    (22, S, "RSZ"),
    (23, B, "TTL"),
    (24, L, "MTU-Timeout"),
    (25, S, "MTU-Table"),
    (26, S, "MTU"),
    (27, W, "LSN"),
    (28, I, "BR"),
    (29, W, "MD"),
    (30, W, "MS"),
    (31, W, "Router-Discovery"),
    (32, I, "RSA"),
    (33, P, "Static-Route"),
    (34, W, "UT"),
    (35, L, "AT"),
    (36, W, "IE"),
    (37, B, "TT"),
    (38, L, "KI"),
    (39, W, "KG"),
    (40, A, "YD"),
    (41, I, "YS"),
    (42, I, "NTP"),
    (43, B, "Vendor-Option"),
    (44, I, "Netbios-Name-Server"),
    (45, I, "WDD"),
    (46, NodeType, "Netbios-Node"),
    (47, A, "Netbios-Scope"),
    (48, I, "XFS"),
    (49, I, "XDM"),
    (50, I, "Requested-IP"),
    (51, L, "Lease-Time"),
    (52, Overload, "OO"),
    (53, Form::None, "DHCP-Message"),
    (54, I, "Server-ID"),
    (55, B, "Parameter-Request"),
    (56, A, "MSG"),
    (57, S, "MSZ"),
    (58, L, "RN"),
    (59, L, "RB"),
    (60, A, "Vendor-Class"),
    (61, ClientId, "Client-ID"),
    (64, S, "N+D"),
    (65, I, "N+S"),
    (66, A, "TFTP"),
    (67, A, "BF"),
    (68, I, "MH"),
    (69, I, "SMTP"),
    (70, I, "POP3"),
    (71, I, "NNTP"),
    (72, I, "WWW"),
    (73, I, "FG"),
    (74, I, "IRC"),
    (75, I, "STS"),
    (76, I, "STDA"),
    (77, UserClass, "User-Class"),
    (78, B, "SLP-DA"),
    (79, B, "SLP-SCOPE"),
    (80, A, "SLP-NA"),
    (81, Fqdn, "FQDN"),
    (82, AgentInformation, "Agent-Information"),
    (83, B, "ARMT"),
    (88, A, "TZSTR"),
    (89, B, "FQDNS"),
    (90, B, "AUTH"),
    (91, SL, "Last-Transaction-Time"),
    (92, I, "Associated-IP"),
    (93, S, "ARCH"),
    (94, B, "NDI"),
    (95, A, "LDAP"),
    (97, B, "GUID"),
    (98, A, "UAP"),
    (100, A, "POSIX-TZ"),
    (101, A, "TZ-Name"),
    (112, I, "NI"),
    (113, A, "NITAG"),
    (114, A, "URL"),
    (116, W, "NOAUTO"),
    (117, S, "NSSEARCH"),
    (118, I, "SUBNET"),
    (121, Routes, "Classless-Static-Route"),
    (150, I, "TFTP-Server-Address"),
    (161, A, "MUD-URL"),
    (249, Routes, "Classless-Static-Route-Microsoft"),
    (255, Form::None, "END"),
];

fn option(tag: u8) -> Option<(Form, &'static str)> {
    OPTIONS.iter().find(|o| o.0 == tag).map(|o| (o.1, o.2))
}

impl Printer<'_> {
    pub(super) fn dhcp(&mut self, seen: Seen<'_>) -> Result<(), Cut> {
        let operation = seen.need(1, "bootp")?[0];
        match operation {
            1 => put!(self, "BOOTP/DHCP, Request"),
            2 => put!(self, "BOOTP/DHCP, Reply"),
            other => put!(self, "BOOTP/DHCP, unknown (0x{other:02x})"),
        }
        let head = seen.need(3, "bootp")?;
        let ethernet = head[1] == 1 && head[2] == 6;
        let mac = |b: &[u8]| Mac(std::array::from_fn(|i| b[28 + i]));
        if ethernet && operation == 1 {
            put!(self, " from {}", mac(seen.need(34, "bootp")?));
        }
        put!(self, ", length {}", seen.len);
        if self.o.verbose == 0 {
            return Ok(());
        }
        let b = seen.need(10, "bootp")?;
        if b[1] != 1 {
            put!(self, ", htype {}", b[1]);
        }
        if !ethernet {
            put!(self, ", hlen {}", b[2]);
        }
        if b[3] != 0 {
            put!(self, ", hops {}", b[3]);
        }
        if be32(b, 4) != 0 {
            put!(self, ", xid 0x{:x}", be32(b, 4));
        }
        if be16(b, 8) != 0 {
            put!(self, ", secs {}", be16(b, 8));
        }
        let flags = be16(seen.need(12, "bootp")?, 10);
        put!(self, ", Flags [{}]", if flags & 0x8000 != 0 { "Broadcast" } else { "none" });
        if self.o.verbose > 1 {
            put!(self, " (0x{flags:04x})");
        }
        for (at, name) in [(12, "Client"), (16, "Your"), (20, "Server"), (24, "Gateway")] {
            let address = be32(seen.need(at + 4, "bootp")?, at);
            if address != 0 {
                let address = self.host(Ipv4Addr::from(address).into());
                put!(self, "\n\t  {name}-IP {address}");
            }
        }
        if ethernet {
            put!(self, "\n\t  Client-Ethernet-Address {}", mac(seen.need(34, "bootp")?));
        }
        self.dhcp_text(seen, 44, 64, "sname")?;
        self.dhcp_text(seen, 108, 128, "file")?;
        let vendor = seen.need(240, "bootp")?;
        if vendor[236..240] == COOKIE {
            put!(self, "\n\t  Vendor-rfc1048 Extensions");
            put!(self, "\n\t    Magic Cookie 0x{:08x}", be32(vendor, 236));
            return self.dhcp_options(seen.skip(240));
        }
        if be32(vendor, 236) != 0 {
            put!(self, "\n\t  Vendor-#0x{:x}", be32(vendor, 236));
        }
        Ok(())
    }

    /// A field of text, when there is something in it.
    fn dhcp_text(&mut self, seen: Seen<'_>, at: usize, len: usize, name: &str) -> Result<(), Cut> {
        if seen.need(at + 1, "bootp")?[at] == 0 {
            return Ok(());
        }
        let field = &seen.b[at..seen.b.len().min(at + len)];
        let end = field.iter().position(|b| *b == 0);
        put!(self, "\n\t  {name} \"");
        self.printable(&field[..end.unwrap_or(field.len())]);
        put!(self, "\"");
        if end.is_none() { Err(Cut::here("bootp")) } else { Ok(()) }
    }

    fn dhcp_options(&mut self, mut rest: Seen<'_>) -> Result<(), Cut> {
        while let Some(&tag) = rest.b.first() {
            rest = rest.skip(1);
            let terse = self.o.verbose < 3;
            match tag {
                0 if terse => continue,
                255 if terse => return Ok(()),
                _ => {}
            }
            let known = option(tag);
            let name = known.map_or("Unknown", |k| k.1);
            let empty = matches!(tag, 0 | 255);
            let len = if empty { 0 } else { usize::from(rest.need(1, "bootp")?[0]) };
            rest = rest.skip(usize::from(!empty));
            put!(self, "\n\t    {name} ({tag}), length {len}{}", if len > 0 { ": " } else { "" });
            if tag == 0 {
                let more = rest.b.iter().take_while(|b| **b == 0).count();
                rest = rest.skip(more);
                if more > 0 {
                    put!(self, ", occurs {}", more + 1);
                }
            }
            let value = rest.need(len, "bootp")?;
            rest = rest.skip(len);
            match tag {
                MESSAGE_TYPE if len == 1 => put!(self, "{}", message(value[0])),
                PARAMETERS => self.dhcp_parameters(value),
                _ => {
                    // What is unknown is printed by its length.
                    let by_length = match len {
                        n if n % 2 == 1 => B,
                        n if n % 4 == 2 => S,
                        _ => L,
                    };
                    self.dhcp_value(known.map_or(by_length, |k| k.0), value);
                }
            }
        }
        Ok(())
    }

    fn dhcp_parameters(&mut self, tags: &[u8]) {
        for (n, &tag) in tags.iter().enumerate() {
            let name = option(tag).map_or("Unknown", |o| o.1);
            put!(self, "{}{name} ({tag})", if n % 4 == 0 { "\n\t      " } else { ", " });
        }
    }

    fn dhcp_value(&mut self, form: Form, value: &[u8]) {
        let longs = || value.chunks_exact(4).map(|c| be32(c, 0));
        let address = |p: &Self, n: u32| p.host(Ipv4Addr::from(n).into());
        let parts: Vec<String> = match form {
            Form::Addresses => longs().map(|n| address(self, n)).collect(),
            Form::Longs => longs().map(|n| n.to_string()).collect(),
            Form::Signed => longs().map(|n| (n as i32).to_string()).collect(),
            Form::Pairs => value
                .chunks_exact(8)
                .map(|c| format!("({}:{})", address(self, be32(c, 0)), address(self, be32(c, 4))))
                .collect(),
            Form::Shorts => value.chunks_exact(2).map(|c| be16(c, 0).to_string()).collect(),
            Form::Switches => value.iter().map(|b| switch(*b)).collect(),
            Form::Text => {
                put!(self, "\"");
                self.printable(value);
                put!(self, "\"");
                return;
            }
            Form::Overload => {
                return self.dhcp_name(value, &[(1, "file"), (2, "sname"), (3, "file+sname")]);
            }
            Form::NodeType => {
                let names = [(1, "b-node"), (2, "p-node"), (4, "m-node"), (8, "h-node")];
                return self.dhcp_name(value, &names);
            }
            Form::UserClass => return self.dhcp_user_class(value),
            Form::AgentInformation => return self.dhcp_agent(value),
            Form::ClientId => return self.dhcp_client_id(value),
            Form::Fqdn => return self.dhcp_fqdn(value),
            Form::Routes => return self.dhcp_routes(value),
            Form::Bytes | Form::None => {
                let bytes: Vec<String> = value.iter().map(u8::to_string).collect();
                put!(self, "{}", bytes.join("."));
                return;
            }
        };
        put!(self, "{}", parts.join(","));
        let size = match form {
            Form::Addresses | Form::Longs | Form::Signed => 4,
            Form::Pairs => 8,
            Form::Shorts => 2,
            _ => 1,
        };
        self.dhcp_trailing(value.len() % size);
    }

    fn dhcp_trailing(&mut self, len: usize) {
        if len > 0 {
            put!(self, "\n\t  trailing data length {len}");
        }
    }

    /// A number of one byte that has a name.
    fn dhcp_name(&mut self, value: &[u8], names: &[(u8, &str)]) {
        let Some((number, rest)) = value.split_first() else {
            put!(self, "[ERROR: length < 1 bytes]");
            return;
        };
        match names.iter().find(|n| n.0 == *number) {
            Some((_, name)) => put!(self, "{name}"),
            None => put!(self, "#{number}"),
        }
        self.dhcp_trailing(rest.len());
    }

    /// RFC 3004.
    fn dhcp_user_class(&mut self, value: &[u8]) {
        if value.len() < 2 {
            put!(self, "[ERROR: length < 2 bytes]");
            return;
        }
        let mut rest = value;
        let mut instance = 0;
        while let Some((&len, behind)) = rest.split_first() {
            instance += 1;
            put!(self, "\n\t      instance#{instance}: ");
            let Some((class, behind)) = behind.split_at_checked(len.into()) else {
                put!(self, "[ERROR: invalid option]");
                return;
            };
            if class.is_empty() {
                put!(self, "[ERROR: suboption length must be non-zero]");
                return;
            }
            put!(self, "\"");
            self.printable(class);
            put!(self, "\", length {len}");
            rest = behind;
        }
    }

    /// RFC 3046.
    fn dhcp_agent(&mut self, value: &[u8]) {
        let mut rest = value;
        while let [kind, len, behind @ ..] = rest {
            let name = match kind {
                1 => "Circuit-ID",
                2 => "Remote-ID",
                6 => "Subscriber-ID",
                _ => "Unknown",
            };
            put!(self, "\n\t      {name} SubOption {kind}, length {len}: ");
            let Some((data, behind)) = behind.split_at_checked(usize::from(*len)) else {
                put!(self, "length goes past end of option");
                return;
            };
            match kind {
                1 | 2 | 6 => self.printable(data),
                _ => super::hex::numbers_at(&mut self.out, "\n\t\t", data),
            }
            rest = behind;
        }
        self.dhcp_trailing(rest.len());
    }

    fn dhcp_client_id(&mut self, value: &[u8]) {
        let Some((kind, id)) = value.split_first() else {
            put!(self, "[ERROR: length < 1 bytes]");
            return;
        };
        match kind {
            0 => {
                put!(self, "\"");
                self.printable(id);
                put!(self, "\"");
                return;
            }
            1 => put!(self, "ether "),
            6 => put!(self, "ieee802 "),
            7 => put!(self, "arcnet "),
            15 => put!(self, "frelay "),
            23 => put!(self, "strip "),
            24 => put!(self, "ieee1394 "),
            other => put!(self, "hardware-type {other}, "),
        }
        let bytes: Vec<String> = id.iter().map(|b| format!("{b:02x}")).collect();
        put!(self, "{}", bytes.join(":"));
    }

    /// RFC 4702 §2.
    fn dhcp_fqdn(&mut self, value: &[u8]) {
        let [flags, first, second, name @ ..] = value else {
            put!(self, "[ERROR: length < 3 bytes]");
            return;
        };
        if flags & 0xf0 != 0 {
            put!(self, "[ERROR: MBZ nibble 0x{:x} != 0] ", flags >> 4);
        }
        if flags & 0x0f != 0 {
            let letters = [(1, 'S'), (2, 'O'), (4, 'E'), (8, 'N')];
            let set: String = letters.iter().filter(|l| flags & l.0 != 0).map(|l| l.1).collect();
            put!(self, "[{set}] ");
        }
        if *first != 0 || *second != 0 {
            put!(self, "{first}/{second} ");
        }
        put!(self, "\"");
        self.printable(name);
        put!(self, "\"");
    }

    /// RFC 3442.
    fn dhcp_routes(&mut self, value: &[u8]) {
        if value.len() < 5 {
            put!(self, "[ERROR: length < 5 bytes]");
            return;
        }
        let mut rest = value;
        let mut first = true;
        while let Some((&width, behind)) = rest.split_first() {
            if !std::mem::take(&mut first) {
                put!(self, ",");
            }
            if width > 32 {
                put!(self, "[ERROR: Mask width ({width}) > 32]");
                return;
            }
            let octets = usize::from(width).div_ceil(8);
            if behind.len() < octets + 4 {
                put!(self, "[ERROR: Remaining length ({}) < {} bytes]", behind.len(), octets + 4);
                return;
            }
            let (network, behind) = behind.split_at(octets);
            let mut to = [0; 4];
            to[..octets].copy_from_slice(network);
            let router = self.host(Ipv4Addr::from(be32(behind, 0)).into());
            match width {
                0 => put!(self, "(default:{router})"),
                _ => put!(self, "({}/{width}:{router})", Ipv4Addr::from(to)),
            }
            rest = &behind[4..];
        }
    }
}

fn switch(b: u8) -> String {
    match b {
        0 => "N".to_owned(),
        1 => "Y".to_owned(),
        other => format!("{other}?"),
    }
}

fn message(kind: u8) -> String {
    const NAMES: [&str; 8] =
        ["Discover", "Offer", "Request", "Decline", "ACK", "NACK", "Release", "Inform"];
    let known = NAMES.get(usize::from(kind).wrapping_sub(1)).map(|n| (*n).to_owned());
    known
        .or_else(|| (kind == 10).then(|| "LeaseQuery".to_owned()))
        .unwrap_or_else(|| format!("Unknown ({kind})"))
}
