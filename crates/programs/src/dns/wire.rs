//! Messages over TCP: each behind its length in two bytes (RFC 1035 §4.2.2). What happens is told to
//! the trace here, too.

use core::net::{IpAddr, SocketAddr};
use std::io;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use netarium_base::{Event, FlowId};
use netarium_world::process::{Process, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::text;

/// Reads one message; `None` at the end of the stream.
pub(crate) async fn read_message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// Writes one message, length and all in one piece (RFC 7766 §8).
pub(crate) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await
}

/// Asks one server over a connection of its own. The caller sees to time.
pub(crate) async fn ask_tcp(
    process: &Process,
    server: SocketAddr,
    query: &[u8],
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(process, server).await?;
    write_message(&mut stream, query).await?;
    read_message(&mut stream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Away from here.
    Sent,
    /// To here.
    Received,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Side::Sent => "sent",
            Side::Received => "received",
        }
    }
}

/// Tells the trace about a query. What follows in this task is caused by it.
pub(crate) fn note_query(process: &Process, side: Side, peer: IpAddr, query: &Message) {
    let Some(question) = query.queries.first() else { return };
    process.emit(FlowId::NONE, || Event::DnsQuery {
        side: side.word(),
        name: text::bare(question.name()).into(),
        kind: text::rtype(question.query_type()).into(),
        id: query.metadata.id,
        peer,
    });
}

/// Tells the trace about a response.
pub(crate) fn note_response(process: &Process, side: Side, peer: IpAddr, response: &Message) {
    let question = response.queries.first();
    process.emit(FlowId::NONE, || Event::DnsResponse {
        side: side.word(),
        name: question.map_or_else(String::new, |q| text::bare(q.name())).into(),
        kind: question.map_or_else(String::new, |q| text::rtype(q.query_type())).into(),
        rcode: response.metadata.response_code.into(),
        answers: u16::try_from(response.answers.len()).unwrap_or(u16::MAX),
        peer,
    });
}

/// Tells the trace about a step on the way to an answer.
pub(crate) fn note_step(
    process: &Process,
    step: &'static str,
    name: &Name,
    rtype: RecordType,
    detail: impl FnOnce() -> String,
) {
    process.emit(FlowId::NONE, || Event::DnsStep {
        step,
        name: format!("{} {}", text::bare(name), text::rtype(rtype)).into(),
        detail: detail().into(),
    });
}
