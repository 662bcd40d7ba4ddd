//! The layouts of `netstat`, beside net-tools' and Windows' own output.

use netarium_base::{Instant, Pid, SocketId};

use super::*;

fn row(kind: SocketKind, pid: u32, local: &str, remote: &str, state: &'static str) -> SocketInfo {
    SocketInfo {
        id: SocketId::default(),
        kind,
        pid: Pid(pid),
        local: local.parse().unwrap(),
        remote: remote.parse().ok(),
        state,
        recv_queue: 0,
        send_queue: if state == "LISTEN" { 511 } else { 0 },
        timer: (state == "TIME_WAIT").then(|| ("timewait", Instant::from_nanos(59_990_000_000))),
    }
}

fn rows() -> Vec<SocketInfo> {
    use SocketKind::{Ping, Tcp, Udp};
    vec![
        row(Udp, 101, "0.0.0.0:53", "", ""),
        row(Tcp, 0, "192.168.17.17:80", "10.0.0.7:52382", "TIME_WAIT"),
        row(Tcp, 100, "0.0.0.0:80", "", "LISTEN"),
        row(Tcp, 100, "192.168.17.17:80", "192.168.17.20:49152", "FIN_WAIT2"),
        row(Ping, 102, "0.0.0.0:7", "", ""),
    ]
}

fn flags(line: &str) -> Flags {
    Flags::parse(&[line.to_owned()]).unwrap()
}

fn owners() -> Owners {
    Owners::from([(Pid(100), "httpd".to_owned()), (Pid(101), "named".to_owned())])
}

#[test]
fn ano_is_windows() {
    assert!(flags("-ano").is_windows());
    assert!(!flags("-anop").is_windows());
    insta::assert_snapshot!(windows::sockets(&flags("-ano"), &rows()), @r"

    Active Connections

      Proto  Local Address          Foreign Address        State           PID
      TCP    0.0.0.0:80             0.0.0.0:0              LISTENING       100
      TCP    192.168.17.17:80       10.0.0.7:52382         TIME_WAIT       0
      TCP    192.168.17.17:80       192.168.17.20:49152    FIN_WAIT_2      100
      UDP    0.0.0.0:53             *:*                                    101
    ");
}

#[test]
fn without_o_there_is_no_pid() {
    let args = ["-anp", "tcp"].map(str::to_owned);
    let flags = Flags::parse(&args).unwrap();
    assert!(flags.is_windows());
    insta::assert_snapshot!(windows::sockets(&flags, &rows()), @r"

    Active Connections

      Proto  Local Address          Foreign Address        State
      TCP    0.0.0.0:80             0.0.0.0:0              LISTENING
      TCP    192.168.17.17:80       10.0.0.7:52382         TIME_WAIT
      TCP    192.168.17.17:80       192.168.17.20:49152    FIN_WAIT_2
    ");
}

#[test]
fn statistics_are_of_the_chosen_protocols() {
    let sections = |line: &str| -> Vec<String> {
        let text =
            linux::statistics(&flags(line), &netarium_stack::StackStats::default(), 0, false);
        text.lines().filter(|l| !l.starts_with(' ')).map(str::to_owned).collect()
    };
    assert_eq!(sections("-s"), ["Ip:", "Icmp:", "Tcp:", "Udp:", "TcpExt:"]);
    assert_eq!(sections("-st"), ["Tcp:", "TcpExt:"]);
    assert_eq!(sections("-su"), ["Udp:"]);
    assert_eq!(sections("-stu"), ["Tcp:", "Udp:", "TcpExt:"]);
}

#[test]
fn tanp_is_linux() {
    let text = linux::sockets(&flags("-tanp"), &rows(), &owners(), Instant::ZERO, &|_| (0, 0));
    // The same columns, trailing blanks included, as net-tools 2.10 prints them.
    let expect = "\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name    
tcp        0      0 0.0.0.0:80              0.0.0.0:*               LISTEN      100/httpd           
tcp        0      0 192.168.17.17:80        10.0.0.7:52382          TIME_WAIT   -                   
tcp        0      0 192.168.17.17:80        192.168.17.20:49152     FIN_WAIT2   100/httpd           
";
    assert_eq!(text, expect);
}

#[test]
fn the_other_choices_of_rows() {
    let show =
        |line: &str| linux::sockets(&flags(line), &rows(), &owners(), Instant::ZERO, &|_| (0, 0));
    let count = |line: &str| show(line).lines().count() - 2;
    assert_eq!((count("-an"), count("-n"), count("-tln"), count("-un")), (4, 2, 1, 0));
    assert!(show("-n").starts_with("Active Internet connections (w/o servers)\n"));
    assert!(show("-tl").contains(" 0.0.0.0:http "));
    let timers = show("-tnpo");
    assert!(timers.contains("TIME_WAIT   -                    timewait (59.99/0/0)\n"), "{timers}");
    assert!(timers.contains("100/httpd            off (0.00/0/0)\n"), "{timers}");
}

#[test]
fn wrong_letters_are_named() {
    assert_eq!(Flags::parse(&["-x".to_owned()]).unwrap_err(), "invalid option -- 'x'");
}

#[test]
fn the_protocol_of_windows() {
    let args = ["-ano", "-p", "udp"].map(str::to_owned);
    let flags = Flags::parse(&args).unwrap();
    assert!(flags.is_windows() && !flags.programs);
    assert_eq!(flags.wanted(&rows()).count(), 1);
}
