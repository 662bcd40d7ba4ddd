//! Symbols of scripts, with Linux' numbers; and words that mean something this drill leaves out.

use netarium_stack::Errno;

/// The number of a symbol.
pub(super) fn number(name: &str) -> Option<i64> {
    if let Ok(at) = NUMBERS.binary_search_by(|(n, _)| (*n).cmp(name)) {
        return Some(NUMBERS[at].1);
    }
    errno_number(name)
}

/// The number of an error.
pub(super) fn errno_number(name: &str) -> Option<i64> {
    let name = errno_name(name);
    let ours = Errno::from_name(name).map(|e| e.code().into());
    ours.or_else(|| OTHER_ERRNOS.iter().find(|(n, _)| *n == name).map(|(_, code)| *code))
}

/// The usual name of an error that has several.
pub(super) fn errno_name(name: &str) -> &str {
    match name {
        "EWOULDBLOCK" => "EAGAIN",
        "ENOTSUP" => "EOPNOTSUPP",
        other => other,
    }
}

/// What `strerror` says; empty for errors that the stack does not know.
pub(super) fn errno_text(name: &str) -> &'static str {
    Errno::from_name(name).map_or("", Errno::text)
}

/// Why a script with this word cannot be run; what depends on it would fail for a wrong reason.
pub(super) fn unsupported(word: &str) -> Option<&'static str> {
    Some(match word {
        "MSG_FASTOPEN"
        | "TCP_FASTOPEN"
        | "TCP_FASTOPEN_CONNECT"
        | "TCP_FASTOPEN_KEY"
        | "TCP_FASTOPEN_NO_COOKIE" => "TCP Fast Open",
        "MSG_ZEROCOPY" | "SO_ZEROCOPY" | "TCP_ZEROCOPY_RECEIVE" => "zero copy",
        "MSG_ERRQUEUE" | "IP_RECVERR" => "error queues",
        "MSG_EOR" => "MSG_EOR",
        "SO_TIMESTAMPING" | "SO_TIMESTAMP" | "SO_TIMESTAMPNS" => "packet time stamps",
        "TCP_MD5SIG" | "TCP_MD5SIG_EXT" => "TCP MD5 signatures",
        "TCP_AO_ADD_KEY" | "TCP_AO" => "TCP-AO",
        "IPPROTO_MPTCP" => "MPTCP",
        "IPPROTO_SCTP" => "SCTP",
        "IPPROTO_UDPLITE" => "UDP-Lite",
        "AF_INET6" | "PF_INET6" => "IPv6",
        "TCP_REPAIR" | "TCP_REPAIR_QUEUE" => "TCP_REPAIR",
        "TCP_THIN_LINEAR_TIMEOUTS" | "TCP_THIN_DUPACK" => "thin streams",
        "TCP_SAVE_SYN" | "TCP_SAVED_SYN" => "saved SYNs",
        "TCP_TX_DELAY" => "TCP_TX_DELAY",
        "TCP_ULP" => "upper layer protocols",
        _ => return None,
    })
}

/// Errors that calls of the runner give and the stack does not.
const OTHER_ERRNOS: &[(&str, i64)] = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EINTR", 4),
    ("EIO", 5),
    ("EFAULT", 14),
    ("EEXIST", 17),
    ("ENFILE", 23),
    ("ENOTTY", 25),
    ("ESPIPE", 29),
    ("ENOSYS", 38),
    ("ENOMSG", 42),
    ("ENODATA", 61),
    ("EPROTONOSUPPORT", 93),
    ("ESOCKTNOSUPPORT", 94),
    ("EPFNOSUPPORT", 96),
    ("ESHUTDOWN", 108),
    ("EHOSTDOWN", 112),
];

/// Sorted by name.
const NUMBERS: &[(&str, i64)] = &[
    ("AF_INET", 2),
    ("AF_UNSPEC", 0),
    ("EPOLLERR", 8),
    ("EPOLLET", 1 << 31),
    ("EPOLLEXCLUSIVE", 1 << 28),
    ("EPOLLHUP", 16),
    ("EPOLLIN", 1),
    ("EPOLLONESHOT", 1 << 30),
    ("EPOLLOUT", 4),
    ("EPOLLPRI", 2),
    ("EPOLLRDBAND", 128),
    ("EPOLLRDHUP", 0x2000),
    ("EPOLLRDNORM", 64),
    ("EPOLLWRBAND", 512),
    ("EPOLLWRNORM", 256),
    ("EPOLL_CLOEXEC", 0x80000),
    ("EPOLL_CTL_ADD", 1),
    ("EPOLL_CTL_DEL", 2),
    ("EPOLL_CTL_MOD", 3),
    ("FD_CLOEXEC", 1),
    ("FIONBIO", 0x5421),
    ("FIONREAD", 0x541b),
    ("F_DUPFD", 0),
    ("F_GETFD", 1),
    ("F_GETFL", 3),
    ("F_SETFD", 2),
    ("F_SETFL", 4),
    ("INADDR_ANY", 0),
    ("IPPROTO_ICMP", 1),
    ("IPPROTO_IP", 0),
    ("IPPROTO_TCP", 6),
    ("IPPROTO_UDP", 17),
    ("IP_BIND_ADDRESS_NO_PORT", 24),
    ("IP_MTU", 14),
    ("IP_MTU_DISCOVER", 10),
    ("IP_PMTUDISC_DO", 2),
    ("IP_PMTUDISC_DONT", 0),
    ("IP_PMTUDISC_INTERFACE", 4),
    ("IP_PMTUDISC_OMIT", 5),
    ("IP_PMTUDISC_PROBE", 3),
    ("IP_PMTUDISC_WANT", 1),
    ("IP_TOS", 1),
    ("IP_TTL", 2),
    ("MSG_CMSG_CLOEXEC", 0x40000000),
    ("MSG_CONFIRM", 0x800),
    ("MSG_CTRUNC", 8),
    ("MSG_DONTROUTE", 4),
    ("MSG_DONTWAIT", 0x40),
    ("MSG_EOR", 0x80),
    ("MSG_MORE", 0x8000),
    ("MSG_NOSIGNAL", 0x4000),
    ("MSG_OOB", 1),
    ("MSG_PEEK", 2),
    ("MSG_TRUNC", 0x20),
    ("MSG_WAITALL", 0x100),
    ("O_NONBLOCK", 0x800),
    ("O_RDONLY", 0),
    ("O_RDWR", 2),
    ("O_WRONLY", 1),
    ("PF_INET", 2),
    ("POLLERR", 8),
    ("POLLHUP", 16),
    ("POLLIN", 1),
    ("POLLNVAL", 32),
    ("POLLOUT", 4),
    ("POLLPRI", 2),
    ("POLLRDBAND", 128),
    ("POLLRDHUP", 0x2000),
    ("POLLRDNORM", 64),
    ("POLLWRBAND", 512),
    ("POLLWRNORM", 256),
    ("SHUT_RD", 0),
    ("SHUT_RDWR", 2),
    ("SHUT_WR", 1),
    ("SIOCATMARK", 0x8905),
    ("SIOCINQ", 0x541b),
    ("SIOCOUTQ", 0x5411),
    ("SIOCOUTQNSD", 0x894b),
    ("SOCK_CLOEXEC", 0x80000),
    ("SOCK_DGRAM", 2),
    ("SOCK_NONBLOCK", 0x800),
    ("SOCK_RAW", 3),
    ("SOCK_STREAM", 1),
    ("SOL_IP", 0),
    ("SOL_SOCKET", 1),
    ("SOL_TCP", 6),
    ("SOL_UDP", 17),
    ("SOMAXCONN", 4096),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_SYN_DATA", 32),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPS_CLOSED", 7),
    ("TCPS_CLOSE_WAIT", 8),
    ("TCPS_CLOSING", 11),
    ("TCPS_ESTABLISHED", 1),
    ("TCPS_FIN_WAIT_1", 4),
    ("TCPS_FIN_WAIT_2", 5),
    ("TCPS_LAST_ACK", 9),
    ("TCPS_LISTEN", 10),
    ("TCPS_SYN_RECEIVED", 3),
    ("TCPS_SYN_SENT", 2),
    ("TCPS_TIME_WAIT", 6),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_Loss", 4),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Recovery", 3),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_CLOSING", 11),
    ("TCP_CM_INQ", 36),
    ("TCP_ESTABLISHED", 1),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_INQ", 36),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_NEW_SYN_RECV", 12),
    ("TCP_SYN_RECV", 3),
    ("TCP_SYN_SENT", 2),
    ("TCP_TIME_WAIT", 6),
    ("TIOCOUTQ", 0x5411),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(NUMBERS.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(number("EPOLLET"), Some(1 << 31));
        assert_eq!(number("EWOULDBLOCK"), Some(11));
        assert_eq!(number("nonsense"), None);
    }
}
