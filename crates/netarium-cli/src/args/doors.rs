//! The commands about the doors of a running lab.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::str::FromStr;

use clap::Args;
use netarium_server::proxy::DEFAULT_LISTEN;

use super::OnLab;

/// Where the proxy listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyAt {
    /// Nowhere.
    Off,
    /// There.
    Listen(SocketAddr),
}

impl FromStr for ProxyAt {
    type Err = String;

    fn from_str(text: &str) -> Result<ProxyAt, String> {
        if text == "off" {
            return Ok(ProxyAt::Off);
        }
        let port = text.parse().map(|port| SocketAddr::new(DEFAULT_LISTEN.ip(), port));
        let listen = text.parse().or(port);
        listen
            .map(ProxyAt::Listen)
            .map_err(|_| "an address and port (127.0.0.1:1080), a port, or off".to_owned())
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium browser                           the first page that the lab offers
  netarium browser http://192.168.17.17/     an address of the lab, as typed
  netarium browser --at pc www.shop.lab      seen from the host pc
  netarium browser --headless http://web/ -- --screenshot=page.png

The browser gets a throw-away profile and the lab's proxy; nothing of the system is changed.
Chrome, Chromium, Edge, Brave and Firefox are looked for, in this order.")]
pub(crate) struct Browser {
    /// The first page
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The host from which the browser sees the lab [default: that of the lab's proxy]
    #[arg(long, value_name = "HOST")]
    pub(crate) at: Option<String>,
    /// The browser: a program's name or path
    #[arg(long, value_name = "PROGRAM", env = "NETARIUM_BROWSER")]
    pub(crate) with: Option<String>,
    /// Without a window
    #[arg(long)]
    pub(crate) headless: bool,
    /// Print the command line instead of running it; the profile's folder is made, and left
    #[arg(long)]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) lab: OnLab,
    /// Further arguments of the browser
    #[arg(last = true, value_name = "ARG")]
    pub(crate) extra: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium connections

Each real client (a program, where the system tells) has an address of its own in the lab.")]
pub(crate) struct Connections {
    #[command(flatten)]
    pub(crate) lab: OnLab,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_proxy_listens() {
        let of = |text: &str| text.parse::<ProxyAt>();
        assert_eq!(of("off"), Ok(ProxyAt::Off));
        assert_eq!(of("9050"), Ok(ProxyAt::Listen("127.0.0.1:9050".parse().unwrap())));
        assert_eq!(of("[::1]:0"), Ok(ProxyAt::Listen("[::1]:0".parse().unwrap())));
        assert!(of("on").is_err() && of("70000").is_err() && of("").is_err());
    }
}
