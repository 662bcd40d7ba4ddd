//! One question to one server: ids, ports and letters by chance, time-outs, TCP after truncation, a
//! second try without EDNS, and what is not an answer to it refused (RFC 5452).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use netarium_base::{Duration, Instant};
use netarium_world::process::UdpSocket;

use super::Resolver;
use crate::dns::message::{self, EDNS_SIZE, TCP_MAX};
use crate::dns::text;
use crate::dns::wire::{self, Side, note_step};
use crate::wait::within;

/// How often another source port is tried when one is taken.
const PORT_TRIES: usize = 8;
/// Ports from here on are used as sources.
const FIRST_PORT: u32 = 1_024;
/// How long TCP may take.
const TCP_WAIT: Duration = Duration::from_secs(10);
/// How many wrong answers are looked at before the question is given up.
const STRANGERS_MAX: usize = 100;

/// Why a server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing came in time.
    Timeout,
    /// The network says that there is no server, or no way to it.
    Network(String),
}

/// A question for a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a Name,
    pub(super) rtype: RecordType,
    pub(super) server: SocketAddr,
    /// RD: the server is a resolver.
    pub(super) recurse: bool,
}

impl Resolver {
    /// Asks a server, and once more where the answer says how.
    pub(super) async fn exchange(&self, question: Question<'_>) -> Result<Message, Silence> {
        let (address, process) = (question.server.ip(), &self.process);
        let edns = self.infra.borrow_mut().edns(process.now(), address);
        let mut response = self.over_udp(question, edns).await?;
        // RFC 6891 §7: a server that does not understand says FORMERR or NOTIMP, without an OPT record.
        let code = response.metadata.response_code;
        if edns
            && response.edns.is_none()
            && matches!(code, ResponseCode::FormErr | ResponseCode::NotImp)
        {
            note_step(process, "no-edns", question.name, question.rtype, || {
                format!("{address} does not understand EDNS; asked again without")
            });
            self.infra.borrow_mut().no_edns(process.now(), address);
            response = self.over_udp(question, false).await?;
        }
        if response.metadata.truncation {
            note_step(process, "truncated", question.name, question.rtype, || {
                format!("the answer of {address} is too long for UDP; asked again over TCP")
            });
            response = self.over_tcp(question, edns).await?;
        }
        Ok(response)
    }

    fn query(&self, question: Question<'_>, edns: bool) -> Message {
        let mut rng = self.rng.borrow_mut();
        let name = if self.config.caps {
            mixed_case(question.name, &mut rng)
        } else {
            question.name.clone()
        };
        let mut query = message::query(rng.next_u32() as u16, name, question.rtype);
        query.metadata.recursion_desired = question.recurse;
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(EDNS_SIZE);
            query.set_edns(edns);
        }
        query
    }

    async fn over_udp(&self, question: Question<'_>, edns: bool) -> Result<Message, Silence> {
        let (process, server) = (&self.process, question.server);
        let query = self.query(question, edns);
        let bytes = query.to_vec().map_err(|e| Silence::Network(e.to_string()))?;
        let network = |e: std::io::Error| Silence::Network(e.to_string());
        let socket = self.socket(server).map_err(network)?;
        wire::note_query(process, Side::Sent, server.ip(), &query);
        self.count(|c| c.sent += 1);
        let start = process.now();
        let wait = self.infra.borrow_mut().timeout(start, server.ip());
        let answer = async {
            socket.send(&bytes).await.map_err(network)?;
            self.await_answer(&socket, &query, question).await
        };
        match within(process, Some(start + wait), answer).await {
            Some(Ok(response)) => Ok(self.heard(question, response, start)),
            Some(Err(e)) => {
                self.infra.borrow_mut().timed_out(process.now(), server.ip());
                Err(e)
            }
            None => {
                self.infra.borrow_mut().timed_out(process.now(), server.ip());
                self.count(|c| c.timeouts += 1);
                note_step(process, "timeout", question.name, question.rtype, || {
                    format!("{} did not answer in {} ms", server.ip(), wait.as_millis())
                });
                Err(Silence::Timeout)
            }
        }
    }

    /// A socket with a source port by chance, that hears only the server.
    fn socket(&self, server: SocketAddr) -> std::io::Result<UdpSocket> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut tries = 0;
        let socket = loop {
            let port = FIRST_PORT + self.rng.borrow_mut().below(65_536 - FIRST_PORT);
            match UdpSocket::bind(&self.process, SocketAddr::new(any, port as u16)) {
                Ok(socket) => break socket,
                Err(e) if tries == PORT_TRIES => return Err(e),
                Err(_) => tries += 1,
            }
        };
        socket.connect(server)?;
        Ok(socket)
    }

    async fn await_answer(
        &self,
        socket: &UdpSocket,
        query: &Message,
        question: Question<'_>,
    ) -> Result<Message, Silence> {
        let mut buffer = vec![0; TCP_MAX];
        for _ in 0..STRANGERS_MAX {
            let (n, meta) =
                socket.recv_from(&mut buffer).await.map_err(|e| Silence::Network(e.to_string()))?;
            self.process.follow(meta.cause);
            match self.accept(query, &buffer[..n]) {
                Ok(response) => return Ok(response),
                Err(why) => {
                    self.count(|c| c.rejected += 1);
                    let (name, from) = (question.name, meta.from);
                    note_step(&self.process, "rejected", name, question.rtype, || {
                        format!("a message from {from} is not the answer: {why}")
                    });
                    self.log.say("info", &format!("unwanted reply from {from}: {why}"));
                }
            }
        }
        Err(Silence::Timeout)
    }

    /// Whether these bytes answer a query (RFC 5452 §9.1); otherwise why not.
    fn accept(&self, query: &Message, bytes: &[u8]) -> Result<Message, String> {
        let head = message::Head::of(bytes).ok_or("it is shorter than a header")?;
        if !head.response {
            return Err("it is a query".to_owned());
        }
        if head.id != query.metadata.id {
            return Err(format!("its id is {}, not {}", head.id, query.metadata.id));
        }
        let response = message::decode(bytes).ok_or("it is malformed")?;
        let asked = &query.queries[0];
        // Some servers leave the question out when they refuse it.
        let bare =
            response.queries.is_empty() && response.metadata.response_code != ResponseCode::NoError;
        if !bare && !message::answers(&response, asked.name(), asked.query_type()) {
            return Err("it answers another question".to_owned());
        }
        if self.config.caps && !bare && !response.queries[0].name().eq_case(asked.name()) {
            return Err("the letters of its question are not as they were asked".to_owned());
        }
        Ok(response)
    }

    async fn over_tcp(&self, question: Question<'_>, edns: bool) -> Result<Message, Silence> {
        let (process, server) = (&self.process, question.server);
        let query = self.query(question, edns);
        let bytes = query.to_vec().map_err(|e| Silence::Network(e.to_string()))?;
        wire::note_query(process, Side::Sent, server.ip(), &query);
        self.count(|c| (c.sent, c.tcp) = (c.sent + 1, c.tcp + 1));
        let start = process.now();
        let asked =
            within(process, Some(start + TCP_WAIT), wire::ask_tcp(process, server, &bytes)).await;
        let bytes = asked.ok_or(Silence::Timeout)?.map_err(|e| Silence::Network(e.to_string()))?;
        let response = self.accept(&query, &bytes).map_err(Silence::Network)?;
        Ok(self.heard(question, response, start))
    }

    fn heard(&self, question: Question<'_>, response: Message, start: Instant) -> Message {
        let (process, address) = (&self.process, question.server.ip());
        wire::note_response(process, Side::Received, address, &response);
        let now = process.now();
        self.infra.borrow_mut().answered(now, address, now.since(start));
        response
    }
}

/// A name with each letter in a case by chance: a stranger who guesses the answer must guess that,
/// too.
fn mixed_case(name: &Name, rng: &mut netarium_base::Rng) -> Name {
    let labels: Vec<Vec<u8>> = name
        .iter()
        .map(|label| {
            let flip = |&b: &u8| {
                if b.is_ascii_alphabetic() && rng.below(2) == 1 { b ^ 0x20 } else { b }
            };
            label.iter().map(flip).collect()
        })
        .collect();
    if labels.is_empty() {
        return name.clone();
    }
    // The labels are as long as they were.
    Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap_or_else(|_| {
        debug_assert!(false, "{} in other letters", text::name(name));
        name.clone()
    })
}
