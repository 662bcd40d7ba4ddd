//! Reads the notation of packets: `> S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>`.

use netarium_wire::TcpFlags;

use super::ParseError;
use super::lexer::Kind;
use super::packet::{Direction, Ecn, Icmp, Opt, PacketSpec, SegmentSpec, Transport, flags_of};
use super::parser::Parser;

/// What stands in front of the transport.
#[derive(Default)]
struct IpInfo {
    ecn: Option<Ecn>,
    tos: Option<u8>,
    ttl: Option<u8>,
}

const U8: i64 = 0xff;
const U16: i64 = 0xffff;
const U32: i64 = 0xffff_ffff;

impl Parser {
    /// A packet from its `<` or `>` on.
    pub(super) fn packet(&mut self) -> Result<PacketSpec, ParseError> {
        let direction = if self.eat('<') { Direction::In } else { Direction::Out };
        if direction == Direction::Out {
            self.need('>')?;
        }
        if let Some(word @ ("ipv4" | "ipv6" | "gre" | "GREv0" | "mpls")) = self.word() {
            return Err(self.unsupported(format!("encapsulation in {word}")));
        }
        // Older scripts write what an ICMP error is about in front of it.
        let early = match (&self.peek().kind, self.peek_after(1)) {
            (Kind::Char('['), Kind::Int(_)) => self.quoted()?.0,
            _ => None,
        };
        let IpInfo { ecn, tos, ttl } = self.ip_info()?;
        if ecn == Some(Ecn::Ect01) && direction == Direction::In {
            return Err(self.error("[ect01] can only be expected, not sent"));
        }
        let mut ports = None;
        let transport = match self.word() {
            Some("icmp") => {
                self.advance();
                let icmp = self.icmp()?;
                let quoted = icmp.quoted.or(early);
                Transport::Icmp(Icmp { quoted, ..icmp })
            }
            Some("udp") => {
                self.advance();
                ports = self.ports()?;
                self.need('(')?;
                let len = self.int("the bytes of the datagram", U16)? as u16;
                self.need(')')?;
                Transport::Udp(len)
            }
            Some(other @ ("sctp" | "udplite" | "icmpv6" | "raw")) => {
                return Err(self.unsupported(format!("{other} packets")));
            }
            _ if early.is_some() => return Err(self.expected("`icmp`")),
            _ => {
                ports = self.ports()?;
                Transport::Tcp(self.segment(direction)?)
            }
        };
        Ok(PacketSpec { direction, ecn, tos, ttl, ports, transport })
    }

    /// `[ect0]`, `[tos 0x10]`, `(ttl 64)`, or several with commas.
    fn ip_info(&mut self) -> Result<IpInfo, ParseError> {
        let mut info = IpInfo::default();
        let close = match self.peek().kind {
            Kind::Char('[') => ']',
            Kind::Char('(') => ')',
            _ => return Ok(info),
        };
        self.advance();
        loop {
            let word = self.word().unwrap_or_default().to_owned();
            match word.as_str() {
                "noecn" | "nonecn" => info.ecn = Some(Ecn::None),
                "ect0" => info.ecn = Some(Ecn::Ect0),
                "ect1" => info.ecn = Some(Ecn::Ect1),
                "ect01" => info.ecn = Some(Ecn::Ect01),
                "ce" => info.ecn = Some(Ecn::Ce),
                "tos" | "ttl" => {}
                "flowlabel" => return Err(self.unsupported("flow labels: IPv6")),
                _ => return Err(self.expected("`ect0`, `noecn`, `ce`, `tos` or `ttl`")),
            }
            self.advance();
            match word.as_str() {
                "tos" => info.tos = Some(self.int("the TOS byte", U8)? as u8),
                "ttl" => info.ttl = Some(self.int("the time to live", U8)? as u8),
                _ => {}
            }
            if self.eat(close) {
                return Ok(info);
            }
            self.need(',')?;
        }
    }

    fn ports(&mut self) -> Result<Option<(u16, u16)>, ParseError> {
        if !matches!(self.peek().kind, Kind::Int(_)) {
            return Ok(None);
        }
        let from = self.int("the source port", U16)? as u16;
        self.need('>')?;
        let to = self.int("the destination port", U16)? as u16;
        Ok(Some((from, to)))
    }

    fn segment(&mut self, direction: Direction) -> Result<SegmentSpec, ParseError> {
        let flags = self.flags()?;
        let (seq, len) = self.sequence()?;
        let mut segment =
            SegmentSpec { flags, seq, len, ack: 0, window: None, urgent: 0, options: Some(vec![]) };
        if self.eat_word("ack") {
            segment.ack = self.int("the acknowledgement number", U32)? as u32;
        }
        if self.eat_word("win") {
            segment.window = Some(self.int("the window", U16)? as u16);
        }
        if self.eat_word("urg") {
            segment.urgent = self.int("the urgent pointer", U16)? as u16;
        }
        if self.is('<') {
            segment.options = self.options()?;
        }
        if segment.options.is_none() && direction == Direction::In {
            return Err(self.error("`<...>` can only be expected, not sent"));
        }
        if self.is('{') {
            return Err(self.unsupported("packets to be mutated (`{mut …}`)"));
        }
        Ok(segment)
    }

    fn flags(&mut self) -> Result<TcpFlags, ParseError> {
        if self.eat('-') {
            return Ok(TcpFlags::empty());
        }
        let mut letters = self.word().unwrap_or_default().to_owned();
        if !letters.is_empty() {
            self.advance();
        }
        match &self.peek().kind {
            Kind::Char('.') => {
                self.advance();
                letters.push('.');
            }
            Kind::Float(_) => return Err(self.unsupported("the ACE field of AccECN")),
            _ => {}
        }
        if letters.is_empty() {
            return Err(self.expected("TCP flags such as `S`, `P.`, `.` or `-`"));
        }
        flags_of(&letters)
            .map_err(|c| self.error(format!("`{c}` in `{letters}` is not a TCP flag")))
    }

    /// `1:1001(1000)`.
    fn sequence(&mut self) -> Result<(u32, u32), ParseError> {
        self.no_wildcard()?;
        let from = self.int("a sequence number", U32)? as u32;
        self.need(':')?;
        let to = self.int("a sequence number", U32)? as u32;
        self.need('(')?;
        let len = self.int("the bytes of the segment", U16)? as u32;
        if from.wrapping_add(len) != to {
            return Err(self.error(format!("{from} plus {len} bytes is not {to}")));
        }
        self.need(')')?;
        Ok((from, len))
    }

    /// `...` for a single number is not in packetdrill's own language, but in one of its forks.
    fn no_wildcard(&self) -> Result<(), ParseError> {
        match self.peek().kind {
            Kind::Ellipsis => Err(self.unsupported("`...` for a single number")),
            _ => Ok(()),
        }
    }

    /// `<mss 1460,nop>`; none for `<...>`.
    fn options(&mut self) -> Result<Option<Vec<Opt>>, ParseError> {
        self.need('<')?;
        if self.peek().kind == Kind::Ellipsis {
            self.advance();
            self.need('>')?;
            return Ok(None);
        }
        let mut all = Vec::new();
        while !self.eat('>') {
            all.push(self.option()?);
            if !self.eat(',') && !self.is('>') {
                return Err(self.expected("`,` or `>`"));
            }
        }
        let len: usize = all.iter().map(Opt::len).sum();
        if len > netarium_wire::tcp::OPTIONS_MAX {
            return Err(self.error(format!("these options need {len} bytes; a header has 40")));
        }
        Ok(Some(all))
    }

    fn option(&mut self) -> Result<Opt, ParseError> {
        let word = self.word().unwrap_or_default().to_owned();
        if word.is_empty() {
            return Err(self.expected("a TCP option"));
        }
        let known = self.error(format!("`{word}` is not a TCP option this drill knows"));
        self.advance();
        Ok(match word.as_str() {
            "nop" => Opt::Nop,
            "eol" => Opt::Eol,
            "mss" => Opt::Mss(self.int("the MSS", U16)? as u16),
            "wscale" => Opt::Wscale(self.int("the shift", U8)? as u8),
            "sackOK" => Opt::SackOk,
            "sack" => Opt::Sack(self.sack_blocks()?),
            "TS" => {
                if !self.eat_word("val") {
                    return Err(self.expected("`val`"));
                }
                self.no_wildcard()?;
                let val = self.int("the timestamp", U32)? as u32;
                if !self.eat_word("ecr") {
                    return Err(self.expected("`ecr`"));
                }
                Opt::Ts(val, self.int("the timestamp echoed", U32)? as u32)
            }
            "FO" => Opt::Unknown(34, self.blob()?),
            "FOEXP" => Opt::Unknown(254, [vec![0xf9, 0x89], self.blob()?].concat()),
            "md5" => Opt::Unknown(19, self.blob()?),
            "unknown" | "kind" => {
                let kind = self.int("the kind of the option", U8)? as u8;
                Opt::Unknown(kind, self.blob()?)
            }
            "accecn" | "ECN" | "exp" | "mp_capable" | "mp_join" | "dss" | "add_address" => {
                return Err(ParseError { unsupported: true, ..known });
            }
            _ => return Err(known),
        })
    }

    fn sack_blocks(&mut self) -> Result<Vec<(u32, u32)>, ParseError> {
        let mut blocks = Vec::new();
        while matches!(self.peek().kind, Kind::Int(_)) || blocks.is_empty() {
            let from = self.int("the start of a SACK block", U32)? as u32;
            self.need(':')?;
            blocks.push((from, self.int("the end of a SACK block", U32)? as u32));
        }
        Ok(blocks)
    }

    /// Hexadecimal digits; nothing when there are none.
    fn blob(&mut self) -> Result<Vec<u8>, ParseError> {
        let digits = match &self.peek().kind {
            Kind::Word(w) => w.clone(),
            Kind::Int(n) if *n >= 0 => n.to_string(),
            _ => return Ok(Vec::new()),
        };
        let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
        let byte = |i| digits.get(i..i + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        let bytes = bytes.ok_or_else(|| self.expected("hexadecimal digits"))?;
        self.advance();
        Ok(bytes)
    }

    fn icmp(&mut self) -> Result<Icmp, ParseError> {
        let Some(kind) = self.word().map(str::to_owned) else {
            return Err(self.expected("the type of the ICMP message"));
        };
        let code = match self.peek_after(1) {
            Kind::Word(word) if Icmp::is_code(&kind, word) => Some(word.clone()),
            _ => None,
        };
        let Some((number, code_number)) = Icmp::named(&kind, code.as_deref()) else {
            return Err(self.error(format!("`{kind}` is not an ICMP type this drill knows")));
        };
        self.advance();
        if code.is_some() {
            self.advance();
        }
        let (mut mtu, mut id) = (None, 0);
        if self.eat_word("mtu") {
            mtu = Some(self.int("the MTU", U16)? as u16);
        }
        if self.eat_word("id") {
            id = self.int("the identifier", U16)? as u16;
        }
        let (quoted, quotes_udp) = self.quoted()?;
        Ok(Icmp { kind: number, code: code_number, mtu, id, quoted, quotes_udp })
    }

    /// `[1:1461(1460)]` or `[udp (1000)]`: the packet that an ICMP error is about.
    fn quoted(&mut self) -> Result<(Option<(u32, u32)>, bool), ParseError> {
        if !self.eat('[') {
            return Ok((None, false));
        }
        let udp = self.eat_word("udp");
        let quoted = if udp {
            self.need('(')?;
            let len = self.int("the bytes of the datagram", U16)? as u32;
            self.need(')')?;
            (0, len)
        } else {
            self.sequence()?
        };
        self.need(']')?;
        Ok((Some(quoted), udp))
    }
}
