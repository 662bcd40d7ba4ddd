//! Errors of sockets as `std::io` has them, with the errno inside.

use std::io::{Error, ErrorKind};

use netarium_stack::Errno;

/// The socket error as an I/O error that carries it.
pub fn io_error(e: Errno) -> Error {
    let kind = match e {
        Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY => ErrorKind::WouldBlock,
        Errno::ENOMEM | Errno::ENOBUFS => ErrorKind::OutOfMemory,
        Errno::EACCES => ErrorKind::PermissionDenied,
        Errno::EINVAL | Errno::EDESTADDRREQ => ErrorKind::InvalidInput,
        Errno::EPIPE => ErrorKind::BrokenPipe,
        Errno::EADDRINUSE => ErrorKind::AddrInUse,
        Errno::EADDRNOTAVAIL => ErrorKind::AddrNotAvailable,
        Errno::ENETDOWN => ErrorKind::NetworkDown,
        Errno::ENETUNREACH => ErrorKind::NetworkUnreachable,
        Errno::EHOSTUNREACH => ErrorKind::HostUnreachable,
        Errno::ECONNABORTED => ErrorKind::ConnectionAborted,
        Errno::ECONNRESET => ErrorKind::ConnectionReset,
        Errno::ECONNREFUSED => ErrorKind::ConnectionRefused,
        Errno::ENOTCONN => ErrorKind::NotConnected,
        Errno::ETIMEDOUT => ErrorKind::TimedOut,
        Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::ENOPROTOOPT => ErrorKind::Unsupported,
        _ => ErrorKind::Other,
    };
    Error::new(kind, e)
}

/// The socket error inside an I/O error of this crate.
pub fn errno(e: &Error) -> Option<Errno> {
    e.get_ref()?.downcast_ref::<Errno>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errno_survives() {
        let e = io_error(Errno::ECONNREFUSED);
        assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(errno(&e), Some(Errno::ECONNREFUSED));
        assert_eq!(e.to_string(), "Connection refused");
        assert_eq!(errno(&Error::other("x")), None);
    }
}
