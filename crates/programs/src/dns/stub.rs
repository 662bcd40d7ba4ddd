//! The stub resolver of the hosts' library: what `getaddrinfo(3)` and `getnameinfo(3)` do when no
//! hosts file has the answer, by `/etc/resolv.conf` as resolv.conf(5) of glibc describes it.
//!
//! Without that file no name server is asked (glibc would ask one on the host itself). AAAA records
//! are asked for only where the host has an IPv6 address (AI_ADDRCONFIG), after the A records.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process, ResolveError, UdpSocket};

use super::message::{self, EDNS_SIZE, TCP_MAX};
use super::text;
use super::wire::{self, Side};
use crate::wait::within;

/// Where the configuration is.
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How many name servers are used (MAXNS).
const SERVERS_MAX: usize = 3;
/// How many domains are searched.
const SEARCH_MAX: usize = 32;
/// How many aliases are followed within an answer.
const ALIASES_MAX: usize = 16;

/// `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvConf {
    /// The servers in order, at most three.
    pub(crate) servers: Vec<IpAddr>,
    /// What is put behind names.
    pub(crate) search: Vec<Name>,
    /// A name with so many dots is tried as it is first; 0 to 15.
    pub(crate) ndots: usize,
    /// How long the first server is waited for, seconds; 1 to 30.
    pub(crate) timeout: u64,
    /// How often each server is asked; 1 to 5.
    pub(crate) attempts: u32,
    /// Whether queries say that longer answers are taken.
    pub(crate) edns: bool,
    /// Whether TCP is used from the start.
    pub(crate) tcp: bool,
}

impl ResolvConf {
    /// Reads the file of a host; `None` when it has none.
    pub(crate) fn of(process: &Process) -> Option<ResolvConf> {
        let bytes = process.read_file(RESOLV_CONF).ok()?;
        Some(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Reads a text; what it does not understand it skips, as the C library does.
    pub(crate) fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: 5,
            attempts: 2,
            edns: false,
            tcp: false,
        };
        for line in text.lines().filter(|l| !l.starts_with(['#', ';'])) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address: Option<IpAddr> = words.next().and_then(|w| w.parse().ok());
                    let room = conf.servers.len() < SERVERS_MAX;
                    conf.servers.extend(address.filter(|_| room));
                }
                // The last `domain` or `search` holds.
                Some(word @ ("domain" | "search")) => {
                    let names = words.filter_map(|w| text::parse_name(w, &Name::root()).ok());
                    let most = if word == "domain" { 1 } else { SEARCH_MAX };
                    conf.search = names.take(most).collect();
                }
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u64>().unwrap_or(0);
        match key {
            "ndots" => self.ndots = number.min(15) as usize,
            "timeout" => self.timeout = number.clamp(1, 30),
            "attempts" => self.attempts = number.clamp(1, 5) as u32,
            "edns0" => self.edns = true,
            "use-vc" => self.tcp = true,
            _ => {}
        }
    }

    /// The names that are tried for one that was typed, in order: with enough dots as it is first,
    /// else with the domains of the search list first; with a final dot only as it is.
    pub(crate) fn candidates(&self, typed: &str) -> Vec<Name> {
        let Ok(plain) = text::parse_name(typed, &Name::root()) else { return Vec::new() };
        if typed.ends_with('.') {
            return vec![plain];
        }
        let dots = typed.bytes().filter(|&b| b == b'.').count();
        let searched = self.search.iter().filter_map(|domain| text::parse_name(typed, domain).ok());
        let mut list: Vec<Name> = searched.collect();
        let at = if dots >= self.ndots { 0 } else { list.len() };
        list.insert(at, plain);
        list.dedup();
        list
    }

    /// How long the `n`-th server is waited for (glibc's `res_send`): longer from server to server.
    fn wait(&self, n: usize) -> Duration {
        let doubled = self.timeout << n;
        let share = if n > 0 { doubled / self.servers.len() as u64 } else { doubled };
        Duration::from_secs(share.max(1))
    }
}

/// Looks a name up; the hook of [`Programs`](netarium_world::process::Programs).
pub(crate) fn resolve(
    process: Process,
    typed: String,
) -> LocalBoxFuture<Result<Vec<IpAddr>, ResolveError>> {
    Box::pin(async move {
        let Some(conf) = ResolvConf::of(&process) else {
            return Err(ResolveError::NotFound(typed));
        };
        search(&process, &conf, &typed).await
    })
}

/// The name of an address: as the hosts file has it, else its PTR record.
pub(crate) async fn reverse(process: &Process, address: IpAddr) -> Option<String> {
    if let Some(name) = process.local_name(address) {
        return Some(name);
    }
    let conf = ResolvConf::of(process)?;
    let name = Name::from(address);
    let response = ask(process, &conf, &name, RecordType::PTR).await.ok()?;
    match chain(&response, &name, RecordType::PTR).first() {
        Some(RData::PTR(ptr)) => Some(text::bare(&ptr.0)),
        _ => None,
    }
}

/// Tries the candidates one by one (glibc's `res_search`).
async fn search(
    process: &Process,
    conf: &ResolvConf,
    typed: &str,
) -> Result<Vec<IpAddr>, ResolveError> {
    let (mut no_data, mut failed) = (false, false);
    for name in conf.candidates(typed) {
        match addresses(process, conf, &name).await {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => no_data = true,
            Err(Failure::NoSuchName) => {}
            Err(Failure::Server) => failed = true,
            Err(Failure::Silence) => return Err(ResolveError::Temporary(typed.to_owned())),
        }
    }
    let typed = typed.to_owned();
    Err(match (no_data, failed) {
        (true, _) => ResolveError::NoAddress(typed),
        (false, true) => ResolveError::Temporary(typed),
        (false, false) => ResolveError::NotFound(typed),
    })
}

/// The addresses of one name.
async fn addresses(
    process: &Process,
    conf: &ResolvConf,
    name: &Name,
) -> Result<Vec<IpAddr>, Failure> {
    let mut found = Vec::new();
    let types = [RecordType::A, RecordType::AAAA];
    for &rtype in if has_ipv6(process) { &types[..] } else { &types[..1] } {
        let response = ask(process, conf, name, rtype).await?;
        for data in chain(&response, name, rtype) {
            match data {
                RData::A(a) => found.push(IpAddr::V4(a.0)),
                RData::AAAA(a) => found.push(IpAddr::V6(a.0)),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn has_ipv6(process: &Process) -> bool {
    process.with_stack(|stack, _| {
        let all = stack.interfaces().iter().flat_map(|i| i.addresses.iter());
        all.into_iter().any(|cidr| matches!(cidr.address(), IpAddr::V6(a) if !a.is_loopback() && !a.is_unicast_link_local()))
    })
}

/// The records of a type at the end of an answer's aliases.
pub(crate) fn chain<'a>(response: &'a Message, name: &Name, rtype: RecordType) -> Vec<&'a RData> {
    let mut name = name.clone();
    for _ in 0..ALIASES_MAX {
        let own = response.answers.iter().filter(|r| r.name == name);
        let found: Vec<&RData> =
            own.clone().filter(|r| r.record_type() == rtype).map(|r| &r.data).collect();
        if !found.is_empty() {
            return found;
        }
        let alias = own.into_iter().find_map(|r| match &r.data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None => break,
        }
    }
    Vec::new()
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// NXDOMAIN.
    NoSuchName,
    /// All servers failed, refused or do not know how.
    Server,
    /// No server answered.
    Silence,
}

/// Asks the servers one after the other, again and again (glibc's `res_send`).
pub(crate) async fn ask(
    process: &Process,
    conf: &ResolvConf,
    name: &Name,
    rtype: RecordType,
) -> Result<Message, Failure> {
    let purpose =
        format!("dns {} {} {}", text::name(name), text::rtype(rtype), process.now().as_nanos());
    let mut rng = process.rng(&purpose);
    let mut failed = false;
    for _ in 0..conf.attempts {
        for (n, &server) in conf.servers.iter().enumerate() {
            let mut query = message::query(rng.next_u32() as u16, name.clone(), rtype);
            query.metadata.recursion_desired = true;
            if conf.edns {
                let mut edns = Edns::new();
                edns.set_max_payload(EDNS_SIZE);
                query.set_edns(edns);
            }
            let server = SocketAddr::new(server, 53);
            let Some(response) = ask_one(process, server, &query, conf.wait(n), conf.tcp).await
            else {
                continue;
            };
            match response.metadata.response_code {
                ResponseCode::NoError => return Ok(response),
                ResponseCode::NXDomain => return Err(Failure::NoSuchName),
                _ => failed = true,
            }
        }
    }
    Err(if failed { Failure::Server } else { Failure::Silence })
}

/// Asks one server once.
async fn ask_one(
    process: &Process,
    server: SocketAddr,
    query: &Message,
    wait: Duration,
    tcp: bool,
) -> Option<Message> {
    let deadline = Some(process.now() + wait);
    let bytes = query.to_vec().ok()?;
    wire::note_query(process, Side::Sent, server.ip(), query);
    let mut response = None;
    if !tcp {
        response = Some(within(process, deadline, udp(process, server, query, &bytes)).await??);
    }
    if response.as_ref().is_none_or(|r: &Message| r.metadata.truncation) {
        let asked = within(process, deadline, wire::ask_tcp(process, server, &bytes)).await;
        response = Some(matching(query, &asked?.ok()?)?);
    }
    let response = response?;
    wire::note_response(process, Side::Received, server.ip(), &response);
    Some(response)
}

/// Waits for the response to a query on a socket that hears only the server; `None` when the
/// network says that there is none.
async fn udp(
    process: &Process,
    server: SocketAddr,
    query: &Message,
    bytes: &[u8],
) -> Option<Message> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(process, SocketAddr::new(any, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.send(bytes).await.ok()?;
    let mut buffer = vec![0; TCP_MAX];
    loop {
        let (n, meta) = socket.recv_from(&mut buffer).await.ok()?;
        process.follow(meta.cause);
        if let Some(response) = matching(query, &buffer[..n]) {
            return Some(response);
        }
    }
}

/// The response in these bytes, if it is one to this query.
pub(crate) fn matching(query: &Message, bytes: &[u8]) -> Option<Message> {
    let head = message::Head::of(bytes)?;
    let question = query.queries.first()?;
    let response = message::decode(bytes)?;
    let ours = head.response
        && head.id == query.metadata.id
        && message::answers(&response, question.name(), question.query_type());
    ours.then_some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(conf: &str, typed: &str) -> String {
        let conf = ResolvConf::parse(conf);
        conf.candidates(typed).iter().map(text::name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn resolv_conf_is_read_as_glibc_reads_it() {
        let conf = ResolvConf::parse(
            "# c\nnameserver 10.0.0.53\nnameserver nonsense\n nameserver 10.0.0.54 # x\nnameserver 10.0.0.55\nnameserver 10.0.0.56\ndomain old.lab\nsearch shop.lab lab\noptions ndots:20 timeout:99 attempts:0 edns0 rotate\n",
        );
        let servers: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.53", "10.0.0.54", "10.0.0.55"]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts, conf.edns), (15, 30, 1, true));
        assert_eq!(conf.search.len(), 2);
        let empty = ResolvConf::parse("");
        assert_eq!(empty.servers, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert_eq!((empty.ndots, empty.timeout, empty.attempts), (1, 5, 2));
    }

    #[test]
    fn names_are_searched() {
        let conf = "search shop.lab lab\n";
        assert_eq!(candidates(conf, "www"), "www.shop.lab. www.lab. www.");
        assert_eq!(candidates(conf, "www.shop"), "www.shop. www.shop.shop.lab. www.shop.lab.");
        assert_eq!(candidates(conf, "www."), "www.");
        assert_eq!(candidates("search lab\noptions ndots:2\n", "a.b"), "a.b.lab. a.b.");
        assert_eq!(candidates("", "www"), "www.");
        assert_eq!(candidates("", "a..b"), "");
    }

    #[test]
    fn waits_grow_from_server_to_server() {
        let conf =
            ResolvConf::parse("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n");
        let waits: Vec<_> = (0..3).map(|n| conf.wait(n).as_nanos() / 1_000_000_000).collect();
        assert_eq!(waits, [5, 3, 6]);
    }
}
