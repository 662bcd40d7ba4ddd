//! DHCP for IPv4 (RFC 2131, RFC 2132): `dhcpd`, the server, and `dhclient`, the client, in the words,
//! files and messages of ISC's.
//!
//! In reading order: [`wire`], messages and their bytes; [`conf`], the server's configuration file;
//! [`leases`], who has which address until when; [`server`], which message is answered by which;
//! [`dhcpd`], the program around it; [`client`], the client's states; [`apply`], what a lease changes
//! on the host; [`dhclient`], the program around them.
//!
//! Left out: relay agents (a message with a relay's address is dropped, and said so), BOOTP without
//! DHCP, DDNS, failover, leasequery, IPv6.

mod apply;
mod client;
mod conf;
pub(crate) mod dhclient;
pub(crate) mod dhcpd;
mod leases;
mod server;
#[cfg(test)]
mod tests;
mod wire;

/// The server's port.
const SERVER_PORT: u16 = 67;
/// The client's port.
const CLIENT_PORT: u16 = 68;
