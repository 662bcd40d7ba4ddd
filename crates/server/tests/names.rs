//! The lab's name servers through published ports: real `dig`, real `dnsmasq` that forwards to the
//! lab's resolver, and real `unbound` that walks from the lab's root down by itself.

use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use netarium_lab::Lab;
use netarium_lab::build::{BuildOptions, world};
use netarium_programs::Builtin;
use netarium_server::Pace;
use netarium_server::publish::Limits;
use netarium_server::recording::Tape;
use netarium_server::report::Reporter;
use netarium_server::up::{Door, Options, RunningLab};
use netarium_world::process::Programs;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};

/// Nothing takes this long; a wait that does is a failure with a name instead of a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lab `dns` with its servers on free ports of loopback addresses.
async fn up() -> (RunningLab, Vec<Door>, tempfile::TempDir) {
    let built_in = netarium_lab::builtin("dns").unwrap();
    let (before, rest) = built_in.toml.split_once("[publish]").unwrap();
    let after = &rest[rest.find("[[run]]").unwrap()..];
    let doors = "[publish]\n\"127.0.0.1:0\" = \"resolver:53\"\n\"127.0.0.1:0/udp\" = \"resolver:53\"\n\
                 \"127.0.0.2:0/udp\" = \"root:53\"\n\"127.0.0.3:0/udp\" = \"tld:53\"\n\"127.0.0.4:0/udp\" = \"ns1:53\"\n";
    let text = format!("{before}{doors}\n{after}");
    let lab = Lab::from_parts("lab.toml", &text, &built_in.files(), &Builtin.names());
    let runtime_dir = tempfile::tempdir().unwrap();
    let options = Options {
        lab: lab.unwrap_or_else(|e| panic!("{e}")),
        folder: None,
        what: "dns".to_owned(),
        name: None,
        pace: Pace::Times(1.0),
        limits: Limits::default(),
        proxy: None,
        allow_attach: false,
        runtime_dir: runtime_dir.path().join("run"),
        tape: Tape::temporary(),
    };
    let build = |lab: &Lab| {
        let programs = Rc::new(Builtin);
        world(lab, BuildOptions { seed: 1, epoch: None, trace_limit: 1000, runs: false, programs })
    };
    let (lab, doors) = RunningLab::start(options, Reporter::new(|_| {}), build).await.unwrap();
    (lab, doors, runtime_dir)
}

/// The port of the door at a loopback address.
fn port(doors: &[Door], last: u8, udp: bool) -> u16 {
    let at = doors.iter().map(|d| &d.view);
    let here =
        at.filter(|v| v.udp == udp && v.listen.ip().to_string() == format!("127.0.0.{last}"));
    here.map(|v| v.listen.port()).next().unwrap()
}

/// The real dig asks a server that has only just been started: refused until it listens.
async fn dig_until_there(args: &[&str]) -> Option<String> {
    for _ in 0..2_000 {
        let text = dig(args).await?;
        if !text.contains("connection refused") {
            return Some(text);
        }
    }
    panic!("nobody listens: {args:?}");
}

/// What `dig` says; `None` without it.
async fn dig(args: &[&str]) -> Option<String> {
    let done = Command::new("dig").args(args).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, done).await.expect("dig: no end in sight") {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(e) => {
            println!("skipped: dig: {e}");
            None
        }
    }
}

/// A port that is free now.
async fn free() -> u16 {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// A real server; `None` when it is not installed.
fn server(program: &str, args: &[&str]) -> Option<Child> {
    if !Path::new(program).exists() {
        println!("skipped: there is no {program}");
        return None;
    }
    let spawned = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    spawned.map_err(|e| println!("skipped: {program}: {e}")).ok()
}

const ANSWER: &str = "shop.lab.\n10.0.0.80\n";

#[tokio::test]
async fn the_real_dig_asks_the_labs_resolver_over_udp_and_tcp() {
    let (lab, doors, _folder) = up().await;
    let (udp, tcp) = (port(&doors, 1, true).to_string(), port(&doors, 1, false).to_string());
    if let Some(text) = dig(&["@127.0.0.1", "-p", &udp, "www.shop.lab"]).await {
        assert!(text.contains("flags: qr rd ra; QUERY: 1, ANSWER: 2"), "{text}");
        assert_eq!(
            dig(&["@127.0.0.1", "-p", &tcp, "+tcp", "+short", "www.shop.lab"]).await.unwrap(),
            ANSWER
        );
        let none = dig(&["@127.0.0.1", "-p", &udp, "nope.shop.lab"]).await.unwrap();
        assert!(none.contains("status: NXDOMAIN") && none.contains("IN\tSOA"), "{none}");
        let reverse = dig(&["@127.0.0.1", "-p", &udp, "+short", "-x", "10.0.0.80"]).await;
        assert_eq!(reverse.unwrap(), "www.shop.lab.\n");
    }
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn the_real_dnsmasq_forwards_to_the_labs_resolver() {
    let (lab, doors, _folder) = up().await;
    let (listen, to) = (free().await.to_string(), port(&doors, 1, true));
    let args = [
        "--keep-in-foreground".to_owned(),
        "--conf-file=/dev/null".to_owned(),
        "--no-resolv".to_owned(),
        "--no-hosts".to_owned(),
        "--pid-file=".to_owned(),
        "--listen-address=127.0.0.1".to_owned(),
        "--bind-interfaces".to_owned(),
        format!("--port={listen}"),
        format!("--server=127.0.0.1#{to}"),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(_dnsmasq) = server("/usr/sbin/dnsmasq", &args) {
        let asked = ["@127.0.0.1", "-p", &listen, "+short", "+tries=10", "+time=2", "www.shop.lab"];
        if let Some(text) = dig_until_there(&asked).await {
            assert!(text.ends_with(ANSWER), "{text}");
        }
    }
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn the_real_unbound_walks_down_from_the_labs_root() {
    let (lab, doors, folder) = up().await;
    let listen = free().await.to_string();
    let stub = |zone: &str, last: u8| {
        let port = port(&doors, last, true);
        format!("stub-zone:\n name: \"{zone}\"\n stub-addr: 127.0.0.{last}@{port}\n")
    };
    let here = folder.path().display();
    let conf = format!(
        "server:\n interface: 127.0.0.1\n port: {listen}\n username: \"\"\n chroot: \"\"\n \
         directory: \"{here}\"\n pidfile: \"{here}/pid\"\n use-syslog: no\n do-daemonize: no\n \
         do-not-query-localhost: no\n module-config: \"iterator\"\n do-ip6: no\n\
         remote-control:\n control-enable: no\n{}{}{}",
        stub(".", 2),
        stub("lab.", 3),
        stub("shop.lab.", 4)
    );
    let file = folder.path().join("unbound.conf");
    std::fs::write(&file, conf).unwrap();
    if let Some(_unbound) = server("/usr/sbin/unbound", &["-d", "-c", &file.to_string_lossy()]) {
        let asked = ["@127.0.0.1", "-p", &listen, "+short", "+tries=10", "+time=2", "www.shop.lab"];
        if let Some(text) = dig_until_there(&asked).await {
            assert!(text.ends_with(ANSWER), "{text}");
            let none = dig(&["@127.0.0.1", "-p", &listen, "nope.lab"]).await.unwrap();
            assert!(none.contains("status: NXDOMAIN"), "{none}");
        }
    }
    lab.stop().await.unwrap();
}
