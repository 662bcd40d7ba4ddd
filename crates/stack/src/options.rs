//! Socket options and flags, as Linux has them: what programs set, what they read back.

use core::num::NonZeroU32;

use netarium_base::{Ctx, Duration, IfIndex, Instant, SocketId};

use bitflags::bitflags;

use crate::errno::Errno;
use crate::sockets::{Inner, PARENTLESS};
use crate::stack::{HALF_OPEN, Stack};
use crate::tcp::config::{Congestion, TcpConfig};
use crate::tcp::info::TcpInfo;
use crate::tcp::pacing::UNLIMITED;
use crate::tcp::{Connection, State};
use crate::types::SocketKind;

/// IP_MTU_DISCOVER: whether «don't fragment» is set, and whether path MTUs are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuDiscover {
    /// IP_PMTUDISC_DONT: never set.
    Dont,
    /// IP_PMTUDISC_WANT: set; the segment size follows the path MTU.
    #[default]
    Want,
    /// IP_PMTUDISC_DO: set; datagrams above the path MTU fail with EMSGSIZE.
    Do,
    /// IP_PMTUDISC_PROBE: set; path MTUs are not believed.
    Probe,
}

/// Options of a socket with their values. Times are kept as exactly as the option's unit in Linux
/// allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// SO_REUSEADDR: TIME_WAIT connections do not block `bind`.
    ReuseAddr(bool),
    /// SO_LINGER: what `close` does with unsent data. `Some(0)` resets the connection; a longer
    /// time is how long a blocking `close` waits, after which the connection is left to itself.
    Linger(Option<Duration>),
    /// SO_KEEPALIVE.
    KeepAlive(bool),
    /// SO_SNDBUF in bytes. As on Linux what is set is limited by `core_wmem_max` and doubled, and
    /// the doubled value, at least 4608, is read back.
    SendBuffer(u32),
    /// SO_RCVBUF in bytes, as SO_SNDBUF; at least 2304 is read back.
    RecvBuffer(u32),
    /// SO_RCVLOWAT: bytes from which on a socket is readable.
    RecvLowat(u32),
    /// SO_OOBINLINE: urgent data stays in the stream.
    OobInline(bool),
    /// SO_ERROR: the pending error, taken by reading it. Cannot be set.
    Error(Option<Errno>),
    /// TCP_NODELAY: small segments are not held back (RFC 9293 §3.7.4).
    NoDelay(bool),
    /// TCP_CORK: only full segments are sent, for 200 ms at most.
    Cork(bool),
    /// TCP_QUICKACK: acknowledgements are not delayed; until the next change of mind, as on Linux.
    QuickAck(bool),
    /// TCP_MAXSEG: the largest segment to offer and to send, 88 … 32767; 0 for none.
    MaxSeg(u16),
    /// TCP_USER_TIMEOUT: how long data may stay unacknowledged (RFC 9293 §3.9.1); zero for the
    /// default.
    UserTimeout(Duration),
    /// TCP_SYNCNT: SYN retransmissions, 1 … 127.
    SynCount(u8),
    /// TCP_DEFER_ACCEPT: how long a listener waits for data before it tells the program, in
    /// seconds.
    DeferAccept(u32),
    /// TCP_LINGER2: how long FIN-WAIT-2 lasts without a program; `None` for not at all, zero for the
    /// default.
    Linger2(Option<Duration>),
    /// TCP_KEEPIDLE, 1 s … 32767 s.
    KeepIdle(Duration),
    /// TCP_KEEPINTVL, 1 s … 32767 s.
    KeepInterval(Duration),
    /// TCP_KEEPCNT, 1 … 127.
    KeepCount(u8),
    /// TCP_WINDOW_CLAMP: the largest window to offer; 0 for none.
    WindowClamp(u32),
    /// TCP_NOTSENT_LOWAT: unsent bytes from which on the socket is not writable; 0 for the default.
    NotSentLowat(u32),
    /// SO_MAX_PACING_RATE: the connection is paced, at so many payload bytes per second at most;
    /// `u32::MAX` for no ceiling, and as the host has it. Only for streams.
    MaxPacingRate(u32),
    /// TCP_CONGESTION.
    Congestion(Congestion),
    /// IP_TTL, 1 to 255.
    Ttl(u8),
    /// IP_TOS.
    Tos(u8),
    /// IP_MTU_DISCOVER.
    MtuDiscover(MtuDiscover),
    /// IP_MTU: the path MTU of a connected socket. Cannot be set.
    Mtu(u32),
    /// SO_BROADCAST: datagrams may go to everybody.
    Broadcast(bool),
    /// SO_BINDTODEVICE: datagrams go and come by this interface only, also while it has no address;
    /// `None` for all interfaces. Only for datagrams.
    BindToDevice(Option<IfIndex>),
    /// Of a datagram socket that is tied to an interface: it sends and receives in front of the
    /// host's own rules and translations, and takes datagrams for any address (on a router: while the
    /// interface has none), as programs do that use packet sockets (a DHCP client).
    BeforeFilter(bool),
}

/// The names of the options, to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the name of the variant of SocketOption")]
pub enum OptionName {
    ReuseAddr,
    Linger,
    KeepAlive,
    SendBuffer,
    RecvBuffer,
    RecvLowat,
    OobInline,
    Error,
    NoDelay,
    Cork,
    QuickAck,
    MaxSeg,
    UserTimeout,
    SynCount,
    DeferAccept,
    Linger2,
    KeepIdle,
    KeepInterval,
    KeepCount,
    WindowClamp,
    NotSentLowat,
    MaxPacingRate,
    Congestion,
    Ttl,
    Tos,
    MtuDiscover,
    Mtu,
    Broadcast,
    BindToDevice,
    BeforeFilter,
}

bitflags! {
    /// Flags of `send`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SendFlags: u8 {
        /// MSG_OOB: the last byte is urgent.
        const OOB = 1;
        /// MSG_MORE: more follows, hold back what does not fill a segment.
        const MORE = 2;
    }
}

bitflags! {
    /// Flags of `recv`. MSG_DONTWAIT is how every call here works; waiting is the caller's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RecvFlags: u8 {
        /// MSG_OOB: the urgent byte.
        const OOB = 1;
        /// MSG_PEEK: the data stays.
        const PEEK = 2;
        /// MSG_TRUNC: of a stream the data is dropped instead of copied.
        const TRUNC = 4;
    }
}

/// Options as set by the program. What is `None` or 0 follows the host's configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) reuse_addr: bool,
    pub(crate) nodelay: bool,
    pub(crate) cork: bool,
    pub(crate) keep_alive: bool,
    pub(crate) oob_inline: bool,
    pub(crate) broadcast: bool,
    pub(crate) device: Option<IfIndex>,
    pub(crate) before_filter: bool,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: u8,
    pub(crate) mtu_discover: MtuDiscover,
    pub(crate) congestion: Option<Congestion>,
    pub(crate) syn_count: u8,
    pub(crate) keep_count: u8,
    /// SYN+ACK time-outs that a listener waits for data.
    pub(crate) defer_accept: u8,
    pub(crate) max_seg: u16,
    pub(crate) linger: Option<Millis>,
    pub(crate) linger2: Linger2,
    /// Bytes asked for, not doubled.
    pub(crate) send_buffer: Option<NonZeroU32>,
    /// Bytes asked for, not doubled.
    pub(crate) recv_buffer: Option<NonZeroU32>,
    pub(crate) recv_lowat: u32,
    pub(crate) window_clamp: u32,
    pub(crate) notsent_lowat: u32,
    /// Bytes per second; [`UNLIMITED`] for none.
    pub(crate) max_pacing_rate: u32,
    pub(crate) user_timeout: Millis,
    pub(crate) keep_idle: Millis,
    pub(crate) keep_interval: Millis,
}

/// Milliseconds, at most 49 days: sockets are many, and their settings are kept small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Millis(u32);

impl Millis {
    /// Rounded up, so that no wait becomes none.
    fn of(time: Duration) -> Millis {
        Millis(u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX))
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn get(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

/// TCP_LINGER2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Linger2 {
    /// `fin_timeout`.
    #[default]
    Default,
    /// FIN-WAIT-2 does not wait.
    Never,
    /// It waits so long.
    Wait(Millis),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            reuse_addr: false,
            nodelay: false,
            cork: false,
            keep_alive: false,
            oob_inline: false,
            broadcast: false,
            device: None,
            before_filter: false,
            ttl: None,
            tos: 0,
            mtu_discover: MtuDiscover::default(),
            congestion: None,
            syn_count: 0,
            keep_count: 0,
            defer_accept: 0,
            max_seg: 0,
            linger: None,
            linger2: Linger2::Default,
            send_buffer: None,
            recv_buffer: None,
            recv_lowat: 1,
            window_clamp: 0,
            notsent_lowat: 0,
            max_pacing_rate: UNLIMITED,
            user_timeout: Millis::default(),
            keep_idle: Millis::default(),
            keep_interval: Millis::default(),
        }
    }
}

/// The least SO_SNDBUF and SO_RCVBUF as read back, and the least TCP_MAXSEG.
const MIN_SNDBUF: u32 = 4608;
const MIN_RCVBUF: u32 = 2304;
const MIN_MSS: u16 = 88;
/// The longest keep-alive times, seconds.
const MAX_KEEP: u64 = 32_767;
/// The longest TCP_LINGER2.
const MAX_LINGER2: Duration = Duration::from_secs(120);

impl Settings {
    /// Takes a value in.
    ///
    /// # Errors
    /// EINVAL out of range, ENOPROTOOPT for what can only be read.
    fn set(&mut self, option: SocketOption, config: &TcpConfig) -> Result<(), Errno> {
        match option {
            SocketOption::ReuseAddr(on) => self.reuse_addr = on,
            SocketOption::Linger(time) => self.linger = time.map(Millis::of),
            SocketOption::KeepAlive(on) => self.keep_alive = on,
            SocketOption::SendBuffer(n) => {
                self.send_buffer = NonZeroU32::new(n.min(config.core_wmem_max).max(MIN_SNDBUF / 2));
            }
            SocketOption::RecvBuffer(n) => {
                self.recv_buffer = NonZeroU32::new(n.min(config.core_rmem_max).max(MIN_RCVBUF / 2));
            }
            SocketOption::RecvLowat(n) => self.recv_lowat = n.max(1),
            SocketOption::OobInline(on) => self.oob_inline = on,
            SocketOption::NoDelay(on) => self.nodelay = on,
            SocketOption::Cork(on) => self.cork = on,
            SocketOption::QuickAck(_) => {}
            SocketOption::MaxSeg(n) if n != 0 && !(MIN_MSS..=32_767).contains(&n) => {
                return Err(Errno::EINVAL);
            }
            SocketOption::MaxSeg(n) => self.max_seg = n,
            SocketOption::UserTimeout(t) => self.user_timeout = Millis::of(t),
            SocketOption::SynCount(n) => self.syn_count = count(n)?,
            SocketOption::DeferAccept(s) => self.defer_accept = seconds_to_retries(s, config),
            SocketOption::Linger2(None) => self.linger2 = Linger2::Never,
            SocketOption::Linger2(Some(t)) if t.is_zero() => self.linger2 = Linger2::Default,
            SocketOption::Linger2(Some(t)) => {
                self.linger2 = Linger2::Wait(Millis::of(t.min(MAX_LINGER2)));
            }
            SocketOption::KeepIdle(t) => self.keep_idle = keep(t)?,
            SocketOption::KeepInterval(t) => self.keep_interval = keep(t)?,
            SocketOption::KeepCount(n) => self.keep_count = count(n)?,
            SocketOption::WindowClamp(n) => {
                self.window_clamp = if n == 0 { 0 } else { n.max(MIN_RCVBUF / 2) };
            }
            SocketOption::NotSentLowat(n) => self.notsent_lowat = n,
            SocketOption::MaxPacingRate(rate) => self.max_pacing_rate = rate,
            SocketOption::Congestion(c) => self.congestion = Some(c),
            SocketOption::Ttl(0) => return Err(Errno::EINVAL),
            SocketOption::Ttl(ttl) => self.ttl = Some(ttl),
            // RFC 3168: the two lowest bits are TCP's own on streams.
            SocketOption::Tos(tos) => self.tos = tos,
            SocketOption::MtuDiscover(mode) => self.mtu_discover = mode,
            SocketOption::Broadcast(on) => self.broadcast = on,
            SocketOption::BindToDevice(device) => self.device = device,
            SocketOption::BeforeFilter(on) => self.before_filter = on,
            SocketOption::Error(_) | SocketOption::Mtu(_) => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// Reads a value back; `None` for those that are not kept here.
    fn get(&self, name: OptionName, config: &TcpConfig) -> Option<SocketOption> {
        let time = |set: Millis, default| if set.is_zero() { default } else { set.get() };
        let number = |set: u8, default| if set == 0 { default } else { set };
        Some(match name {
            OptionName::ReuseAddr => SocketOption::ReuseAddr(self.reuse_addr),
            OptionName::Linger => SocketOption::Linger(self.linger.map(Millis::get)),
            OptionName::KeepAlive => SocketOption::KeepAlive(self.keep_alive),
            // Without a wish a connection's buffers follow what it does: it knows them.
            OptionName::SendBuffer => {
                SocketOption::SendBuffer(self.send_buffer?.get().saturating_mul(2))
            }
            OptionName::RecvBuffer => {
                SocketOption::RecvBuffer(self.recv_buffer?.get().saturating_mul(2))
            }
            OptionName::RecvLowat => SocketOption::RecvLowat(self.recv_lowat),
            OptionName::OobInline => SocketOption::OobInline(self.oob_inline),
            OptionName::NoDelay => SocketOption::NoDelay(self.nodelay),
            OptionName::Cork => SocketOption::Cork(self.cork),
            OptionName::UserTimeout => SocketOption::UserTimeout(self.user_timeout.get()),
            OptionName::SynCount => {
                SocketOption::SynCount(number(self.syn_count, config.syn_retries))
            }
            OptionName::DeferAccept => {
                SocketOption::DeferAccept(retries_to_seconds(self.defer_accept, config))
            }
            OptionName::Linger2 => SocketOption::Linger2(match self.linger2 {
                Linger2::Default => Some(config.fin_timeout),
                Linger2::Never => None,
                Linger2::Wait(t) => Some(t.get()),
            }),
            OptionName::KeepIdle => {
                SocketOption::KeepIdle(time(self.keep_idle, config.keepalive_time))
            }
            OptionName::KeepInterval => {
                SocketOption::KeepInterval(time(self.keep_interval, config.keepalive_intvl))
            }
            OptionName::KeepCount => {
                SocketOption::KeepCount(number(self.keep_count, config.keepalive_probes))
            }
            OptionName::WindowClamp => SocketOption::WindowClamp(self.window_clamp),
            // As Linux: not the sysctl, when the program set nothing.
            OptionName::NotSentLowat => SocketOption::NotSentLowat(self.notsent_lowat),
            OptionName::MaxPacingRate => SocketOption::MaxPacingRate(self.max_pacing_rate),
            OptionName::Congestion => {
                SocketOption::Congestion(self.congestion.unwrap_or(config.congestion))
            }
            OptionName::Ttl => SocketOption::Ttl(self.ttl.unwrap_or(config.default_ttl)),
            OptionName::Tos => SocketOption::Tos(self.tos),
            OptionName::MtuDiscover => SocketOption::MtuDiscover(self.mtu_discover),
            OptionName::Broadcast => SocketOption::Broadcast(self.broadcast),
            OptionName::BindToDevice => SocketOption::BindToDevice(self.device),
            OptionName::BeforeFilter => SocketOption::BeforeFilter(self.before_filter),
            OptionName::Error | OptionName::QuickAck | OptionName::MaxSeg | OptionName::Mtu => {
                return None;
            }
        })
    }
}

fn count(n: u8) -> Result<u8, Errno> {
    if (1..=127).contains(&n) { Ok(n) } else { Err(Errno::EINVAL) }
}

fn keep(t: Duration) -> Result<Millis, Errno> {
    let s = t.as_nanos().div_ceil(1_000_000_000);
    if (1..=MAX_KEEP).contains(&s) { Ok(Millis::of(t)) } else { Err(Errno::EINVAL) }
}

/// How many SYN+ACK time-outs it takes for `seconds` to pass, as Linux counts them.
fn seconds_to_retries(seconds: u32, config: &TcpConfig) -> u8 {
    if seconds == 0 {
        return 0;
    }
    let (mut timeout, mut period, mut n) = (config.initial_rto.as_secs().max(1), 0u64, 0u8);
    loop {
        period += timeout;
        n += 1;
        if u64::from(seconds) <= period || n == u8::MAX {
            return n;
        }
        timeout = (timeout * 2).min(config.max_rto.as_secs().max(1));
    }
}

fn retries_to_seconds(retries: u8, config: &TcpConfig) -> u32 {
    let (mut timeout, mut period) = (config.initial_rto.as_secs().max(1), 0u64);
    for _ in 0..retries {
        period += timeout;
        timeout = (timeout * 2).min(config.max_rto.as_secs().max(1));
    }
    u32::try_from(period).unwrap_or(u32::MAX)
}

impl Stack {
    /// Sets an option.
    ///
    /// # Errors
    /// EBADF, EINVAL for a value out of range, ENOPROTOOPT for what can only be read or has no
    /// meaning for the kind of socket.
    pub fn set_option(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        option: SocketOption,
    ) -> Result<(), Errno> {
        let config = self.tcp_config.clone();
        let s = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let tcp = s.kind == SocketKind::Tcp;
        let of_datagrams =
            matches!(option, SocketOption::BindToDevice(_) | SocketOption::BeforeFilter(_));
        if (!tcp && is_tcp(option)) || (tcp && of_datagrams) {
            return Err(Errno::ENOPROTOOPT);
        }
        s.settings.set(option, &config)?;
        let settings = s.settings;
        if let Inner::Stream(slot) = s.inner {
            self.with_connection(cx, slot, |cx, conn| conn.apply_option(cx, settings, option));
        }
        Ok(())
    }

    /// Reads an option; SO_ERROR takes the error.
    ///
    /// # Errors
    /// EBADF, ENOTCONN for IP_MTU of an unconnected socket.
    pub fn get_option(&mut self, id: SocketId, name: OptionName) -> Result<SocketOption, Errno> {
        let s = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if let Some(option) = s.settings.get(name, &self.tcp_config) {
            return Ok(option);
        }
        let settings = s.settings;
        let slot = self.connection_of(id);
        let conn = slot.and_then(|slot| self.tcp.get(slot)).map(|e| &e.conn);
        Ok(match name {
            OptionName::SendBuffer => SocketOption::SendBuffer(match conn {
                Some(conn) => conn.sndbuf,
                None => self.tcp_config.wmem.default,
            }),
            OptionName::RecvBuffer => SocketOption::RecvBuffer(match conn {
                Some(conn) => conn.receive_buffer(),
                None => self.tcp_config.rmem.default,
            }),
            OptionName::Error => SocketOption::Error(self.take_error(id)),
            OptionName::QuickAck => SocketOption::QuickAck(conn.is_none_or(|c| !c.ack.pingpong)),
            OptionName::MaxSeg => SocketOption::MaxSeg(match conn {
                Some(c) if c.state.is_synchronized() => c.snd.mss as u16,
                _ if settings.max_seg != 0 => settings.max_seg,
                _ => 536,
            }),
            _ => {
                let to = self.peer_addr(id).ok_or(Errno::ENOTCONN)?;
                self.ip.hop_for(to.ip())?;
                let mtu = conn.map_or_else(|| self.ip.interface_mtu(to.ip()), |c| c.pmtu);
                SocketOption::Mtu(mtu.into())
            }
        })
    }

    /// SIOCINQ: bytes that `recv` would give; up to the urgent byte, when one is ahead.
    ///
    /// # Errors
    /// EBADF, EINVAL for a listener.
    pub fn inq(&self, id: SocketId) -> Result<u32, Errno> {
        self.of_stream(id, Connection::readable)
    }

    /// SIOCOUTQ: bytes not acknowledged, unsent ones included.
    ///
    /// # Errors
    /// EBADF, EINVAL for a listener.
    pub fn outq(&self, id: SocketId) -> Result<u32, Errno> {
        self.of_stream(id, |c| c.send.len() as u32)
    }

    /// SIOCOUTQNSD: bytes not sent.
    ///
    /// # Errors
    /// EBADF, EINVAL for a listener.
    pub fn outq_nsd(&self, id: SocketId) -> Result<u32, Errno> {
        self.of_stream(id, |c| c.data_end().ahead_of(c.snd.nxt))
    }

    /// SIOCATMARK: whether the next byte to read is the urgent one.
    ///
    /// # Errors
    /// EBADF, EINVAL for a listener.
    pub fn at_mark(&self, id: SocketId) -> Result<bool, Errno> {
        self.of_stream(id, |c| u32::from(c.is_at_mark())).map(|at| at == 1)
    }

    fn of_stream(&self, id: SocketId, ask: impl FnOnce(&Connection) -> u32) -> Result<u32, Errno> {
        match &self.sockets.get(id).ok_or(Errno::EBADF)?.inner {
            Inner::Stream(slot) => Ok(self.tcp.get(*slot).map_or(0, |e| ask(&e.conn))),
            Inner::Idle => Ok(0),
            Inner::Listener(_) | Inner::Datagram(_) | Inner::Packet => Err(Errno::EINVAL),
        }
    }

    /// TCP_INFO of a stream or a listener at `now`.
    ///
    /// # Errors
    /// EBADF, ENOPROTOOPT for datagrams.
    pub fn tcp_info(&self, now: Instant, id: SocketId) -> Result<TcpInfo, Errno> {
        // A connection whose program is gone has only a place of its own.
        if id.index == PARENTLESS.index && id.generation & HALF_OPEN == 0 {
            return Ok(self.tcp.get(id.generation).ok_or(Errno::EBADF)?.conn.info(now));
        }
        let s = self.sockets.get(id).ok_or(Errno::EBADF)?;
        match &s.inner {
            Inner::Datagram(_) | Inner::Packet => Err(Errno::ENOPROTOOPT),
            Inner::Idle => {
                Ok(TcpInfo { state: State::Closed.linux_number(), ..TcpInfo::default() })
            }
            Inner::Listener(l) => Ok(TcpInfo {
                state: State::Listen.linux_number(),
                unacked: l.ready.len() as u32,
                sacked: l.backlog,
                ..TcpInfo::default()
            }),
            Inner::Stream(slot) => Ok(self.tcp.get(*slot).ok_or(Errno::EBADF)?.conn.info(now)),
        }
    }
}

fn is_tcp(option: SocketOption) -> bool {
    !matches!(
        option,
        SocketOption::ReuseAddr(_)
            | SocketOption::Linger(_)
            | SocketOption::KeepAlive(_)
            | SocketOption::SendBuffer(_)
            | SocketOption::RecvBuffer(_)
            | SocketOption::RecvLowat(_)
            | SocketOption::OobInline(_)
            | SocketOption::Error(_)
            | SocketOption::Ttl(_)
            | SocketOption::Tos(_)
            | SocketOption::MtuDiscover(_)
            | SocketOption::Mtu(_)
            | SocketOption::Broadcast(_)
            | SocketOption::BindToDevice(_)
            | SocketOption::BeforeFilter(_)
    )
}
