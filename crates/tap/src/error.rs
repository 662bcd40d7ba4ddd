//! Why something is not possible here.

use std::io;

/// Why a TAP or namespace could not be had or used.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The kernel does not let this process do it.
    #[error(
        "{what} is not permitted; run as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN, or where \
         unprivileged user namespaces are allowed (sysctl kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns)"
    )]
    NotPermitted {
        /// What was tried.
        what: String,
    },
    /// The kernel has no TAP devices, or does not show them here.
    #[error(
        "/dev/net/tun cannot be opened ({source}); load the module `tun`, or give the container the device"
    )]
    NoDevice {
        /// What the kernel said.
        source: io::Error,
    },
    /// Something else went wrong.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl TapError {
    /// The error of something that was tried.
    pub(crate) fn of(what: impl Into<String>, source: impl Into<io::Error>) -> TapError {
        let (what, source) = (what.into(), source.into());
        match source.kind() {
            io::ErrorKind::PermissionDenied => TapError::NotPermitted { what },
            _ => TapError::Io { what, source },
        }
    }

    /// Whether it is a matter of what this machine allows, not a defect.
    pub fn is_refusal(&self) -> bool {
        matches!(self, TapError::NotPermitted { .. } | TapError::NoDevice { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_defect() {
        let of = |code| TapError::of("creating a namespace", io::Error::from_raw_os_error(code));
        let (eperm, einval) = (of(1), of(22));
        assert!(eperm.is_refusal() && !einval.is_refusal());
        assert!(
            eperm.to_string().starts_with("creating a namespace is not permitted; run as root")
        );
        assert!(einval.to_string().starts_with("creating a namespace: Invalid argument"));
    }
}
