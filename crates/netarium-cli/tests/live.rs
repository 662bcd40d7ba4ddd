//! Time and the past of a running lab, by commands.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{Running, command};

const PAGE: &[&str] = &["exec", "friend", "curl", "-s", "-o", "page", "http://10.0.0.2:65535/"];

/// The number at the beginning of what follows `#`.
fn event_in(text: &str) -> u64 {
    let rest = text.rsplit("event #").next().unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn pause_step_break_and_speed() {
    let home = tempfile::tempdir().unwrap();
    let mut lab = Running::start(home.path(), &["course"]);
    let (code, said) = lab.run(&["pause"]);
    assert!(code == 0 && said.contains("paused (speed ×1)"), "{said}");
    let stood = event_in(&said);
    let (_, again) = lab.run(&["pause"]);
    assert_eq!(said, again, "a paused lab stands still");
    // A session waits, and goes on by steps.
    let mut page = command(home.path(), PAGE).spawn().unwrap();
    let (code, said) = lab.run(&["step", "--until", "tcp.state == SYN_RECEIVED && host == web"]);
    assert!(code == 0 && said.contains("SYN-RECEIVED"), "{said}");
    let (code, said) = lab.run(&["step", "packet", "2"]);
    assert!(code == 0 && event_in(&said) > stood, "{said}");
    let delivered = said.lines().filter(|l| l.contains("\"frame.delivered\"")).count();
    assert_eq!(delivered, 2, "{said}");
    assert!(page.try_wait().unwrap().is_none());

    let (code, said) = lab.run(&["break", "http.response && host == web"]);
    assert!(code == 0 && said.contains("breakpoint"), "{said}");
    assert_eq!(lab.run(&["resume"]).0, 0);
    let stopped = lab.tells("stopped");
    assert_eq!(stopped["stopped"]["when"], "http.response && host == web");
    let (_, said) = lab.run(&["pause"]);
    assert!(said.contains("paused at breakpoint"), "{said}");
    assert_eq!(lab.run(&["break", "--clear"]).0, 0);
    assert_eq!(lab.run(&["speed", "max"]).0, 0);
    assert!(page.wait().unwrap().success());
    // A minute of virtual time is nothing at full speed.
    assert_eq!(lab.run(&["exec", "friend", "ping", "-c", "60", "10.0.0.2"]).0, 0);
    let (code, said) = lab.run(&["step", "--until", "nonsense"]);
    assert!(code == 2 && said.contains("nonsense"), "{said}");
    lab.stop();
}

#[test]
fn the_trace_is_followed_while_it_happens() {
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course"]);
    let mut follow = command(home.path(), &["trace", "--follow", "--filter", "http.request"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says when it listens: what comes later is not missed.
    let mut told = BufReader::new(follow.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().contains("following"));
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        assert_eq!(lab.run(PAGE).0, 0);
        let event: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["event"], "http.request", "{event}");
        let (code, why) = lab.run(&["why", &event["id"].to_string()]);
        assert!(code == 0 && why.contains("because"), "{why}");
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn a_running_lab_is_rewound_while_it_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course"]);
    let past = |to: &str| lab.run(&["rewind", to, "--json"]);
    assert_eq!(lab.run(PAGE).0, 0);
    let (code, end) = past("end");
    assert_eq!(code, 0, "{end}");
    let end: serde_json::Value = serde_json::from_str(&end).unwrap();
    assert!(end["faithful"] == true && end["reached"] == true, "{end}");
    // The lab goes on: another page, a rule less.
    assert_eq!(lab.run(PAGE).0, 0);
    assert_eq!(lab.run(&["rule", "remove", "web", "web server (tcp/80)"]).0, 0);
    let commands = "until tcp.state == ESTABLISHED && host == web\nsockets web\nrules web\n\
                    processes web\nevents 2\n-1\n+1\n#1\nevents http.response\nend\nrules web\n\
                    why 1\nlinks\ndrops\nforwards router\nquit\n";
    let mut prompt = command(home.path(), &["rewind"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The prompt begins at the present; from the start on it finds the first connection.
    let input = format!("0s\n{commands}");
    prompt.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = prompt.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.contains("ESTABLISHED") && said.contains("192.168.17.17:80"), "{said}");
    let with_rule = said.find("allow tcp/80").expect("the rule was there then");
    let without = said.rfind("what no rule names: deny").expect("the rules at the end");
    assert!(!said[without - 40..].contains("allow tcp/80"), "{said}");
    assert!(with_rule < without);
    // What the past does, the present does not know.
    assert_eq!(lab.run(&["exec", "web", "netstat", "-ano"]).0, 0);
    let (code, told) = past("9h");
    assert!(code == 1 && told.contains("\"reached\":false"), "{told}");
    assert_eq!(past("soon").0, 1);

    // What was not recorded from the start can still be kept, and is the same run.
    assert_eq!(lab.run(&["record", "now.rec"]).0, 0);
    let (code, said) = lab.run(&["replay", "now.rec"]);
    assert!(code == 0 && said.contains("checks"), "{said}");
    lab.stop();
}
