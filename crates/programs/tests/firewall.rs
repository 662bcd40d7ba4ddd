//! `netsh`, `conntrack`, `iptables` and `dmesg` on a running lab: what they say, and that it holds.

mod common;

use common::{Shell, web};

const ADD: &str = "netsh advfirewall firewall add rule dir=in";

#[test]
fn netsh_adds_shows_switches_off_and_deletes() {
    let mut shell = Shell::new(web());
    let page = "curl -m 1 http://web/a.txt";
    assert_eq!(shell.run("pc", page).code, 0, "no firewall yet");
    let said = shell.run("web", &format!("{ADD} name=mail action=allow protocol=tcp localport=25"));
    assert_eq!((said.code, said.out.as_str()), (0, "Ok.\n\n"));
    assert_eq!(shell.run("pc", page).code, 28, "what no rule names is blocked now");
    shell.run("web", &format!("{ADD} name=www action=allow protocol=tcp localport=80,8000-8010"));
    assert_eq!(shell.run("pc", page).code, 0);
    let block = format!("{ADD} name=no␣pc action=block remoteip=192.168.17.20");
    assert_eq!(shell.run("web", &block).code, 0);
    assert_eq!(shell.run("pc", page).code, 28, "blocking goes before allowing");
    let shown = shell.run("web", "netsh advfirewall firewall show rule name=all");
    insta::assert_snapshot!(shown.out);
    let off = shell.run("web", "netsh advfirewall set allprofiles state off");
    assert_eq!(off.out, "Ok.\n\n");
    assert_eq!(shell.run("pc", page).code, 0, "switched off");
    let state = shell.run("web", "netsh advfirewall show publicprofile");
    insta::assert_snapshot!(state.out);
    shell.run("web", "netsh advfirewall set allprofiles state on");
    assert_eq!(shell.run("pc", page).code, 28);
    let gone = shell.run("web", "netsh advfirewall firewall delete rule name=no␣pc");
    assert_eq!(gone.out, "\nDeleted 1 rule(s).\nOk.\n\n");
    assert_eq!(shell.run("pc", page).code, 0);
    let none = shell.run("web", "netsh advfirewall firewall show rule name=nothing");
    assert_eq!((none.code, none.out.contains("No rules match")), (1, true));
    assert_eq!(shell.run("web", "netsh advfirewall firewall add rule name=x dir=up").code, 1);
}

#[test]
fn conntrack_and_dmesg_tell_what_iptables_saw() {
    let mut shell = Shell::new(web());
    let log = "iptables -A INPUT -p tcp --syn -j LOG --log-prefix in:␣";
    assert_eq!(shell.run("web", log).code, 0);
    assert_eq!(shell.run("pc", "curl http://web/a.txt").code, 0);
    let lines = shell.run("web", "dmesg").out;
    assert!(lines.contains("in: IN=eth0 OUT= MAC="), "{lines}");
    assert!(lines.contains("SRC=192.168.17.20 DST=192.168.17.17 LEN=60"), "{lines}");
    let table = shell.run("web", "conntrack -L -p tcp");
    assert!(
        table.out.starts_with("tcp      6 ") && table.out.contains("dport=80"),
        "{}",
        table.out
    );
    assert!(table.err.ends_with("1 flow entries have been shown.\n"), "{}", table.err);
    assert_eq!(shell.run("web", "conntrack -D -p udp").err.matches(": 0 flow").count(), 1);
    assert_eq!(shell.run("web", "conntrack -F").code, 0);
    assert_eq!(shell.run("web", "conntrack -C").out, "0\n");
    let counted = shell.run("web", "iptables -L INPUT 1 -v -n -x").out;
    assert!(counted.starts_with("       1       60 LOG "), "{counted}");
}
