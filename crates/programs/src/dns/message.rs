//! Messages: reading them from strangers, and writing them within a limit.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

/// The longest message over UDP without EDNS (RFC 1035 §2.3.4).
pub(crate) const PLAIN_MAX: usize = 512;
/// What we say we take over UDP, and the most we send: fits every path without fragments (DNS Flag
/// Day 2020).
pub(crate) const EDNS_SIZE: u16 = 1_232;
/// The longest message over TCP.
pub(crate) const TCP_MAX: usize = 65_535;
/// Bytes of a header.
pub(crate) const HEADER: usize = 12;

/// A message's first bytes, which can be told even when the rest is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its id.
    pub(crate) id: u16,
    /// It is a response (QR).
    pub(crate) response: bool,
    /// What is asked to be done.
    pub(crate) opcode: u8,
    /// Recursion is desired (RD).
    pub(crate) rd: bool,
}

impl Head {
    /// The head of a message; `None` when it has not even a header.
    pub(crate) fn of(bytes: &[u8]) -> Option<Head> {
        if bytes.len() < HEADER {
            return None;
        }
        Some(Head {
            id: u16::from_be_bytes([bytes[0], bytes[1]]),
            response: bytes[2] & 0x80 != 0,
            opcode: bytes[2] >> 3 & 0xf,
            rd: bytes[2] & 1 != 0,
        })
    }

    /// An answer without a question.
    pub(crate) fn error(self, code: ResponseCode) -> Message {
        let mut message = Message::error_msg(self.id, OpCode::from_u8(self.opcode), code);
        message.metadata.recursion_desired = self.rd;
        message
    }
}

/// Reads a message; `None` when it is malformed.
pub(crate) fn decode(bytes: &[u8]) -> Option<Message> {
    Message::from_vec(bytes).ok()
}

/// A query for one question.
pub(crate) fn query(id: u16, name: Name, rtype: RecordType) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, rtype));
    message
}

/// Whether a response is about this question, in any case of letters.
pub(crate) fn answers(response: &Message, name: &Name, rtype: RecordType) -> bool {
    matches!(response.queries.as_slice(), [q] if q.name() == name
        && q.query_type() == rtype
        && q.query_class() == DNSClass::IN)
}

/// The bytes of a message, at most `limit` of them. What does not fit is left out, the additional
/// section first, and that without a word unless it is needed (`glue`, RFC 9471 §3.1); when more
/// must go, all records go and TC tells so.
pub(crate) fn encode(message: &mut Message, limit: usize, glue: bool) -> Vec<u8> {
    if let Some(bytes) = fitting(message, limit) {
        return bytes;
    }
    if !message.additionals.is_empty() && !glue {
        message.additionals.clear();
        if let Some(bytes) = fitting(message, limit) {
            return bytes;
        }
    }
    message.metadata.truncation = true;
    message.answers.clear();
    message.authorities.clear();
    message.additionals.clear();
    fitting(message, TCP_MAX).unwrap_or_default()
}

fn fitting(message: &Message, limit: usize) -> Option<Vec<u8>> {
    message.to_vec().ok().filter(|bytes| bytes.len() <= limit)
}
