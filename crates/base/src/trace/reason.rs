//! Why a frame or packet ended.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// Why a frame or packet ended, as a type.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum DropReason {
            $($(#[doc = $doc])* $variant,)*
        }

        impl DropReason {
            /// All reasons, in the order of the layers.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant),*];

            /// The name used in JSON, counters and predicates.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }

            /// The reason in a sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(DropReason::$variant => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

reasons! {
    /// The link was down.
    LinkDown = "link-down",
    /// The link's queue was full.
    LinkQueueFull = "link-queue-full",
    /// The link lost the frame, as its configured loss asks.
    LinkLoss = "link-loss",
    /// The link lost the frame in a burst, as its configured Gilbert–Elliott loss asks.
    LinkBurst = "link-burst",
    /// The frame was one that the link was told to lose: by its number, or by what it carries.
    LinkPicked = "link-picked",
    /// The frame was under way when the link was cut with everything on it.
    LinkCut = "link-cut",
    /// The two hosts stand on different sides of a partition.
    Partition = "partition",
    /// A fork of the run asked what happens when just this frame is lost.
    Fork = "fork",
    /// The frame was larger than the link or interface carries.
    FrameTooBig = "frame-too-big",
    /// The interface was down.
    InterfaceDown = "interface-down",
    /// The frame was addressed to another station.
    NotForMe = "not-for-me",
    /// The switch has no port to send the frame to but the one it came from.
    SwitchSamePort = "switch-same-port",
    /// The frame came back to a switch or hub that it had passed: the cables form a loop.
    SwitchLoop = "switch-loop",
    /// The frame is too short or its lengths contradict each other.
    Malformed = "malformed",
    /// The ethertype or IP protocol is not spoken here.
    UnknownProtocol = "unknown-protocol",
    /// The IP header checksum is wrong.
    BadIpChecksum = "bad-ip-checksum",
    /// The TCP, UDP or ICMP checksum is wrong.
    BadChecksum = "bad-checksum",
    /// The destination address is none that a packet can be for: 0.0.0.0/8 or 240.0.0.0/4.
    Martian = "martian",
    /// A loopback address (127.0.0.0/8) stood on a wire: it never leaves a host.
    MartianLoopback = "martian-loopback",
    /// The source is in 0.0.0.0/8, which only a host that asks for its address may use, and only
    /// towards everybody.
    MartianZero = "martian-zero",
    /// The source is in 240.0.0.0/4, which is reserved: no host has such an address.
    MartianReserved = "martian-reserved",
    /// The source is a broadcast or multicast address: no single host could have sent the packet.
    MartianGroup = "martian-group",
    /// The source is an address of this very host: another one pretends to be it, or has the same
    /// address by mistake.
    MartianOwn = "martian-own",
    /// The way back to the source does not lead out by the interface that the packet came in by
    /// (strict reverse path), or nowhere at all (loose): the source is probably forged.
    ReversePath = "reverse-path",
    /// An ICMP redirect: nobody here changes its routes because somebody says so.
    RedirectIgnored = "redirect-ignored",
    /// Another station claims an address of this host: two have the same address.
    AddressConflict = "address-conflict",
    /// The packet is for another host and this host does not forward.
    NotForwarding = "not-forwarding",
    /// No route leads to the destination.
    NoRoute = "no-route",
    /// The time to live ran out.
    TtlExceeded = "ttl-exceeded",
    /// The packet needs fragmentation but forbids it.
    FragmentationNeeded = "fragmentation-needed",
    /// A fragment came where the whole packet was needed.
    Fragment = "fragment",
    /// The other fragments of its packet did not come in time.
    FragmentTimeout = "fragment-timeout",
    /// The fragment overlaps others of its packet, which is given up with it.
    FragmentOverlap = "fragment-overlap",
    /// The fragment has arrived before.
    FragmentDuplicate = "fragment-duplicate",
    /// Too many incomplete packets wait for their fragments.
    FragmentMemory = "fragment-memory",
    /// Nobody answered the ARP requests for the next hop.
    NoNeighbour = "no-neighbour",
    /// Too many packets wait for the next hop's MAC address.
    NeighbourQueueFull = "neighbour-queue-full",
    /// A firewall rule, or a chain's default, dropped it.
    FilterDrop = "filter-drop",
    /// A firewall rule rejected it.
    FilterReject = "filter-reject",
    /// The router translates addresses, and no forward leads inside for this new flow.
    NatNoForward = "nat-no-forward",
    /// No free port was left for the translation.
    NatPortsExhausted = "nat-ports-exhausted",
    /// The connection-tracking table is full.
    ConntrackFull = "conntrack-full",
    /// Connection tracking knows no flow that this packet could belong to.
    ConntrackInvalid = "conntrack-invalid",
    /// No socket is bound to the port.
    NoSocket = "no-socket",
    /// The socket's receive buffer is full.
    SocketBufferFull = "socket-buffer-full",
    /// The listener's SYN queue is full.
    SynQueueFull = "syn-queue-full",
    /// The listener's accept queue is full.
    AcceptQueueFull = "accept-queue-full",
    /// The listener waits for data before it completes the handshake (TCP_DEFER_ACCEPT).
    Deferred = "deferred",
    /// The segment does not fit into the receive window.
    OutsideWindow = "outside-window",
    /// The segment is not acceptable in the connection's state.
    NotAcceptable = "not-acceptable",
    /// The segment's timestamp is older than the last (PAWS).
    OldTimestamp = "old-timestamp",
    /// Too little memory is left for data out of order.
    ReassemblyFull = "reassembly-full",
    /// A rate limit held back the answer.
    RateLimited = "rate-limited",
}
