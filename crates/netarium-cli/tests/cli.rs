//! The command line from outside: help, output and exit code together.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{Running, command, netarium};

/// All that a run says, for snapshots.
fn told(args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let out = netarium(home.path(), args);
    format!(
        "$ netarium {}\nexit code {}\n--- stdout\n{}--- stderr\n{}",
        args.join(" "),
        out.status.code().unwrap(),
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    )
}

#[test]
fn help() {
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help_up", &["up", "--help"]),
        ("help_run", &["run", "--help"]),
        ("help_browser", &["browser", "--help"]),
        ("help_connections", &["connections", "--help"]),
        ("help_exec", &["exec", "--help"]),
        ("help_capture", &["capture", "--help"]),
        ("help_link", &["link", "--help"]),
        ("help_partition", &["partition", "--help"]),
        ("help_heal", &["heal", "--help"]),
        ("help_switch", &["switch", "--help"]),
        ("help_mirror", &["mirror", "--help"]),
        ("help_forward_add", &["forward", "add", "--help"]),
        ("help_rule", &["rule", "--help"]),
        ("help_start", &["start", "--help"]),
        ("help_kill", &["kill", "--help"]),
        ("help_save", &["save", "--help"]),
        ("help_trace", &["trace", "--help"]),
        ("help_why", &["why", "--help"]),
        ("help_step", &["step", "--help"]),
        ("help_break", &["break", "--help"]),
        ("help_replay", &["replay", "--help"]),
        ("help_fork", &["fork", "--help"]),
        ("help_diff", &["diff", "--help"]),
        ("help_drill", &["drill", "--help"]),
    ] {
        insta::assert_snapshot!(name, told(args));
    }
}

#[test]
fn labs_are_listed() {
    let (text, json) = (told(&["labs"]), told(&["labs", "--json"]));
    for lab in netarium::lab::builtins() {
        let line = text.lines().find(|l| l.split_whitespace().next() == Some(lab.name));
        let line = line.unwrap_or_else(|| panic!("{}: {text}", lab.name));
        let titles = [&lab.title.en, &lab.title.ko].map(|t| t.as_deref().unwrap());
        assert!(titles.iter().all(|t| line.contains(t) && json.contains(t)), "{line}");
    }
}

#[test]
fn a_run_shows_what_its_programs_wrote() {
    let home = tempfile::tempdir().unwrap();
    let out = netarium(home.path(), &["run", "two-hosts"]);
    let text = String::from_utf8_lossy(&out.stdout);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("client$ curl http://server/"));
    assert!(lines.any(|l| l.contains("server 10.0.0.1")), "{text}");
    let quiet = netarium(home.path(), &["run", "two-hosts", "--quiet"]);
    assert!(quiet.stdout.is_empty() && quiet.stderr.is_empty());
}

#[test]
fn a_run_shows_what_children_of_its_programs_wrote() {
    let home = tempfile::tempdir().unwrap();
    let out = netarium(home.path(), &["run", "requests"]);
    let text = String::from_utf8_lossy(&out.stdout);
    let typed = "client$ sh -c 'echo GET / HTTP/2.0 | nc -C web 80'\nHTTP/1.1 505 ";
    assert!(text.contains(typed), "{text}");
}

#[test]
fn an_unknown_lab_is_told_what_there_is() {
    let told = told(&["run", "cuorse"]);
    let start = "error: there is no lab `cuorse`: no file, no folder, and the built-in labs are ";
    assert!(told.contains("exit code 2\n") && told.contains(start), "{told}");
    assert!(netarium::lab::builtins().iter().all(|lab| told.contains(lab.name)), "{told}");
}

#[test]
fn errors_say_what_to_do() {
    for (name, args) in [
        ("no_command", &[][..]),
        ("unknown_host", &["exec", "--lab", "course", "nobody", "true"]),
        ("no_lab_runs", &["exec", "friend", "true"]),
        ("no_lab_runs_capture", &["capture", "-w", "x.pcapng"]),
        ("no_lab_runs_link", &["link", "web.home", "down"]),
        ("link_sideways", &["link", "web.home", "sideways"]),
        ("bad_time", &["run", "--for", "soon"]),
        ("unwritable", &["run", "--pcap", "no/such/dir/x.pcapng"]),
        ("no_lab_runs_pause", &["pause"]),
        ("no_lab_runs_trace", &["trace"]),
        ("bad_name", &["up", "--name", "../x"]),
        ("no_name", &["up", "--name", ""]),
        ("bad_speed", &["up", "--speed", "0"]),
        ("bad_condition", &["trace", "--lab", "course", "--filter", "tcp.stat == CLOSED"]),
        ("no_such_event", &["why", "--lab", "two-hosts", "999999999"]),
        ("why", &["why", "--lab", "course", "--seed", "3", "120"]),
    ] {
        insta::assert_snapshot!(name, told(args));
    }
}

#[test]
fn a_mistake_in_a_lab_file_is_a_picture_and_exit_code_2() {
    let home = tempfile::tempdir().unwrap();
    let text = "version = 1\n[networks.lan]\nsubnet = \"10.0.0.0/24\"\n[hosts.a]\nnetwroks.lan = \"10.0.0.1\"\n";
    std::fs::write(home.path().join("my.toml"), text).unwrap();
    for command in ["up", "run"] {
        let out = netarium(home.path(), &[command, "my.toml"]);
        assert_eq!(out.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(stderr.contains("my.toml:5:1") && stderr.contains("networks"), "{stderr}");
    }
}

#[test]
fn exec_passes_streams_and_exit_codes_through() {
    let home = tempfile::tempdir().unwrap();
    let exec =
        |args: &[&str]| netarium(home.path(), &[&["exec", "--lab", "course"], args].concat());
    let page = exec(&["friend", "curl", "-s", "http://10.0.0.2:65535/"]);
    assert_eq!(page.status.code(), Some(0));
    assert!(page.stdout.starts_with(b"<!doctype html>"));
    assert!(page.stderr.is_empty());
    let refused = exec(&["friend", "curl", "http://10.0.0.2:65534/"]);
    assert_eq!(refused.status.code(), Some(7));
    let netstat = exec(&["web", "netstat", "-ano"]);
    let rows = String::from_utf8_lossy(&netstat.stdout).into_owned();
    assert!(rows.contains("0.0.0.0:80") && rows.contains("LISTENING"), "{rows}");

    let mut cat = command(home.path(), &["exec", "--lab", "two-hosts", "client", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    cat.stdin.take().unwrap().write_all(b"through the lab").unwrap();
    assert_eq!(cat.wait_with_output().unwrap().stdout, b"through the lab");
}

#[test]
fn a_failure_with_drops_gets_one_hint() {
    let home = tempfile::tempdir().unwrap();
    let args = ["exec", "--lab", "course", "pc", "ping", "-c", "1", "web"];
    let out = netarium(home.path(), &args);
    assert_eq!(out.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(stderr.contains("netarium: hint: web dropped 1 packet: A firewall rule"), "{stderr}");
    let quiet = netarium(home.path(), &[&["-q"], &args[..]].concat());
    assert!(!String::from_utf8_lossy(&quiet.stderr).contains("hint"));
}

#[test]
fn run_writes_whole_files_that_are_the_same_in_two_processes() {
    let home = tempfile::tempdir().unwrap();
    let run = |n: u32| {
        let (pcap, trace) = (format!("{n}.pcapng"), format!("{n}.jsonl"));
        let args = ["run", "course", "--json", "--seed", "3", "--pcap", &pcap, "--trace", &trace];
        let out = netarium(home.path(), &args);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        let read = |name: &str| std::fs::read(home.path().join(name)).unwrap();
        (out.stdout, read(&pcap), read(&trace))
    };
    let (a, b) = (run(1), run(2));
    assert!(a == b);
    let summary: serde_json::Value = serde_json::from_slice(&a.0).unwrap();
    assert_eq!(summary["end"], "idle");
    assert_eq!(summary["programs"].as_array().unwrap().len(), 6);
    assert!(a.2.split(|&b| b == b'\n').all(|line| {
        line.is_empty() || serde_json::from_slice::<serde_json::Value>(line).is_ok()
    }));
}

#[test]
fn a_fresh_lab_is_traced_through_a_filter() {
    let home = tempfile::tempdir().unwrap();
    let trace = |filter: &str| {
        let args = ["trace", "--lab", "course", "--seed", "3", "--filter", filter];
        let out = netarium(home.path(), &args);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let states = trace("tcp.state == time_wait");
    assert!(states.lines().count() > 0);
    for line in states.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["event"], &event["to"]), (&"tcp.state".into(), &"TIME-WAIT".into()));
    }
    assert_eq!(trace("tcp.state && !tcp.state"), "");
}

#[test]
fn the_schema_of_lab_files_is_printed() {
    let home = tempfile::tempdir().unwrap();
    let out = netarium(home.path(), &["schema"]);
    assert_eq!(out.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(schema["title"], "Netarium lab");
    assert!(schema["$defs"].is_object() && out.stdout.ends_with(b"}\n"));
}

#[test]
fn what_a_second_lab_suggests_names_it() {
    let home = tempfile::tempdir().unwrap();
    let screen_of = |name: &str| {
        let mut up = command(home.path(), &["up", "two-hosts", "--name", name])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
        let screen: Vec<String> = lines.take_while(|line| !line.contains("Ctrl-C")).collect();
        (up, screen.join("\n"))
    };
    let _first = Running::start(home.path(), &["course"]);
    let (mut up, screen) = screen_of("two-hosts");
    up.kill().unwrap();
    up.wait().unwrap();
    let tries = screen.lines().skip_while(|line| !line.contains("Try in another")).skip(1);
    let tries: Vec<&str> = tries.take_while(|line| !line.is_empty()).collect();
    assert!(!tries.is_empty() && tries.iter().all(|t| t.contains(" --on two-hosts ")), "{screen}");
}

#[test]
fn completions_exist_for_each_shell() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let out = netarium(home.path(), &["completions", shell]);
        assert_eq!(out.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&out.stdout).contains("capture"), "{shell}");
    }
}

#[test]
fn a_running_lab_is_changed_and_saved() {
    let home = tempfile::tempdir().unwrap();
    let _running = Running::start(home.path(), &["course"]);
    let mut told = String::new();
    for args in [
        &["link", "web.home", "--loss", "5%", "--delay", "20ms"][..],
        &["link", "web.home", "--rate", "10Mbit", "--down"],
        &["link", "pc.home", "down"],
        &["link", "nowhere.home", "down"],
        &["link", "web.home", "--loss", "5"],
        &["forward", "add", "router", "tcp/8081", "192.168.17.20:80"],
        &["forward", "add", "router", "tcp/8081", "192.168.17.20:80"],
        &["forward", "remove", "router", "tcp/65535"],
        &["forward", "list", "router"],
        &["rule", "add", "web", "allow icmp", "--from", "192.168.17.0/24", "--before", "1"],
        &["rule", "add", "web", "permit icmp"],
        &["rule", "remove", "web", "web server (tcp/80)"],
        &["rule", "remove", "web", "allow tcp/80"],
        &["rule", "list", "web"],
        &["rule", "list", "pc"],
        &["exec", "nobody", "true"],
        &["exec", "pc", "ls | wc"],
        &["start", "pc", "nonsense"],
        &["start", "pc", "httpd", "--root", "htdocs"],
        &["kill", "web", "httpd"],
        &["save"],
        &["save"],
        &["save", "-o", "no/such/dir/lab.toml"],
    ] {
        told += &tell(home.path(), args);
    }
    let told = told.replace(&home.path().display().to_string(), "HOME");
    insta::assert_snapshot!("live_edits", told);
    let saved = home.path().join("data/netarium/labs/course/lab.toml");
    insta::assert_snapshot!("live_edits_saved", std::fs::read_to_string(saved).unwrap());
}

#[test]
fn a_recorded_run_is_replayed_and_forked() {
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let out = netarium(home.path(), args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = format!("{}--- stderr\n{}", text(&out.stdout), text(&out.stderr));
        (out.status.code().unwrap(), text(&out.stdout), told)
    };
    let files = ["--pcap", "a.pcapng", "--trace", "a.jsonl"];
    assert_eq!(run(&[&["run", "course", "--record", "r.rec"], &files[..]].concat()).0, 0);
    let files = ["--pcap", "b.pcapng", "--trace", "b.jsonl"];
    let (code, json, _) = run(&[&["replay", "r.rec", "--json"], &files[..]].concat());
    assert_eq!(code, 0);
    insta::assert_snapshot!("replay_json", json);
    let read = |name: &str| std::fs::read(home.path().join(name)).unwrap();
    assert!(read("a.pcapng") == read("b.pcapng") && read("a.jsonl") == read("b.jsonl"));

    let trace = String::from_utf8(read("a.jsonl")).unwrap();
    let frame = trace.lines().find(|l| l.contains("frame.sent") && l.contains("1514")).unwrap();
    let frame: serde_json::Value = serde_json::from_str(frame).unwrap();
    let at = format!("#{}", frame["id"]);
    let fork = ["fork", "r.rec", "--at", &at, "--change", "drop frame"];
    let (code, text, _) = run(&fork);
    assert_eq!(code, 0);
    insta::assert_snapshot!("fork_drop_frame", text);
    let (code, json, _) = run(&[&fork[..], &["--json"]].concat());
    let diff: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &diff["first"]["after"]["cause"]), (0, &frame["id"]));
    insta::assert_snapshot!("fork_first_json", format!("{:#}", diff["first"]));

    let whole = read("r.rec");
    std::fs::write(home.path().join("cut.rec"), &whole[..whole.len() - 2]).unwrap();
    let (code, _, told) = run(&["replay", "cut.rec"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!("replay_cut", told);
    assert_eq!(run(&["replay", "r.rec", "--to", "99s"]).0, 1);
    assert_eq!(run(&["replay", "a.pcapng"]).0, 2);
    assert_eq!(run(&["diff", "r.rec", "r.rec"]).1, "the same in both runs\n");
}

/// A command, what it prints, and its exit code when it is not 0.
fn tell(home: &std::path::Path, args: &[&str]) -> String {
    let out = netarium(home, args);
    let mut told = format!("$ netarium {}\n", args.join(" "));
    told += &String::from_utf8_lossy(&out.stdout);
    told += &String::from_utf8_lossy(&out.stderr);
    match out.status.code().unwrap() {
        0 => {}
        code => told += &format!("exit code {code}\n"),
    }
    told
}

#[test]
fn wires_and_switches_of_a_running_lab_are_changed() {
    let home = tempfile::tempdir().unwrap();
    let _running = Running::start(home.path(), &["course"]);
    let mut told = String::new();
    for args in [
        &["link", "web.home", "--jitter", "5ms normal", "--loss-burst", "p 1% r 25%", "--up"][..],
        &["link", "web.home", "--drop-match", "tcp port 80 and flags syn", "--drop-nth", "1"],
        &["link", "web.home", "--jitter", "none", "--loss-burst", "none", "--mtu", "1400"],
        &["link", "web.home", "--reorder", "25% by 10ms", "--duplicate", "1%", "--corrupt", "0.1%"],
        &["link", "web.home", "--queue-bytes", "64000"],
        &["link", "web.home", "--queue-bytes", "10k"],
        &["link", "web.home", "--loss", "-1%"],
        &["link", "web.home", "--delay", "-5ms"],
        &["link", "web.home", "--drop-match", "tpc"],
        &["link", "web.home", "--reorder", "25%"],
        &["link", "web.home", "down", "--in-flight"],
        &["partition"],
        &["partition", "split", "web", "pc,friend", "--in-flight"],
        &["partition", "split", "web"],
        &["partition", "alone", "nobody", "pc"],
        &["heal", "split"],
        &["heal", "split"],
        &["heal", "--all"],
        &["mirror", "home", "--to", "pc.home", "--from", "web.home"],
        &["switch", "home"],
        &["mirror", "home", "off"],
        &["mirror", "home", "--to", "friend.campus"],
        &["switch", "nowhere"],
        &["save"],
        &["link", "web.home", "--duplicate", "none", "--corrupt", "none", "--loss", "none"],
    ] {
        told += &tell(home.path(), args);
    }
    let told = told.replace(&home.path().display().to_string(), "HOME");
    insta::assert_snapshot!("live_wires", told);
}
