//! `unbound-control`: looking into a running resolver, over TCP on the host itself (unbound's
//! `control-use-cert: no`): one line with a command, an answer, and the end of the connection.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::fmt::Write as _;
use std::rc::Rc;

use hickory_proto::rr::{Name, RecordType};
use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Resolver;
use crate::dns::server::address;
use crate::dns::text;
use crate::getopt::{Item, Spec};
use crate::wait::within;

/// Where the resolver listens.
const PORT: u16 = 8_953;
/// What a line begins with: the protocol and its version.
const MAGIC: &str = "UBCT1 ";
/// How long a command may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest command, bytes.
const LINE_MAX: u64 = 1_024;

/// Serves commands until the process ends. Without the port there is nobody to command.
pub(super) fn serve(resolver: &Rc<Resolver>) {
    let (process, resolver) = (resolver.process, Rc::clone(resolver));
    let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);
    let listener = match TcpListener::bind(&process, here, 4) {
        Ok(listener) => listener,
        Err(e) => return resolver.log.say("warning", &format!("no remote control: {e}")),
    };
    process.spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let deadline = Some(process.now() + PATIENCE);
            within(&process, deadline, converse(&resolver, &mut stream)).await;
        }
    });
}

async fn converse(resolver: &Rc<Resolver>, stream: &mut TcpStream) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut limited = (&mut *stream).take(LINE_MAX);
    let mut byte = [0];
    while limited.read(&mut byte).await? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    let answer = match line.strip_prefix(MAGIC) {
        Some(command) => resolver.obey(command.trim()),
        None => "error version mismatch\n".to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

impl Resolver {
    fn obey(&self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let now = self.process.now();
        match words.as_slice() {
            ["status"] => format!(
                "version: 1.17.1\nverbosity: {}\nuptime: {} seconds\nunbound (pid {}) is running...\n",
                self.config.verbosity,
                now.as_millis() / 1_000,
                self.process.pid()
            ),
            ["stats" | "stats_noreset"] => {
                let mut out = String::new();
                for (name, value) in self.statistics() {
                    let _ = writeln!(out, "{name}={value}");
                }
                out
            }
            ["dump_cache"] => self.cache.borrow().dump(now),
            ["dump_infra"] => self.infra.borrow().dump(now),
            ["reload"] => {
                self.reload();
                "ok\n".to_owned()
            }
            ["lookup", name] => self.with_name(name, |name| self.look_up(name)),
            ["flush", name] => self.with_name(name, |name| {
                self.cache.borrow_mut().flush(|n, _| n == name);
                "ok\n".to_owned()
            }),
            ["flush_type", name, rtype] => match text::parse_rtype(rtype) {
                Some(of) => self.with_name(name, |name| {
                    self.cache.borrow_mut().flush(|n, t| n == name && t == u16::from(of));
                    "ok\n".to_owned()
                }),
                None => format!("error cannot parse type: {rtype}\n"),
            },
            ["flush_zone", name] => self.with_name(name, |name| {
                let gone = self.cache.borrow_mut().flush(|n, _| name.zone_of(n));
                format!("ok removed {gone} rrsets, messages and key entries\n")
            }),
            _ => format!("error unknown command '{command}'\n"),
        }
    }

    fn with_name(&self, text: &str, then: impl FnOnce(&Name) -> String) -> String {
        match text::parse_name(text, &Name::root()) {
            Ok(name) => then(&name),
            Err(_) => format!("error cannot parse name {text}\n"),
        }
    }

    /// Who would be asked for a name.
    fn look_up(&self, name: &Name) -> String {
        let (servers, glue) = self.best_referral(name, RecordType::A);
        let mut out =
            format!("The following name servers are used for lookup of {}\n", text::name(name));
        for record in servers.iter().chain(&glue) {
            let _ = writeln!(out, "{}", text::record(record));
        }
        out
    }
}

const USAGE: &str = "Usage:	unbound-control [options] command
	Remote control utility for unbound server.
Options:
  -c file	config file, is not read
  -s ip[@port]	server address, if omitted localhost is used.
  -h		show this usage help.
Commands:
  status			display status of server
  stats, stats_noreset		print statistics
  dump_cache			print cache to stdout
  dump_infra			print ping and edns entries
  lookup <name>			print nameservers for name
  flush <name>			flushes common types for name from cache
  flush_type <name> <type>	flush name, type from cache
  flush_zone <name>		flush everything at or under name
  reload			forgets everything
";

/// The program `unbound-control`.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let spec = Spec { short: "c:s:hq", long: &[] };
        let items = match spec.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => {
                process.eprint(&format!("unbound-control: {}\n{USAGE}", e.gnu())).await;
                return 1;
            }
        };
        let (mut server, mut words) = ("127.0.0.1".to_owned(), Vec::new());
        for item in items {
            match item {
                Item::Option('s', value) => server = value,
                Item::Operand(word) => words.push(word),
                Item::Option('h', _) => {
                    process.print(USAGE).await;
                    return 1;
                }
                Item::Option(..) => {}
            }
        }
        if words.is_empty() {
            process.eprint(USAGE).await;
            return 1;
        }
        let asked = match address(&server, PORT) {
            Ok(to) => ask(&process, to, &words.join(" "))
                .await
                .map_err(|e| format!("connect: {e} for {to}")),
            Err(e) => Err(e),
        };
        match asked {
            Ok(answer) => {
                process.print(&answer).await;
                i32::from(answer.starts_with("error"))
            }
            Err(e) => {
                process.eprint(&format!("error: {e}\n")).await;
                1
            }
        }
    })
}

async fn ask(process: &Process, to: SocketAddr, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(process, to).await?;
    stream.write_all(format!("{MAGIC}{command}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
