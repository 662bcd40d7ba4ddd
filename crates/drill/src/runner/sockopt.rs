//! `getsockopt` and `setsockopt`.

use netarium_base::Duration;
use netarium_stack::tcp::config::Congestion;
use netarium_stack::{MtuDiscover, OptionName, SocketOption};

use super::calls::Sock;
use super::pending::{Try, returned};
use super::{Runner, Step, Stop, consts, differs};
use crate::code::info_field;
use crate::script::{Call, Expr, Field};
use crate::sysctl::Dialect;

/// Options that change nothing that a script could see here.
const HARMLESS: &[&str] = &[
    "IP_BIND_ADDRESS_NO_PORT",
    "SO_BUSY_POLL",
    "SO_DEBUG",
    "SO_INCOMING_CPU",
    "SO_MARK",
    "SO_PRIORITY",
    "SO_REUSEPORT",
    "TCP_FUNCTION_BLK",
    "TCP_LOGBUF",
];

/// A value of an option as scripts write it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Int(i64),
    Text(String),
    /// SO_LINGER: on or off, seconds.
    Linger(i64, i64),
    /// Seconds and microseconds.
    Time(i64, i64),
    None,
}

fn name_of(word: &str) -> Option<OptionName> {
    Some(match word {
        "SO_REUSEADDR" => OptionName::ReuseAddr,
        "SO_LINGER" => OptionName::Linger,
        "SO_KEEPALIVE" => OptionName::KeepAlive,
        "SO_SNDBUF" | "SO_SNDBUFFORCE" => OptionName::SendBuffer,
        "SO_RCVBUF" | "SO_RCVBUFFORCE" => OptionName::RecvBuffer,
        "SO_RCVLOWAT" => OptionName::RecvLowat,
        "SO_OOBINLINE" => OptionName::OobInline,
        "SO_ERROR" => OptionName::Error,
        "TCP_NODELAY" => OptionName::NoDelay,
        "TCP_CORK" | "TCP_NOPUSH" => OptionName::Cork,
        "TCP_QUICKACK" => OptionName::QuickAck,
        "TCP_MAXSEG" => OptionName::MaxSeg,
        "TCP_USER_TIMEOUT" => OptionName::UserTimeout,
        "TCP_SYNCNT" => OptionName::SynCount,
        "TCP_DEFER_ACCEPT" => OptionName::DeferAccept,
        "TCP_LINGER2" => OptionName::Linger2,
        "TCP_KEEPIDLE" => OptionName::KeepIdle,
        "TCP_KEEPINTVL" => OptionName::KeepInterval,
        "TCP_KEEPCNT" => OptionName::KeepCount,
        "TCP_WINDOW_CLAMP" => OptionName::WindowClamp,
        "TCP_NOTSENT_LOWAT" => OptionName::NotSentLowat,
        "SO_MAX_PACING_RATE" => OptionName::MaxPacingRate,
        "TCP_CONGESTION" => OptionName::Congestion,
        "IP_TTL" => OptionName::Ttl,
        "IP_TOS" => OptionName::Tos,
        "IP_MTU_DISCOVER" => OptionName::MtuDiscover,
        "IP_MTU" => OptionName::Mtu,
        _ => return None,
    })
}

impl Runner {
    pub(super) fn setsockopt(&mut self, call: &Call) -> Step<Try> {
        let (n, sock, _) = match self.sock(call)? {
            Ok(all) => all,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let Expr::Word(word) = self.arg(call, 2)? else {
            return Err(Stop::Skip("an option without a name".to_owned()));
        };
        if HARMLESS.contains(&word.as_str()) {
            return Ok(Try::Done(Ok(0)));
        }
        let value = self.value(self.arg(call, 3)?)?;
        let len = call.args.get(4).map(|e| self.int(e)).transpose()?.unwrap_or(4);
        if let Some(done) = self.set_own(word, n, &value) {
            return Ok(Try::Done(done));
        }
        let Some(name) = name_of(word) else {
            return Err(Stop::Skip(format!("the option {word}")));
        };
        if matches!(value, Value::Int(_)) && len < 4 && !word.starts_with("IP_") {
            return Ok(Try::Done(Err("EINVAL")));
        }
        let option = match option_of(name, &value) {
            Ok(option) => option,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        if let SocketOption::Linger(linger) = option {
            self.update(n, |s| s.linger = linger);
        }
        let done = self.machine.call(|s, cx| s.set_option(cx, sock.id, option))?;
        Ok(returned(done.map(|()| 0)))
    }

    /// Options that the runner keeps: blocking is its affair.
    fn set_own(&mut self, word: &str, n: i64, value: &Value) -> Option<Result<i64, &'static str>> {
        match (word, value) {
            ("TCP_INQ", Value::Int(on @ (0 | 1))) => self.update(n, |s| s.inq = *on == 1),
            ("TCP_INQ", _) => return Some(Err("EINVAL")),
            ("IP_LOCAL_PORT_RANGE", Value::Int(range)) => {
                let (low, high) = (*range as u16, (*range >> 16) as u16);
                self.update(n, |s| s.ports = (low != 0 && low <= high).then_some((low, high)));
            }
            ("SO_RCVTIMEO", value) => {
                let time = value.time();
                self.update(n, |s| s.recv_timeout = time);
            }
            ("SO_SNDTIMEO", value) => {
                let time = value.time();
                self.update(n, |s| s.send_timeout = time);
            }
            _ => return None,
        }
        Some(Ok(0))
    }

    /// `[1]`, `{onoff=1, linger=0}`, `"reno"`…
    fn value(&self, expr: &Expr) -> Step<Value> {
        Ok(match expr {
            Expr::Str(text, _) => Value::Text(text.trim_end_matches('\0').to_owned()),
            Expr::Struct(fields) => self.struct_value(fields)?,
            Expr::List(list) => match list.as_slice() {
                [] => Value::None,
                [inner @ (Expr::Str(..) | Expr::Struct(_))] => self.value(inner)?,
                [one] => Value::Int(self.int(one)?),
                [a, b, ..] => Value::Time(self.int(a)?, self.int(b)?),
            },
            Expr::Ellipsis => Value::None,
            other => Value::Int(self.int(other)?),
        })
    }

    fn struct_value(&self, fields: &[Field]) -> Step<Value> {
        let field = |names: &[&str]| -> Step<Option<i64>> {
            let found = fields.iter().find(|f| names.contains(&f.name.as_str()));
            found.map(|f| self.int(&f.value)).transpose()
        };
        if let Some(on) = field(&["onoff", "l_onoff"])? {
            return Ok(Value::Linger(on, field(&["linger", "l_linger"])?.unwrap_or(0)));
        }
        if let Some(seconds) = field(&["tv_sec"])? {
            return Ok(Value::Time(seconds, field(&["tv_usec"])?.unwrap_or(0)));
        }
        Err(Stop::Skip("an option with a struct that is not known".to_owned()))
    }

    pub(super) fn getsockopt(&mut self, call: &Call) -> Step<Try> {
        let (_, sock, _) = match self.sock(call)? {
            Ok(all) => all,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let Expr::Word(word) = self.arg(call, 2)? else {
            return Err(Stop::Skip("an option without a name".to_owned()));
        };
        let (word, want) = (word.clone(), self.arg(call, 3)?.clone());
        if matches!(word.as_str(), "TCP_INFO") {
            return self.tcp_info(sock, &want);
        }
        if HARMLESS.contains(&word.as_str()) {
            return Ok(Try::Done(Ok(0)));
        }
        let Some(name) = name_of(&word) else {
            return Err(Stop::Skip(format!("the option {word}")));
        };
        let got = self.machine.call(|s, _| s.get_option(sock.id, name))?;
        let got = match got {
            Ok(option) => value_of(option),
            Err(e) => return Ok(Try::Done(Err(e.name()))),
        };
        let want = self.value(&want)?;
        // FreeBSD accounts for buffers in another way: their sizes cannot be compared.
        let buffer = matches!(name, OptionName::SendBuffer | OptionName::RecvBuffer);
        let other_system = buffer && self.dialect == Dialect::Bsd;
        let open = want == Value::None || other_system;
        let same = match (&want, &got) {
            (Value::Int(a), Value::Int(b)) => *a as u32 == *b as u32,
            // FreeBSD answers with the option's own number.
            (Value::Int(a), Value::Linger(b, _)) => (*a != 0) == (*b != 0),
            (a, b) => a == b,
        };
        if !open && !same {
            return Err(differs(format!("{word} has another value"), want.show(), got.show()));
        }
        Ok(Try::Done(Ok(0)))
    }

    /// `{tcpi_state=TCP_ESTABLISHED, …}`: the members that are named.
    fn tcp_info(&mut self, sock: Sock, want: &Expr) -> Step<Try> {
        let info = match self.machine.stack.tcp_info(self.machine.now, sock.id) {
            Ok(info) => info,
            Err(e) => return Ok(Try::Done(Err(e.name()))),
        };
        let Expr::Struct(fields) = want else { return Ok(Try::Done(Ok(0))) };
        for Field { name, value } in fields.iter().filter(|f| f.value != Expr::Ellipsis) {
            let Some(got) = info_field(&info, name) else {
                return Err(Stop::Skip(format!("`{name}` of TCP_INFO")));
            };
            let want = self.int(value)?;
            if want != got {
                return Err(differs(format!("{name} differs"), want.to_string(), got.to_string()));
            }
        }
        Ok(Try::Done(Ok(0)))
    }
}

impl Value {
    fn int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    fn time(&self) -> Option<Duration> {
        match self {
            Value::Time(s, us) if *s > 0 || *us > 0 => {
                let micros = s.clamp(&0, &(1 << 31)) * 1_000_000 + us.clamp(&0, &999_999);
                Some(Duration::from_micros(micros as u64))
            }
            _ => None,
        }
    }

    fn show(&self) -> String {
        match self {
            Value::Int(n) => n.to_string(),
            Value::Text(text) => format!("\"{text}\""),
            Value::Linger(on, time) => format!("{{onoff={on}, linger={time}}}"),
            Value::Time(s, us) => format!("[{s}, {us}]"),
            Value::None => "...".to_owned(),
        }
    }
}

/// The option that a script sets; EINVAL where Linux says so before it looks at the socket.
fn option_of(name: OptionName, value: &Value) -> Result<SocketOption, &'static str> {
    if let (OptionName::Linger, Value::Linger(on, seconds)) = (name, value) {
        let time = Duration::from_secs((*seconds).clamp(0, 1 << 31) as u64);
        return Ok(SocketOption::Linger((*on != 0).then_some(time)));
    }
    if let (OptionName::Congestion, Value::Text(text)) = (name, value) {
        return Congestion::from_name(text).map(SocketOption::Congestion).ok_or("ENOENT");
    }
    let n = value.int().ok_or("EINVAL")?;
    let small = |max: i64| if (0..=max).contains(&n) { Ok(n) } else { Err("EINVAL") };
    let seconds = || small(1 << 31).map(|n| Duration::from_secs(n as u64));
    let word = n.clamp(i64::from(i32::MIN), u32::MAX.into()) as u32;
    let size = n.clamp(0, i32::MAX.into()) as u32;
    Ok(match name {
        OptionName::ReuseAddr => SocketOption::ReuseAddr(n != 0),
        OptionName::KeepAlive => SocketOption::KeepAlive(n != 0),
        OptionName::Broadcast => SocketOption::Broadcast(n != 0),
        OptionName::SendBuffer => SocketOption::SendBuffer(size),
        OptionName::RecvBuffer => SocketOption::RecvBuffer(size),
        OptionName::RecvLowat => SocketOption::RecvLowat(size),
        OptionName::OobInline => SocketOption::OobInline(n != 0),
        OptionName::NoDelay => SocketOption::NoDelay(n != 0),
        OptionName::Cork => SocketOption::Cork(n != 0),
        OptionName::QuickAck => SocketOption::QuickAck(n != 0),
        OptionName::MaxSeg => SocketOption::MaxSeg(small(32_767)? as u16),
        OptionName::UserTimeout => {
            SocketOption::UserTimeout(Duration::from_millis(small(i32::MAX.into())? as u64))
        }
        OptionName::SynCount => SocketOption::SynCount(small(127)? as u8),
        OptionName::DeferAccept => SocketOption::DeferAccept(size),
        OptionName::Linger2 => SocketOption::Linger2(if n < 0 { None } else { Some(seconds()?) }),
        OptionName::KeepIdle => SocketOption::KeepIdle(seconds()?),
        OptionName::KeepInterval => SocketOption::KeepInterval(seconds()?),
        OptionName::KeepCount => SocketOption::KeepCount(small(127)? as u8),
        OptionName::WindowClamp => SocketOption::WindowClamp(size),
        OptionName::NotSentLowat => SocketOption::NotSentLowat(word),
        OptionName::MaxPacingRate => SocketOption::MaxPacingRate(word),
        OptionName::Ttl => SocketOption::Ttl(small(255)? as u8),
        OptionName::Tos => SocketOption::Tos(n as u8),
        OptionName::MtuDiscover => SocketOption::MtuDiscover(match n {
            0 => MtuDiscover::Dont,
            1 => MtuDiscover::Want,
            2 => MtuDiscover::Do,
            3 => MtuDiscover::Probe,
            _ => return Err("EINVAL"),
        }),
        OptionName::Error | OptionName::Mtu => return Err("ENOPROTOOPT"),
        OptionName::Linger
        | OptionName::Congestion
        | OptionName::BindToDevice
        | OptionName::BeforeFilter => {
            return Err("EINVAL");
        }
    })
}

fn value_of(option: SocketOption) -> Value {
    let on = |b: bool| Value::Int(b.into());
    let seconds = |d: Duration| Value::Int(d.as_secs() as i64);
    match option {
        SocketOption::ReuseAddr(b)
        | SocketOption::KeepAlive(b)
        | SocketOption::Broadcast(b)
        | SocketOption::BeforeFilter(b)
        | SocketOption::OobInline(b)
        | SocketOption::NoDelay(b)
        | SocketOption::Cork(b)
        | SocketOption::QuickAck(b) => on(b),
        SocketOption::BindToDevice(d) => Value::Int(d.map_or(0, |d| d.0.into())),
        SocketOption::Linger(None) => Value::Linger(0, 0),
        SocketOption::Linger(Some(d)) => Value::Linger(1, d.as_secs() as i64),
        SocketOption::Error(e) => {
            Value::Int(e.and_then(|e| consts::errno_number(e.name())).unwrap_or(0))
        }
        SocketOption::SendBuffer(n)
        | SocketOption::RecvBuffer(n)
        | SocketOption::RecvLowat(n)
        | SocketOption::DeferAccept(n)
        | SocketOption::WindowClamp(n)
        | SocketOption::NotSentLowat(n)
        | SocketOption::MaxPacingRate(n)
        | SocketOption::Mtu(n) => Value::Int(n.into()),
        SocketOption::MaxSeg(n) => Value::Int(n.into()),
        SocketOption::UserTimeout(d) => Value::Int(d.as_millis() as i64),
        SocketOption::SynCount(n)
        | SocketOption::KeepCount(n)
        | SocketOption::Ttl(n)
        | SocketOption::Tos(n) => Value::Int(n.into()),
        SocketOption::Linger2(None) => Value::Int(-1),
        SocketOption::Linger2(Some(d))
        | SocketOption::KeepIdle(d)
        | SocketOption::KeepInterval(d) => seconds(d),
        SocketOption::Congestion(c) => Value::Text(c.name().to_owned()),
        SocketOption::MtuDiscover(m) => Value::Int(match m {
            MtuDiscover::Dont => 0,
            MtuDiscover::Want => 1,
            MtuDiscover::Do => 2,
            MtuDiscover::Probe => 3,
        }),
    }
}
