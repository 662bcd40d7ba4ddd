//! `ping` and the programs that show what is there, on a running lab.

mod common;

use common::{Shell, lab, web};
use netarium_world::Input;

#[test]
fn ping_reports_as_iputils_does() {
    let mut shell = Shell::new(web());
    shell.run("pc", "ping -c 1 web");
    let said = shell.run("pc", "ping -c 2 -i 0.2 192.168.17.17");
    assert_eq!(said.code, 0);
    insta::assert_snapshot!(said.out);
    let said = shell.run("pc", "ping -c 1 -q -s 8 web");
    assert_eq!(said.code, 0);
    insta::assert_snapshot!(said.out, @r"
    PING web (192.168.17.17) 8(36) bytes of data.

    --- web ping statistics ---
    1 packets transmitted, 1 received, 0% packet loss, time 0ms
    ");
    let said = shell.run("web", "ping -c 1 -n localhost");
    assert!(said.out.contains("64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time="), "{}", said.out);
}

#[test]
fn ping_says_who_does_not_answer() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "ping -c 1 -W 1 192.168.17.99");
    assert_eq!(said.code, 1);
    assert!(
        said.out.ends_with("1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n")
    );
    let said = shell.run("pc", "ping -c 2 192.168.17.98");
    assert_eq!(said.code, 1);
    insta::assert_snapshot!(said.out);
    let said = shell.run("pc", "ping -c 1 203.0.113.1");
    assert_eq!((said.code, said.err.as_str()), (2, "ping: connect: Network is unreachable\n"));
    let said = shell.run("pc", "ping nosuch");
    assert_eq!((said.code, said.err.as_str()), (2, "ping: nosuch: Name or service not known\n"));
    assert_eq!(shell.run("pc", "ping").code, 1);
    assert_eq!(shell.run("pc", "ping -z web").code, 2);
}

#[test]
fn an_interrupted_ping_sums_up() {
    let mut shell = Shell::new(web());
    let port = shell.start("pc", "ping -i 0.5 web");
    shell.wait(1_200);
    shell.world.apply(Input::Signal { port, signal: 2 });
    let said = shell.finish(port, "ping");
    assert_eq!(said.code, 0);
    assert!(
        said.out.contains("\n3 packets transmitted, 3 received, 0% packet loss"),
        "{}",
        said.out
    );
}

#[test]
fn tables_show_what_the_stack_has() {
    let mut shell = Shell::new(web());
    shell.run("pc", "curl -s -o /dev/null http://web/");
    insta::assert_snapshot!(shell.run("pc", "arp -a").out);
    insta::assert_snapshot!(shell.run("pc", "ip neigh").out);
    let routes = shell.run("pc", "ip route").out;
    assert_eq!(
        routes,
        "172.16.0.0/16 via 192.168.17.99 dev eth0 \n\
         192.168.17.0/24 dev eth0 proto kernel scope link src 192.168.17.20 \n"
    );
    insta::assert_snapshot!(shell.run("pc", "netstat -rn").out, @r"
    Kernel IP routing table
    Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface
    172.16.0.0      192.168.17.99   255.255.0.0     UG        0 0          0 eth0
    192.168.17.0    0.0.0.0         255.255.255.0   U         0 0          0 eth0
    ");
    let said = shell.run("pc", "ip route get 203.0.113.1");
    let unreachable = "RTNETLINK answers: Network is unreachable\n";
    assert_eq!((said.code, said.err.as_str()), (2, unreachable));
    let said = shell.run("pc", "ip addr show eth9");
    assert_eq!((said.code, said.err.as_str()), (1, "Device \"eth9\" does not exist.\n"));
    let addresses = shell.run("pc", "ip -4 a show dev eth0").out;
    assert!(addresses.contains("    inet 192.168.17.20/24 brd 192.168.17.255 scope global eth0\n"));
}

#[test]
fn counters_count() {
    let mut shell = Shell::new(web());
    shell.run("pc", "curl -s -o /dev/null http://web/");
    let stats = shell.run("pc", "netstat -s").out;
    assert!(stats.contains("    1 active connection openings\n"), "{stats}");
    assert!(shell.run("web", "netstat -s").out.contains("    1 passive connection openings\n"));
    let row = shell.run("pc", "netstat -i").out;
    let eth0 = row.lines().find(|l| l.starts_with("eth0 ")).expect("eth0").to_owned();
    let cells: Vec<&str> = eth0.split_whitespace().collect();
    assert!(cells[2].parse::<u32>().unwrap() > 3 && cells[6].parse::<u32>().unwrap() > 3, "{row}");
    let links = shell.run("pc", "ip -s link show eth0").out;
    assert!(links.contains(&format!(" {:>7} ", cells[2])), "{links}");
}

#[test]
fn small_tools_do_their_small_things() {
    let mut shell = Shell::new(web());
    for (line, code, out, err) in [
        ("hostname", 0, "web\n", ""),
        ("hostname -I", 0, "192.168.17.17 \n", ""),
        ("echo a b", 0, "a b\n", ""),
        ("echo -n a", 0, "a", ""),
        ("cat htdocs/a.txt secret.txt", 0, "hello\noutside the root", ""),
        ("cat none", 1, "", "cat: none: No such file or directory\n"),
        ("cat htdocs", 1, "", "cat: htdocs: Is a directory\n"),
        ("ls htdocs", 0, "a.txt\nbig\ndocs\nempty\nindex.html\n", ""),
        ("ls /none", 2, "", "ls: cannot access '/none': No such file or directory\n"),
        ("true", 0, "", ""),
        ("false", 1, "", ""),
        ("sleep 1.5", 0, "", ""),
        ("kill 99999", 1, "", "kill: (99999): No such process\n"),
        ("sink --listen 80", 1, "", "sink: 0.0.0.0:80: Address already in use\n"),
    ] {
        let said = shell.run("web", line);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (code, out, err), "{line}");
    }
    let port = shell.start("web", "cat");
    assert_eq!(shell.finish(port, "cat").out, "", "standard input is at its end");
}

#[test]
fn help_is_there_where_messages_recommend_it() {
    let mut shell = Shell::new(web());
    for (line, code, begin) in [
        ("cat --help", 0, "Usage: cat [OPTION]... [FILE]...\nConcatenate FILE(s)"),
        ("ls -l --help -z", 0, "Usage: ls [OPTION]... [FILE]...\n"),
        ("grep --help", 0, "Usage: grep [OPTION]... PATTERNS [FILE]...\n"),
        ("sort --he", 0, "Usage: sort [OPTION]... [FILE]...\n"),
        ("tail x --help", 0, "Usage: tail [OPTION]... [FILE]...\n"),
        ("cp --help", 0, "Usage: cp [OPTION]... SOURCE DEST\n  or:  cp [OPTION]... SOURCE... DIR"),
        ("sleep --help", 0, "Usage: sleep NUMBER[SUFFIX]...\n  or:  sleep OPTION\n"),
        ("date --help", 0, "Usage: date [OPTION]... [+FORMAT]\n"),
        ("env --help", 0, "Usage: env [OPTION]... [-] [NAME=VALUE]..."),
        ("uptime --help", 0, "\nUsage:\n uptime [options]\n"),
        ("cat --version", 0, "cat (netarium) "),
        ("ps --help", 0, "\nUsage:\n ps "),
        ("hostname -h", 255, "Usage: hostname [-b] {hostname|-F file}"),
        ("route --help", 0, "Usage: route [-nNvee] [-FC] [<AF>] "),
        ("arp -h", 0, "Usage:\n  arp [-vn]"),
        ("ifconfig --help", 0, "Usage:\n  ifconfig [-a]"),
        ("tasklist /?", 0, "\nTASKLIST [/SVC | /V]"),
        ("taskkill -?", 0, "\nTASKKILL { /PID"),
        ("findstr /?", 0, "Searches for strings in files.\n"),
        ("ipconfig /?", 0, "\nUSAGE:\n    ipconfig"),
        ("curl --manual", 0, "NAME\n       curl - transfer a URL\n"),
        (
            "curl --help post",
            0,
            "Usage: curl [options...] <url>\npost: HTTP Post specific options\n",
        ),
    ] {
        let said = shell.run("web", line);
        assert_eq!(said.code, code, "{line}: {}", said.err);
        assert!(said.out.starts_with(begin), "{line}: {}", said.out);
    }
    let said = shell.run("web", "nc --help");
    assert!(said.err.starts_with("nc: invalid option -- '-'\nusage: nc "), "{}", said.err);
    let said = shell.run("web", "nc -h");
    assert_eq!(said.code, 0);
    assert!(said.err.starts_with("OpenBSD netcat (Debian patchlevel 1.219-1)\nusage: nc "));
    let said = shell.run("web", "ping --help");
    assert_eq!(said.code, 2);
    assert!(said.err.starts_with("ping: invalid option -- '-'\n"), "{}", said.err);
}

#[test]
fn options_of_the_small_tools() {
    let mut shell = Shell::new(web());
    let mut sh =
        |script: &str| shell.run_argv("web", ["sh", "-c", script].map(str::to_owned).to_vec());
    let perl = "grep: Perl matching not supported in a --disable-perl-regexp build\n";
    let into = "cp: cannot copy a directory, '.', into itself, 'd/.'\n";
    for (script, code, out, err) in [
        ("printf 'a\\tb\\n\\n' | cat -A", 0, "a^Ib$\n$\n", ""),
        ("printf 'a\\n\\nb\\n' | cat -b", 0, "     1\ta\n\n     2\tb\n", ""),
        ("printf 'a\\n' | cat -E", 0, "a$\n", ""),
        ("ls -m htdocs", 0, "a.txt, big, docs, empty, index.html\n", ""),
        ("echo lo > p; echo hello | grep -f p; grep -f p secret.txt", 1, "hello\n", ""),
        ("grep -f none x", 2, "", "grep: none: No such file or directory\n"),
        ("grep -P a x", 2, "", perl),
        ("mkdir /t /t/d; cd /t; echo x > a; cp -r . d", 1, "", into),
        (
            "cd /t; ls d; mv d d/e",
            1,
            "a\n",
            "mv: cannot move 'd' to a subdirectory of itself, 'd/e'\n",
        ),
        ("env kill -l 99", 0, "", "kill: unknown signal name 99\n"),
        ("hostname -i; hostname -s; hostname -f", 0, "192.168.17.17\nweb\nweb\n", ""),
        ("hostname -d; hostname -a", 0, "\n", ""),
        ("hostname -y", 1, "", "hostname: Local domain name not set\n"),
        ("sort --reverse htdocs/a.txt --unique", 0, "hello\n", ""),
    ] {
        let said = sh(script);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (code, out, err), "{script}");
    }
}

#[test]
fn sleep_takes_virtual_time() {
    let mut shell = Shell::new(web());
    let before = shell.world.now();
    shell.run("pc", "sleep 90m");
    assert_eq!(shell.world.now().since(before).as_secs(), 5_400);
}

#[test]
fn source_and_sink_move_bytes() {
    let mut shell = Shell::new(lab(&[
        "source --listen 9000 --bytes 100000",
        "source --listen 9001 --bytes 100000 --http",
        "sink --listen 9002",
    ]));
    let line = "curl -sS -o got -w %{http_code}␣%{size_download} http://web:9001/";
    assert_eq!(shell.run("pc", line).out, "200 100000");
    let got = shell.run("pc", "ls -l got").out;
    assert!(got.contains(" 100000 "), "{got}");
    // The plain source speaks no HTTP: curl says so.
    assert_eq!(shell.run("pc", "curl -s http://web:9000/").code, 1);
    let said = shell.run("pc", "curl -s -m 1 --data-binary @got http://web:9002/");
    assert_eq!(said.code, 28);
    shell.wait(100);
    assert!(!shell.run("web", "netstat -tn").out.contains("ESTABLISHED"));
}
