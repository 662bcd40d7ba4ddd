//! Numbers, rates, spans and dates of options.

use netarium_base::Duration;

use super::{Bad, Detour, Pinned};
use crate::cookies::date;

const NUMBER: Bad = Bad::Reason("expected a proper numerical parameter");
const POSITIVE: Bad = Bad::Reason("expected a positive numerical parameter");
const BAD_USE: Bad = Bad::Reason("is badly used here");

/// `-z`: only if changed since (or, with `-` in front, not since) then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::curl) struct TimeCondition {
    /// Seconds since 1970.
    pub(in crate::curl) time: u64,
    /// If-Unmodified-Since instead of If-Modified-Since.
    pub(in crate::curl) unmodified: bool,
}

/// A number from 0.
pub(super) fn count(text: &str) -> Result<u64, Bad> {
    match text.parse::<i64>() {
        Ok(n) => u64::try_from(n).map_err(|_| POSITIVE),
        Err(_) => Err(NUMBER),
    }
}

/// Any number.
pub(super) fn number(text: &str) -> Result<i64, Bad> {
    text.parse().map_err(|_| NUMBER)
}

/// Decimal seconds; 0 means no limit, as in curl.
pub(super) fn seconds(text: &str) -> Result<Option<Duration>, Bad> {
    if text.starts_with('-') {
        return Err(POSITIVE);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let span: Duration = if digits {
        format!("{text}s").parse().map_err(|_| NUMBER)?
    } else {
        return Err(NUMBER);
    };
    Ok((!span.is_zero()).then_some(span))
}

/// `100`, `100k`, `1M`, `2G`: bytes. The error says what to warn of, if anything.
pub(super) fn size(text: &str) -> Result<u64, Option<&'static str>> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let n: u64 = digits.parse().map_err(|_| Some("invalid number specified for rate"))?;
    let factor = match unit {
        "" | "b" | "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(Some("unsupported rate unit. Use G, M, K or B!")),
    };
    n.checked_mul(factor).ok_or(None)
}

/// `-C`.
pub(super) fn offset(text: &str) -> Result<Option<u64>, Bad> {
    if text == "-" { Ok(None) } else { text.parse().map(Some).map_err(|_| NUMBER) }
}

/// `--local-port 4000` or `4000-4200`.
pub(super) fn ports(text: &str) -> Result<(u16, u16), Bad> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) if from <= to && from != 0 => Ok((from, to)),
        _ => Err(BAD_USE),
    }
}

/// `-z`, when it is a date.
pub(super) fn date(text: &str) -> Option<TimeCondition> {
    let (unmodified, rest) = match text.strip_prefix(['-', '=', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    Some(TimeCondition { time: date::parse(rest)?, unmodified })
}

/// `--resolve`. A wrong one fails when it is used, as in curl.
pub(super) fn pinned(text: &str) -> Pinned {
    let mut pin = Pinned {
        text: text.to_owned(),
        host: String::new(),
        port: 0,
        addresses: Vec::new(),
        valid: false,
    };
    let entry = text.strip_prefix('+').unwrap_or(text);
    let mut parts = entry.splitn(3, ':');
    let (Some(host), Some(port), Some(list)) = (parts.next(), parts.next(), parts.next()) else {
        return pin;
    };
    let bare = |a: &str| a.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let addresses: Option<Vec<_>> = list.split(',').map(bare).collect();
    if let (Ok(port), Some(addresses)) = (port.parse(), addresses) {
        pin.host = host.to_ascii_lowercase();
        pin.port = port;
        pin.addresses = addresses;
        pin.valid = !pin.addresses.is_empty();
    }
    pin
}

/// `--connect-to`.
pub(super) fn detour(text: &str) -> Result<Detour, Bad> {
    let mut fields: Vec<String> = Vec::new();
    let mut rest = text;
    while fields.len() < 4 {
        let end = match rest.strip_prefix('[').and_then(|r| r.find(']')) {
            Some(at) => at + 2,
            None => rest.find(':').unwrap_or(rest.len()),
        };
        let (field, after) = rest.split_at(end);
        fields.push(field.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase());
        rest = after.strip_prefix(':').unwrap_or(after);
        if after.is_empty() {
            break;
        }
    }
    let port = |at: usize| match fields.get(at).map(String::as_str) {
        None | Some("") => Ok(None),
        Some(p) => p.parse().map(Some).map_err(|_| BAD_USE),
    };
    let (from_port, to_port) = (port(1)?, port(3)?);
    let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
    Ok(Detour { from_host: field(0), from_port, to_host: field(2), to_port })
}
