//! The limits of a lab. Each is checked while the file is read and reported like any other error.

/// The largest lab file in bytes (8 MiB: enough for [`MAX_HOSTS`] hosts of three lines each).
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// Hosts of a lab.
pub const MAX_HOSTS: usize = 100_000;
/// Groups of hosts of a lab.
pub const MAX_GROUPS: usize = 10_000;
/// Networks of a lab.
pub const MAX_NETWORKS: usize = 10_000;
/// Switches beyond those that the networks are.
pub const MAX_SWITCHES: usize = 10_000;
/// Networks that one host can be on.
pub const MAX_INTERFACES: usize = 64;
/// Addresses of one interface.
pub const MAX_ADDRESSES: usize = 64;
/// The largest packet of an interface unless told otherwise, bytes.
pub const MTU: u16 = 1_500;
/// Ranges of one DHCP server.
pub const MAX_RANGES: usize = 64;
/// The longest lease of a DHCP server, in seconds (365 days).
pub const MAX_LEASE: u64 = 365 * 86_400;
/// Programs of one host, rules of one firewall, forwards of one NAT, routes of one host.
pub const MAX_PER_HOST: usize = 1_000;
/// How often one entry of `[[schedule]]` is given.
pub const MAX_TIMES: u32 = 1_000_000;
/// Entries of `[publish]`, `[attach]`, `[[run]]` and `[[schedule]]` each.
pub const MAX_DOORS: usize = 1_000;
/// Characters of a name of a host, network, switch or lab.
pub const MAX_NAME: usize = 63;
/// Characters of a title, a rule's name or a command.
pub const MAX_TEXT: usize = 4_096;
/// Frames in the queue of a wire.
pub const MAX_QUEUE: u32 = 1_000_000;
/// The slowest wire, in bits per second.
pub const MIN_RATE: u64 = 1;
/// The fastest wire, in bits per second (100 Tbit/s).
pub const MAX_RATE: u64 = 100_000_000_000_000;
/// The longest delay of a wire, in nanoseconds (one hour).
pub const MAX_DELAY_NS: u64 = 3_600_000_000_000;
/// The latest `at` of a `[[run]]`, in nanoseconds (365 days).
pub const MAX_AT_NS: u64 = 365 * 86_400 * 1_000_000_000;
/// The largest host file in bytes (512 MiB).
pub const MAX_HOST_FILE_BYTES: usize = 512 << 20;
/// All host files of a lab together, in bytes (1 GiB).
pub const MAX_FILES_BYTES: usize = 1 << 30;
/// Host files of a lab.
pub const MAX_FILES: usize = 10_000;
