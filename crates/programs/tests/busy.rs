//! Servers that are full: refusals at once, waiting, silence; and that they recover.

mod common;

use common::{Shell, lab_with, statuses};
use netarium_world::PortId;

const POOL: &str = "[pool]\nworkers = 4\nqueue = 8\nretry_after = \"2s\"\n[sessions]\nlimit = 3\nlifetime = \"1m\"\n\
    [[route]]\npath = \"work\"\ndelay = \"1s\"\ntext = \"done\"\n\
    [[route]]\npath = \"enter\"\nsession = \"start\"\ntext = \"in\"\npool = false\n\
    [[route]]\npath = \"inside\"\nsession = \"require\"\ntemplate = \"{{ session.data.visits }}\"\npool = false\n\
    [[route]]\npath = \"leave\"\nsession = \"end\"\ntext = \"out\"\npool = false\n";

fn pool() -> Shell {
    Shell::new(lab_with(&["httpd --root htdocs --routes r.toml"], &[("r.toml", POOL)]))
}

#[test]
fn two_hundred_clients_and_four_workers() {
    let mut shell = pool();
    // The addresses are known before the rush.
    shell.run("pc", "curl -s http://web/a.txt");
    let line =
        "curl -s -o /dev/null -w %{http_code}␣%{time_total}␣%header{retry-after} http://web/work";
    let ports: Vec<PortId> = (0..200).map(|_| shell.start("pc", line)).collect();
    type Outcomes = Vec<(u16, f64)>;
    let mut outcomes = Outcomes::new();
    for port in ports {
        let said = shell.finish(port, line).out;
        let [code, time, again] = said.split(' ').collect::<Vec<_>>()[..] else {
            panic!("code, time and Retry-After: {said}")
        };
        assert_eq!(again, if code == "503" { "2" } else { "" }, "Retry-After");
        outcomes.push((code.parse().unwrap(), time.parse().unwrap()));
    }
    let (good, full): (Outcomes, Outcomes) = outcomes.into_iter().partition(|o| o.0 == 200);
    assert_eq!((good.len(), full.len()), (12, 188), "four work, eight wait");
    assert!(full.iter().all(|o| o.0 == 503));
    // Refused at once, while the others wait for one, two or three rounds of work.
    assert!(full.iter().all(|o| o.1 < 0.5), "{full:?}");
    assert!(good.iter().all(|o| o.1 >= 1.0 && o.1 < 3.5), "{good:?}");
    // It recovers.
    assert_eq!(shell.run("pc", "curl -s http://web/work").out, "done");
    let log = shell.run("web", "cat /var/log/httpd/access_log").out;
    assert_eq!(log.matches(" 503 ").count(), 188);
}

#[test]
fn sessions_can_be_full() {
    let mut shell = pool();
    let cookie = |said: &str| {
        let line = said.lines().find_map(|l| l.strip_prefix("Set-Cookie: sid=")).expect("a cookie");
        assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
        line.split(';').next().expect("an id").to_owned()
    };
    let first = cookie(&shell.run("pc", "curl -s -i http://web/enter").out);
    for _ in 0..2 {
        assert_eq!(statuses(&shell.run("pc", "curl -s -i http://web/enter").out), [200]);
    }
    let full = shell.run("pc", "curl -s -i http://web/enter").out;
    assert!(statuses(&full) == [503] && full.contains("Retry-After: 2\r\n"), "{full}");
    // Who is in stays in; who has no session stays out.
    let inside = format!("curl -s -i -b sid={first} http://web/inside");
    assert!(shell.run("pc", &inside).out.ends_with("\r\n\r\n2"));
    assert_eq!(statuses(&shell.run("pc", "curl -s -i -b sid=guess http://web/inside").out), [403]);
    // Who leaves makes room, and so does time.
    shell.run("pc", &format!("curl -s -b sid={first} http://web/leave"));
    assert_eq!(statuses(&shell.run("pc", "curl -s -i http://web/enter").out), [200]);
    assert_eq!(statuses(&shell.run("pc", "curl -s -i http://web/enter").out), [503]);
    shell.wait(61_000);
    assert_eq!(statuses(&shell.run("pc", "curl -s -i http://web/enter").out), [200]);
}

/// Connections that begin a request and never end it.
fn slow_clients(shell: &mut Shell, count: usize) -> Vec<PortId> {
    (0..count)
        .map(|_| {
            let port = shell.connect();
            shell.send(port, b"GET / HTTP/1.1\r\nX-Slow:");
            port
        })
        .collect()
}

#[test]
fn slow_clients_fill_the_server_until_their_time_is_up() {
    let conf = "Listen 80\nMaxRequestWorkers 4\nListenBacklog 2\nDocumentRoot htdocs\nRequestReadTimeout header=20\n";
    let mut shell = Shell::new(lab_with(&["httpd -f c"], &[("c", conf)]));
    let slow = slow_clients(&mut shell, 4);
    // The next ones wait in the queue of the kernel: connected, and unanswered.
    let line =
        "curl -s -o /dev/null -w %{http_code}␣%{time_connect}␣%{time_total} http://web/a.txt";
    let waiting: Vec<PortId> = (0..3).map(|_| shell.start("pc", line)).collect();
    shell.wait(100);
    let table = shell.run("web", "netstat -tan").out;
    assert_eq!(table.matches("ESTABLISHED").count(), 7, "{table}");
    // Then nobody answers: a SYN, and another, and another.
    let silent = shell.start("pc", "curl -sS -m 6 http://web/a.txt");
    shell.wait(5_000);
    let table = shell.run("pc", "netstat -tan").out;
    assert_eq!(table.matches("SYN_SENT").count(), 1, "{table}");
    let counters = shell.run("pc", "netstat -s").out;
    let again = counters.lines().find(|l| l.contains("segments retransmitted")).expect("a counter");
    let again: u64 = again.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap();
    assert!(again >= 2, "a SYN goes again after 1 s and 3 s: {counters}");
    let said = shell.finish(silent, "curl");
    assert!(said.code == 28 && said.err.contains("timed out"), "{said:?}");
    // After 20 seconds the slow ones get 408, and those in the queue are served.
    for port in waiting {
        let said = shell.finish(port, "curl").out;
        let words: Vec<&str> = said.split(' ').collect();
        assert_eq!(words[0], "200", "{said}");
        let total: f64 = words[2].parse().unwrap();
        // 20 s for their heads, 2 s in which a closed connection may still talk.
        assert!((20.0..22.5).contains(&total), "served when the slow ones were gone: {said}");
    }
    let log = shell.run("web", "cat /var/log/httpd/access_log").out;
    assert_eq!(log.matches("\"GET / HTTP/1.1\" 408 ").count(), slow.len(), "{log}");
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").out, "hello\n");
}

#[test]
fn who_closes_first_waits() {
    let mut shell = Shell::new(lab_with(&["httpd --root htdocs"], &[]));
    let waits = |shell: &mut Shell, host: &str| {
        shell.run(host, "netstat -tan").out.matches("TIME_WAIT").count()
    };
    // curl closes first: the client waits.
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").code, 0);
    shell.wait(10);
    assert_eq!((waits(&mut shell, "pc"), waits(&mut shell, "web")), (1, 0));
    // The server closes an idle connection after KeepAliveTimeout: the server waits.
    let mut shell = Shell::new(lab_with(&["httpd --root htdocs"], &[]));
    let port = shell.connect();
    shell.send(port, b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    shell.wait(5_100);
    assert!(shell.came(port).1, "the server has closed");
    shell.world.apply(netarium_world::Input::Eof { port });
    shell.wait(10);
    assert_eq!((waits(&mut shell, "pc"), waits(&mut shell, "web")), (0, 1));
    // Asked to close, it closes at once.
    let port = shell.connect();
    shell.send(port, b"GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(shell.came(port).1);
}
