//! DNS messages as bytes, and the names of what they hold.

/// Bytes of a message's head.
pub(super) const HEADER: usize = 12;

pub(super) mod kind {
    pub(in crate::dissect) const A: u16 = 1;
    pub(in crate::dissect) const NS: u16 = 2;
    pub(in crate::dissect) const CNAME: u16 = 5;
    pub(in crate::dissect) const SOA: u16 = 6;
    pub(in crate::dissect) const PTR: u16 = 12;
    pub(in crate::dissect) const MX: u16 = 15;
    pub(in crate::dissect) const TXT: u16 = 16;
    pub(in crate::dissect) const AAAA: u16 = 28;
    pub(in crate::dissect) const SRV: u16 = 33;
    pub(in crate::dissect) const DNAME: u16 = 39;
    pub(in crate::dissect) const OPT: u16 = 41;
    pub(in crate::dissect) const URI: u16 = 256;
}

/// A message: what was kept of it.
#[derive(Clone, Copy)]
pub(super) struct Message<'a>(pub(super) &'a [u8]);

impl Message<'_> {
    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub(super) fn word(self, at: usize) -> Option<u16> {
        self.0.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    pub(super) fn long(self, at: usize) -> Option<u32> {
        self.0.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// Behind a name.
    pub(super) fn skip_name(self, mut at: usize) -> Option<usize> {
        loop {
            let len = self.byte(at)?;
            at += 1;
            match len & 0xc0 {
                0xc0 => return Some(at + 1),
                0x00 if len == 0 => return Some(at),
                0x00 => at += usize::from(len),
                _ => return None,
            }
        }
    }

    /// The result code, with what EDNS adds to it (RFC 6891 §6.1.3).
    pub(super) fn result(self, counts: [u16; 4]) -> usize {
        let code = usize::from(self.word(2).unwrap_or(0) & 0x0f);
        code | self.extended(counts).map_or(0, |high| usize::from(high) << 4)
    }

    pub(super) fn extended(self, [questions, answers, authorities, more]: [u16; 4]) -> Option<u8> {
        let mut at = HEADER;
        for _ in 0..questions {
            at = self.skip_name(at)? + 4;
            self.byte(at)?;
        }
        for n in 0..u32::from(answers) + u32::from(authorities) + u32::from(more) {
            at = self.skip_name(at)?;
            let extra = n >= u32::from(answers) + u32::from(authorities);
            if extra && self.word(at)? == kind::OPT {
                return self.byte(at + 4);
            }
            at += 10 + usize::from(self.word(at + 8)?);
            self.byte(at)?;
        }
        None
    }
}

/// `1w2d3h4m5s`
pub(super) fn relative_time(mut seconds: u32) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, letter) in
        [(31_536_000, 'y'), (604_800, 'w'), (86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')]
    {
        if seconds >= unit {
            out.push_str(&format!("{}{letter}", seconds / unit));
            seconds %= unit;
        }
    }
    out
}

pub(super) fn option_name(code: u16) -> Option<&'static str> {
    Some(match code {
        1 => "LLQ",
        2 => "UL",
        3 => "NSID",
        5 => "DAU",
        6 => "DHU",
        7 => "N3U",
        8 => "ECS",
        9 => "EXPIRE",
        10 => "COOKIE",
        11 => "KEEPALIVE",
        12 => "PADDING",
        13 => "CHAIN",
        14 => "KEY-TAG",
        _ => return None,
    })
}

pub(super) fn type_name(ty: u16) -> std::borrow::Cow<'static, str> {
    let name = match ty {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        19 => "X25",
        20 => "ISDN",
        21 => "RT",
        22 => "NSAP",
        23 => "NSAP_PTR",
        24 => "SIG",
        25 => "KEY",
        26 => "PX",
        27 => "GPOS",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        31 => "EID",
        32 => "NIMLOC",
        33 => "SRV",
        34 => "ATMA",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        40 => "SINK",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        99 => "SPF",
        100 => "UINFO",
        101 => "UID",
        102 => "GID",
        103 => "UNSPEC",
        104 => "UNSPECA",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        253 => "MAILB",
        254 => "MAILA",
        255 => "ANY",
        256 => "URI",
        other => return format!("Type{other}").into(),
    };
    name.into()
}
