//! `nc`, `iperf`, `ss`, `netstat`, `tasklist` and pipes between them, in a lab.

mod common;

use common::{Shell, lab, web};

fn sh(shell: &mut Shell, host: &str, script: &str) -> common::Said {
    shell.run_argv(host, ["sh", "-c", script].map(str::to_owned).to_vec())
}

#[test]
fn a_file_goes_through_nc() {
    let mut shell = Shell::new(lab(&[]));
    let script = "nc -vln 7000 > got 2> err; echo $? > code";
    shell.start_argv("web", ["sh", "-c", script].map(str::to_owned).to_vec());
    shell.wait(1);
    let said = sh(&mut shell, "pc", "nc -vN web 7000 < htdocs/big");
    assert_eq!(said.code, 0);
    assert_eq!(said.err, "Connection to web (192.168.17.17) 7000 port [tcp/*] succeeded!\n");
    shell.wait(10);
    let said = sh(&mut shell, "web", "cat code err");
    let begin = "0\nListening on 0.0.0.0 7000\nConnection received on 192.168.17.20 ";
    assert!(said.out.starts_with(begin), "{}", said.out);
    let sums = sh(&mut shell, "web", "wc -c < got; wc -c < htdocs/big; cat got | wc -c");
    assert_eq!(sums.out, "300000\n300000\n300000\n");
}

#[test]
fn a_request_is_typed_into_nc() {
    let mut shell = Shell::new(web());
    let script = "printf 'GET /a.txt HTTP/1.0\\r\\nHost: web\\r\\n\\r\\n' | nc web 80 | tail -n 1";
    assert_eq!(sh(&mut shell, "pc", script).out, "hello\n");
    let said = shell.run("pc", "nc -vzu web 9999");
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    let said = shell.run("pc", "nc -w 2 -vz 192.168.17.99 80");
    assert_eq!(
        said.err,
        "nc: connect to 192.168.17.99 port 80 (tcp) timed out: Operation now in progress\n"
    );
}

#[test]
fn datagrams_and_time_outs_of_nc() {
    let mut shell = Shell::new(lab(&[]));
    let script = "nc -luvn -w 3 7001 > got 2> err; echo $? > code";
    shell.start_argv("web", ["sh", "-c", script].map(str::to_owned).to_vec());
    shell.wait(1);
    assert_eq!(sh(&mut shell, "pc", "echo one | nc -u -w 1 web 7001").code, 0);
    shell.wait(5_000);
    let said = sh(&mut shell, "web", "cat got code err");
    let begin = "one\n0\nBound on 0.0.0.0 7001\nConnection received on 192.168.17.20 ";
    assert!(said.out.starts_with(begin), "{}", said.out);
}

#[test]
fn who_is_connected_to_my_port_80() {
    let mut shell = Shell::new(web());
    // A connection that stays open.
    let open =
        shell.start_argv("pc", ["sh", "-c", "sleep 1 | nc web 80"].map(str::to_owned).to_vec());
    shell.wait(10);
    let said = sh(&mut shell, "web", "netstat -ano | findstr :80 | findstr ESTABLISHED");
    let cells: Vec<&str> = said.out.split_whitespace().collect();
    assert_eq!(cells[..2], ["TCP", "192.168.17.17:80"], "{}", said.out);
    assert!(cells[2].starts_with("192.168.17.20:"), "{}", said.out);
    let pid = cells[4].to_owned();
    let argv = ["tasklist", "/FI", &format!("PID eq {pid}"), "/NH"].map(str::to_owned);
    let said = shell.run_argv("web", argv.to_vec());
    assert!(
        said.out.trim_start().starts_with(&format!("httpd.exe {pid:>24} Services")),
        "{}",
        said.out
    );
    let said = shell.run("web", "ss -Htnp state established");
    assert!(said.out.contains(&format!("users:((\"httpd\",pid={pid},fd=")), "{}", said.out);
    assert!(shell.run("web", "lsof -nPti tcp:80").out.contains(&format!("{pid}\n")));
    shell.finish(open, "nc");
}

#[test]
fn time_wait_has_a_remaining_time() {
    let mut shell = Shell::new(web());
    assert_eq!(shell.run("pc", "curl -s -o /dev/null http://web/").code, 0);
    shell.wait(20_000);
    let said = shell.run("pc", "netstat -tano");
    let line = said.out.lines().find(|l| l.contains("TIME_WAIT")).expect("curl closes first");
    let time = line.split_once("timewait (").expect("a timer").1;
    let left: f64 = time.split('/').next().unwrap().parse().unwrap();
    assert!((39.0..40.1).contains(&left), "{line}");
    let said = shell.run("pc", "ss -Htano state time-wait");
    assert!(said.out.contains(" timer:(timewait,"), "{}", said.out);
    let said = shell.run("pc", "ss -Htanem state time-wait");
    let (before, behind) = said.out.split_once(" ino:0 sk:").expect("nobody has it open");
    assert!(before.contains("timer:(timewait,") && behind.lines().count() == 1, "{}", said.out);
    assert!(!behind.contains("cgroup"), "{}", said.out);
    assert!(shell.run("pc", "netstat -ano").out.contains("TIME_WAIT       0\n"));
    assert!(shell.run("pc", "ss -s").out.contains("timewait 1)"));
    shell.wait(41_000);
    assert!(!shell.run("pc", "netstat -tan").out.contains("TIME_WAIT"));
}

#[test]
fn a_retransmission_shows_in_the_timers() {
    let mut shell = Shell::new(lab(&[]));
    let open = shell.start("pc", "nc -w 10 192.168.17.99 80");
    shell.wait(2_500);
    let said = shell.run("pc", "netstat -tno");
    // Nobody has that address: the SYN waits for ARP, its timer runs all the same.
    assert!(said.out.contains("SYN_SENT"), "{}", said.out);
    assert!(said.out.contains(" on (") && !said.out.contains("/0/0)"), "{}", said.out);
    // Nothing is agreed on yet, and a lost SYN leaves a window of one (RFC 5681 §3.1).
    let said = shell.run("pc", "ss -Htni").out;
    let details = said.lines().nth(1).expect("details");
    assert!(details.trim_start().starts_with("cubic rto:"), "no options: {said}");
    for part in [" mss:524 ", " advmss:1460 cwnd:1 ", " retrans:1/", " lost:1"] {
        assert!(details.contains(part), "{part}: {said}");
    }
    assert!(shell.run("pc", "netstat -s -t").out.contains("    TCPSynRetrans: "));
    shell.finish(open, "nc");
}

#[test]
fn a_connection_without_a_program_still_tells_its_tries() {
    let mut shell = Shell::new(lab(&["nc -lk 8080"]));
    let script = "(sleep 1; echo hello; sleep 99) | nc web 8080 & sleep 3; kill $!; sleep 1; \
                  ss -Htanoi";
    let open = shell.start_argv("pc", ["sh", "-c", script].map(str::to_owned).to_vec());
    shell.wait(500);
    assert_eq!(sh(&mut shell, "web", "iptables -A INPUT -j DROP").code, 0);
    let said = shell.finish(open, "sh").out;
    let (row, details) = said.split_once('\n').expect("a row and details");
    assert!(row.starts_with("FIN-WAIT-1") && row.contains(" timer:(on,"), "{said}");
    assert!(!row.contains(",0)") && details.contains(" retrans:1/"), "{said}");
    let said = shell.run("pc", "netstat -s -t").out;
    for part in ["segments retransmitted\n", "    TCPTimeouts: ", "    TCPLossProbes: 1\n"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn iperf_measures_in_virtual_time() {
    let mut shell = Shell::new(lab(&["iperf -s", "iperf -s -u"]));
    let said = shell.run("pc", "iperf -c web -t 1 -i 0.5 -b 100M");
    assert_eq!(said.code, 0, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[1], "Client connecting to web, TCP port 5001");
    assert!(lines.iter().any(|l| l.starts_with("[  1] 0.0000-0.5000 sec  ")), "{}", said.out);
    assert!(lines.last().unwrap().starts_with("[  1] 0.0000-1.0"), "{}", said.out);
    // 100 Mbit/s are 11.9 MiB in a second.
    let total = [" 11.9 MBytes  ", " 12.0 MBytes  "];
    assert!(total.iter().any(|t| said.out.contains(t)), "{}", said.out);
    let said = shell.run("pc", "iperf -c web -n 1M -P 2");
    assert_eq!(said.out.matches("1.00 MBytes").count(), 2, "{}", said.out);
    assert!(said.out.contains("[SUM] 0.0000-"), "{}", said.out);
    assert!(said.out.contains("2.00 MBytes"), "{}", said.out);
    let said = shell.run("pc", "iperf -c web -R -n 3M");
    assert!(said.out.contains("3.00 MBytes"), "{}", said.out);
    let said = shell.run("pc", "iperf -c web -u -b 8M -t 1");
    // 8 Mbit/s in datagrams of 1470 bytes: 680.3 a second.
    assert!(said.out.contains("[  1] Sent 681 datagrams\n"), "{}", said.out);
    assert!(said.out.contains(" ms 0/681 (0%)\n"), "{}", said.out);
    let said = shell.run("pc", "iperf -c web -p 9");
    assert_eq!((said.code, said.err.as_str()), (0, "tcp connect failed: Connection refused\n"));
    let usage = "Usage: iperf [-s|-c host] [options]\nTry `iperf --help' for more information.\n";
    let said = shell.run("pc", "iperf");
    assert_eq!((said.code, said.err.as_str()), (0, usage));
    let said = shell.run("pc", "iperf -c nohost");
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (1, "", "nohost: Unknown host\n")
    );
}

/// The spans of a connection's lines, or of `SUM`'s: `0.0000-1.0000`.
fn spans<'a>(said: &'a str, id: &str) -> Vec<&'a str> {
    let begin = format!("[{id}] ");
    let lines = said.lines().filter_map(|l| l.strip_prefix(&begin));
    lines.filter_map(|l| l.split_once(" sec ").map(|l| l.0)).collect()
}

#[test]
fn iperf_tells_every_interval_and_all_together() {
    let mut shell = Shell::new(lab(&[]));
    for script in ["iperf -s -i 1 > tcp", "iperf -s -u -i 1 > udp"] {
        shell.start_argv("web", ["sh", "-c", script].map(str::to_owned).to_vec());
    }
    shell.wait(1);
    let whole = ["0.0000-1.0000", "1.0000-2.0000"];
    // Two together, and each has its last interval before its total.
    let said = shell.run("pc", "iperf -c web -b 8M -t 2 -i 1 -P 2");
    for id in ["  1", "  2", "SUM"] {
        let told = spans(&said.out, id);
        assert_eq!((told.len(), &told[..2]), (3, &whole[..]), "{}", said.out);
    }
    let said = sh(&mut shell, "web", "cat tcp");
    for id in ["  1", "  2", "SUM"] {
        let told = spans(&said.out, id);
        assert_eq!((told.len(), told[0]), (3, whole[0]), "{}", said.out);
        assert!(told[1].starts_with("1.0000-"), "{}", said.out);
    }
    // A second and a half: the last half is told where it was received.
    let said = shell.run("pc", "iperf -c web -u -b 8M -t 1.5 -i 1 -P 3");
    assert_eq!(said.code, 0, "{}", said.err);
    for id in ["  1", "  2", "  3", "SUM"] {
        let told = spans(&said.out, id);
        // The flows have the report of the server besides.
        assert_eq!(
            (told[0], told.len()),
            (whole[0], if id == "SUM" { 2 } else { 3 }),
            "{}",
            said.out
        );
    }
    assert!(said.out.contains("\n[  3] Sent 1021 datagrams\n"), "{}", said.out);
    assert!(said.out.contains("\n[SUM-3] Sent 3063 datagrams\n"), "{}", said.out);
    let said = sh(&mut shell, "web", "cat udp");
    for id in ["  1", "  2", "  3", "SUM"] {
        let told = spans(&said.out, id);
        assert_eq!((told.len(), told[0]), (3, whole[0]), "{}", said.out);
        assert!(told[1].starts_with("1.0000-1.4"), "{}", said.out);
    }
    assert!(said.out.contains("/sec   0/3063 (0%)\n"), "{}", said.out);
}

#[test]
fn a_second_client_waits_until_nc_is_done_with_the_first() {
    let mut shell = Shell::new(lab(&[]));
    let script = "nc -l 7000 > got; echo $? > code";
    shell.start_argv("web", ["sh", "-c", script].map(str::to_owned).to_vec());
    shell.wait(1);
    let script = "sleep 3 | nc -N web 7000";
    shell.start_argv("pc", ["sh", "-c", script].map(str::to_owned).to_vec());
    shell.wait(1);
    let said = sh(&mut shell, "pc", "nc -vz web 7000");
    assert_eq!(said.code, 0, "{}", said.err);
    shell.wait(4_000);
    assert_eq!(sh(&mut shell, "web", "cat code").out, "0\n");
    assert_eq!(sh(&mut shell, "pc", "nc -z web 7000").code, 1);
}

#[test]
fn iperf_shows_the_address_that_it_sends_from() {
    let mut shell = Shell::new(lab(&["iperf -s", "iperf -s -u"]));
    let said = shell.run("pc", "iperf -c web -u -n 10K -f k");
    assert!(said.out.contains("[  1] local 192.168.17.20 port "), "{}", said.out);
    assert!(said.out.contains("UDP buffer size:  208 KByte (default)\n"), "{}", said.out);
    let rates = said.out.lines().filter(|l| l.contains(" Kbits/sec")).count();
    assert_eq!(rates, 2, "{}", said.out);
    let said = shell.run("pc", "iperf -c web -B 192.168.17.20:5555 -n 1M");
    let local = "[  1] local 192.168.17.20 port 5555 connected with 192.168.17.17 port 5001\n";
    assert!(said.out.contains(local), "{}", said.out);
    let said = shell.run("pc", "iperf -c web -B 9.9.9.9");
    assert_eq!(said.code, 0);
    assert!(said.err.starts_with("bind failed: Cannot assign requested address\n"), "{}", said.err);
    let said = shell.run("web", "iperf -s");
    assert_eq!(
        (said.code, said.err.as_str()),
        (0, "listener bind failed: Address already in use\n")
    );
}

#[test]
fn what_follows_a_file_sees_what_is_added() {
    let mut shell = Shell::new(lab(&[]));
    let script =
        "echo one > /log; tail -f /log & sleep 1.5; echo two >> /log; sleep 2; kill %1; wait";
    let said = sh(&mut shell, "web", script);
    assert_eq!(said.out, "one\ntwo\n", "{}", said.err);
}

#[test]
fn what_follows_nothing_ends() {
    let mut shell = Shell::new(lab(&[]));
    let missing = "tail: cannot open 'nofile' for reading: No such file or directory\n";
    let said = shell.run("web", "tail -f nofile");
    assert_eq!((said.code, said.err), (1, format!("{missing}tail: no files remaining\n")));
    // With -F the file may come.
    let script = "tail -F later & sleep 1.5; echo one > later; sleep 2; kill %1; wait";
    let said = sh(&mut shell, "web", script);
    assert_eq!(said.out, "one\n", "{}", said.err);
    let appeared = "tail: 'later' has appeared;  following new file\n";
    assert!(said.err.contains(appeared), "{}", said.err);
}

#[test]
fn netstat_shows_the_chosen_protocols() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "netstat -su").out;
    assert!(said.starts_with("Udp:\n") && !said.contains("Tcp"), "{said}");
    let said = shell.run("web", "netstat -anp tcp").out;
    assert!(said.contains("LISTENING\n") && !said.contains("PID"), "{said}");
}

#[test]
fn ss_tells_what_tcp_knows() {
    let mut shell = Shell::new(lab(&["nc -lk 8080"]));
    shell.start_argv(
        "pc",
        ["sh", "-c", "(echo hello; sleep 2) | nc web 8080"].map(str::to_owned).to_vec(),
    );
    shell.wait(100);
    let said = shell.run("pc", "ss -tinm");
    for part in [
        " cubic",
        " wscale:",
        " rto:",
        " rtt:",
        " mss:1448 ",
        " cwnd:10",
        " bytes_acked:",
        " skmem:(r0,rb",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    // On the accepted side the SYN counts, and the handshake's last segment, and the data.
    let served = shell.run("web", "ss -Htni").out;
    assert!(served.contains(" segs_in:3 ") && served.contains(" data_segs_in:1 "), "{served}");
    assert_eq!(shell.run("pc", "ss -tz").code, 255);
    assert_eq!(shell.run("pc", "ss state nowhere").err, "ss: wrong state name: nowhere\n");
}
