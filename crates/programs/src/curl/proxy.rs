//! `-x`: an HTTP proxy (as such, or with `-p` a tunnel through it) or a SOCKS5 proxy (RFC 1928).

use core::net::IpAddr;
use std::cell::RefCell;

use netarium_world::process::TcpStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::exchange::{Failure, recv_failure, send_failure};
use super::input::Input;
use super::options::Options;
use super::request::{VERSION, basic};
use super::response::Head;
use super::terminal::Terminal;
use super::url::Url;
use super::write_out::Report;

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    kind: Kind,
    pub(super) host: String,
    pub(super) port: u16,
    /// `user:password`.
    user: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    /// The client resolves the name.
    Socks5,
    /// The proxy resolves it.
    Socks5Hostname,
}

impl Proxy {
    pub(super) fn is_socks(&self) -> bool {
        self.kind != Kind::Http
    }

    /// Whether the proxy looks the name up.
    pub(super) fn resolves(&self) -> bool {
        self.kind == Kind::Socks5Hostname
    }

    /// Whether requests name the whole URL.
    pub(super) fn takes_urls(&self, o: &Options) -> bool {
        self.kind == Kind::Http && !o.tunnel
    }

    /// The user's name and the value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<(String, String)> {
        let user = self.user.as_ref().filter(|_| self.kind == Kind::Http)?;
        let name = user.split(':').next().unwrap_or("").to_owned();
        let with_colon = if user.contains(':') { user.clone() } else { format!("{user}:") };
        Some((name, basic(&with_colon)))
    }
}

/// The proxy for a host, if any.
///
/// # Errors
/// When its kind is not known or its address cannot be read.
pub(super) fn of(o: &Options, host: &str) -> Result<Option<Proxy>, Failure> {
    let (text, default) = match (&o.proxy, &o.socks) {
        (Some(text), _) if !text.is_empty() => (text, Kind::Http),
        (_, Some((text, true))) => (text, Kind::Socks5Hostname),
        (_, Some((text, false))) => (text, Kind::Socks5),
        _ => return Ok(None),
    };
    if o.no_proxy.as_deref().is_some_and(|list| excluded(list, host)) {
        return Ok(None);
    }
    let (kind, rest) = match text.split_once("://") {
        None => (default, text.as_str()),
        Some(("http", rest)) => (Kind::Http, rest),
        Some(("socks5", rest)) => (Kind::Socks5, rest),
        Some(("socks5h", rest)) => (Kind::Socks5Hostname, rest),
        Some(_) => {
            return Err(Failure::new(7, format!("Unsupported proxy scheme for '{text}'")));
        }
    };
    let bad = || Failure::new(5, format!("Unsupported proxy syntax in '{text}'"));
    let url = Url::parse(&format!("http://{rest}")).map_err(|_| bad())?;
    let port = url.port.unwrap_or(1080);
    let user = o.proxy_user.clone().or_else(|| url.userinfo.clone());
    Ok(Some(Proxy { kind, host: url.host, port, user }))
}

/// `--noproxy`: `*`, or names whose hosts and subdomains go direct.
fn excluded(list: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ']).map(str::trim).filter(|w| !w.is_empty()).any(|word| {
        let word = word.trim_matches('.').to_ascii_lowercase();
        word == "*" || crate::cookies::domain_match(&host, &word)
    })
}

/// `-p`: a tunnel by CONNECT (RFC 9110 §9.3.6).
pub(super) async fn tunnel(
    stream: &mut TcpStream,
    o: &Options,
    host: &str,
    port: u16,
    terminal: &mut Terminal,
    report: &RefCell<&mut Report>,
) -> Result<(), Failure> {
    terminal.info("allocate connect buffer").await;
    terminal.info(&format!("Establish HTTP proxy tunnel to {host}:{port}")).await;
    let mut head = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some((user, value)) = of(o, host)?.and_then(|p| p.authorization()) {
        terminal.info(&format!("Proxy auth using Basic with user '{user}'")).await;
        head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    let agent = o.user_agent.clone().unwrap_or_else(|| format!("curl/{VERSION}"));
    if !agent.is_empty() {
        head.push_str(&format!("User-Agent: {agent}\r\n"));
    }
    head.push_str("Proxy-Connection: Keep-Alive\r\n");
    for line in o.proxy_headers.iter().filter(|l| !l.contains(['\r', '\n'])) {
        head.push_str(&format!("{line}\r\n"));
    }
    head.push_str("\r\n");
    terminal.head_out(head.as_bytes()).await;
    stream.write_all(head.as_bytes()).await.map_err(send_failure)?;
    let mut input = Input::new(stream);
    let mut head = Head::default();
    loop {
        let raw = input
            .line(head.status == 0)
            .await
            .map_err(|_| Failure::new(56, "Proxy CONNECT aborted"))?;
        terminal.header_in(&raw).await;
        let text = raw.strip_suffix(b"\n").unwrap_or(&raw);
        let line = text.strip_suffix(b"\r").unwrap_or(text);
        if head.line(line).map_err(Failure::from)? {
            break;
        }
    }
    let status = head.status;
    report.borrow_mut().connect_status = status;
    if !(200..300).contains(&status) {
        return Err(Failure::new(56, format!("CONNECT tunnel failed, response {status}")));
    }
    terminal.info("CONNECT phase completed").await;
    terminal.info(&format!("CONNECT tunnel established, response {status}")).await;
    Ok(())
}

/// Asks a SOCKS5 proxy for a connection; `address` when the name is looked up here.
pub(super) async fn socks5(
    stream: &mut TcpStream,
    proxy: &Proxy,
    (host, port): (&str, u16),
    address: Option<IpAddr>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let user = proxy.user.as_deref().map(|u| u.split_once(':').unwrap_or((u, "")));
    let methods: &[u8] = if user.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await.map_err(send_failure)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(recv_failure)?;
    match (chosen, user) {
        ([5, 0], _) => {}
        ([5, 2], Some((name, password))) => {
            let (name, password) = (name.as_bytes(), password.as_bytes());
            if name.len() > 255 || password.len() > 255 {
                return Err(Failure::new(97, "Excessive user name length for proxy auth"));
            }
            // RFC 1929.
            let ask = [&[1, name.len() as u8], name, &[password.len() as u8], password].concat();
            stream.write_all(&ask).await.map_err(send_failure)?;
            stream.read_exact(&mut chosen).await.map_err(recv_failure)?;
            if chosen[1] != 0 {
                let text = format!(
                    "User was rejected by the SOCKS5 server ({} {}).",
                    chosen[0], chosen[1]
                );
                return Err(Failure::new(97, text));
            }
        }
        _ => return Err(Failure::new(97, "No authentication method was acceptable.")),
    }
    let mut ask = vec![5, 1, 0];
    let (family, shown, how) = match address {
        Some(IpAddr::V4(ip)) => {
            ask.push(1);
            ask.extend(ip.octets());
            ("IPv4 ", ip.to_string(), "locally")
        }
        Some(IpAddr::V6(ip)) => {
            ask.push(4);
            ask.extend(ip.octets());
            ("IPv6 ", ip.to_string(), "locally")
        }
        None if host.len() > 255 => {
            return Err(Failure::new(
                97,
                "SOCKS5: the destination hostname is too long to be resolved remotely by the proxy.",
            ));
        }
        None => {
            ask.extend([3, host.len() as u8]);
            ask.extend(host.as_bytes());
            ("", host.to_owned(), "remotely")
        }
    };
    ask.extend(port.to_be_bytes());
    terminal.info(&format!("SOCKS5 connect to {family}{shown}:{port} ({how} resolved)")).await;
    stream.write_all(&ask).await.map_err(send_failure)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.map_err(recv_failure)?;
    if answer[1] != 0 {
        let code = answer[1];
        let text = format!("Can't complete SOCKS5 connection to {shown}. ({code})");
        return Err(Failure::new(97, text));
    }
    let mut length = [0];
    let left = match answer[3] {
        1 => 6,
        4 => 18,
        3 => {
            stream.read_exact(&mut length).await.map_err(recv_failure)?;
            usize::from(length[0]) + 2
        }
        _ => return Err(Failure::new(97, "SOCKS5 reply has wrong address type.")),
    };
    let mut bound = [0; 257];
    stream.read_exact(&mut bound[..left]).await.map_err(recv_failure)?;
    terminal.info("SOCKS5 request granted.").await;
    Ok(())
}
