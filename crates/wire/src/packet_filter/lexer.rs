//! Words of an expression.

use core::net::Ipv6Addr;

use super::FilterError;
use crate::eth::Mac;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a name; `\tcp` is a name that is a keyword elsewhere.
    Word(String),
    /// A name behind a backslash.
    Name(String),
    Number(u32),
    /// `10.1`: an address of which only the first parts are given, with its bits.
    Partial(u32, u32, String),
    /// Four numbers that are no address.
    BadAddress(String),
    V6(Ipv6Addr),
    Mac(Mac),
    /// An operator or parenthesis.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 24] = [
    "&&", "||", ">=", "<=", "!=", "==", "<<", ">>", "+", "-", "*", "/", "%", ":", "[", "]", "!",
    "<", ">", "(", ")", "&", "|", "^",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\r', '\n', '\t']);
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (token, len) = match address(rest) {
            Some(found) => found,
            None if first == '=' && !rest.starts_with("==") => (Token::Sign("="), 1),
            None => match SIGNS.iter().find(|s| rest.starts_with(**s)) {
                Some(&"==") => (Token::Sign("="), 2),
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => word(rest)?,
            },
        };
        tokens.push(token);
        rest = &rest[len..];
    }
}

/// Bytes of the text's start that an address or name could have.
fn run(text: &str, more: &[char]) -> usize {
    let letter = |c: char| c.is_ascii_alphanumeric() || more.contains(&c);
    text.find(|c| !letter(c)).unwrap_or(text.len())
}

/// MAC and IPv6 addresses, numbers and parts of IPv4 addresses.
fn address(text: &str) -> Option<(Token, usize)> {
    // Whichever is longest, as a lexer has it.
    let mut found: Option<(Token, usize)> = None;
    let mut offer = |token: Option<Token>, len: usize| {
        if let Some(token) = token
            && found.as_ref().is_none_or(|(_, best)| len > *best)
        {
            found = Some((token, len));
        }
    };
    let colons = run(text, &[':', '.']);
    if text[..colons].contains(':') {
        for end in (1..=colons).rev() {
            let part = &text[..end];
            if let Ok(v6) = part.parse() {
                offer(Some(Token::V6(v6)), end);
                break;
            }
        }
    }
    for separator in [':', '-', '.'] {
        if let Some((mac, len)) = mac(text, separator) {
            offer(Some(Token::Mac(mac)), len);
        }
    }
    let dotted = run(text, &['.']);
    let part = text[..dotted].trim_end_matches('.');
    offer(number_or_partial(part), part.len());
    // A name that is longer is a name: `80-90`, `6to4`.
    found.filter(|(_, len)| name(text).len() <= *len)
}

/// The name at the text's start: it ends with a letter, a digit or a dot.
fn name(text: &str) -> &str {
    text[..run(text, &['-', '_', '.'])].trim_end_matches(['-', '_'])
}

fn mac(text: &str, separator: char) -> Option<(Mac, usize)> {
    let end = text.find(|c: char| !(c.is_ascii_hexdigit() || c == separator)).unwrap_or(text.len());
    let text = &text[..end];
    let parts: Vec<&str> = text.split(separator).collect();
    let mut mac = [0u8; 6];
    match parts.len() {
        6 => {
            for (byte, part) in mac.iter_mut().zip(&parts) {
                if part.is_empty() || part.len() > 2 {
                    return None;
                }
                *byte = u8::from_str_radix(part, 16).ok()?;
            }
        }
        // As Cisco writes them.
        3 if separator == '.' && parts.iter().all(|p| p.len() == 4) => {
            for (two, part) in mac.chunks_exact_mut(2).zip(&parts) {
                two.copy_from_slice(&u16::from_str_radix(part, 16).ok()?.to_be_bytes());
            }
        }
        _ => return None,
    }
    Some((Mac(mac), end))
}

fn number_or_partial(text: &str) -> Option<Token> {
    if !text.contains('.') {
        return number(text).map(Token::Number);
    }
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    if parts.len() > 4 {
        return None;
    }
    if parts.iter().any(|p| *p > 255) {
        return Some(Token::BadAddress(text.to_owned()));
    }
    let value = parts.iter().fold(0u32, |v, p| v << 8 | p);
    Some(Token::Partial(value, parts.len() as u32 * 8, text.to_owned()))
}

/// Decimal, hexadecimal with `0x`, octal with `0`.
fn number(text: &str) -> Option<u32> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    match text.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        Some(octal) => u32::from_str_radix(octal, 8).ok(),
        None => text.parse().ok(),
    }
}

fn word(text: &str) -> Result<(Token, usize), FilterError> {
    if let Some(escaped) = text.strip_prefix('\\') {
        let len = escaped.find(|c: char| " !()\n\t".contains(c)).unwrap_or(escaped.len());
        return Ok((Token::Name(escaped[..len].to_owned()), len + 1));
    }
    let word = name(text);
    if !word.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(FilterError::syntax());
    }
    Ok((Token::Word(word.to_owned()), word.len()))
}

/// What a numeric word stands for: constants of ICMP and TCP.
pub(super) fn constant(word: &str) -> Option<u32> {
    CONSTANTS.iter().find(|c| c.0 == word).map(|c| c.1)
}

const CONSTANTS: &[(&str, u32)] = &[
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
    ("icmp6-redirect", 137),
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
];
