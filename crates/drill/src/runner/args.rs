//! The arguments of calls: numbers, descriptors, addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::calls::{Fd, Object, Sock};
use super::{Runner, Step, Stop, consts, fail};
use crate::script::{Call, Expr};

impl Runner {
    /// The `i`th argument.
    pub(super) fn arg<'c>(&self, call: &'c Call, i: usize) -> Step<&'c Expr> {
        call.args.get(i).ok_or_else(|| fail(format!("{} needs more than {i} arguments", call.name)))
    }

    /// The number that an expression means.
    pub(super) fn int(&self, expr: &Expr) -> Step<i64> {
        Ok(match expr {
            Expr::Int(n) => *n,
            Expr::Word(word) => {
                consts::number(word).ok_or_else(|| Stop::Skip(format!("`{word}` is not known")))?
            }
            Expr::Op('|', a, b) => self.int(a)? | self.int(b)?,
            Expr::Op('&', a, b) => self.int(a)? & self.int(b)?,
            Expr::Op('+', a, b) => self.int(a)?.wrapping_add(self.int(b)?),
            Expr::Op('*', a, b) => self.int(a)?.wrapping_mul(self.int(b)?),
            Expr::Call(name, args) if name == "htons" => match args.as_slice() {
                [port] => self.int(port)?,
                _ => return Err(fail("htons takes one argument")),
            },
            Expr::List(list) if list.len() == 1 => self.int(&list[0])?,
            Expr::Ellipsis => 0,
            other => return Err(fail(format!("{other:?} is not a number"))),
        })
    }

    pub(super) fn int_arg(&self, call: &Call, i: usize) -> Step<i64> {
        let arg = self.arg(call, i)?;
        self.int(arg)
    }

    /// The descriptor of the first argument, if it is open.
    pub(super) fn fd(&self, call: &Call) -> Step<Option<(i64, Fd)>> {
        let n = self.int_arg(call, 0)?;
        Ok(self.fds.get(&n).map(|fd| (n, fd.clone())))
    }

    /// The socket of the first argument.
    pub(super) fn sock(&self, call: &Call) -> Step<Result<(i64, Sock, bool), &'static str>> {
        Ok(match self.fd(call)? {
            None => Err("EBADF"),
            Some((n, Fd { object: Object::Socket(sock), nonblocking })) => {
                Ok((n, sock, nonblocking))
            }
            Some(_) => Err("ENOTSOCK"),
        })
    }

    /// An address: `...`, or `{sa_family = AF_INET, sin_port = htons(80), sin_addr = …}`.
    pub(super) fn address(&self, expr: &Expr, usual: SocketAddr) -> Step<SocketAddr> {
        let Expr::Struct(fields) = expr else { return Ok(usual) };
        let (mut ip, mut port) = (usual.ip(), usual.port());
        for field in fields {
            match field.name.as_str() {
                "sin_port" if field.value != Expr::Ellipsis => {
                    port = self.int(&field.value)? as u16;
                }
                "sin_addr" => match &field.value {
                    Expr::Call(_, args) => {
                        let [Expr::Str(text, _)] = args.as_slice() else {
                            return Err(fail("inet_addr takes a string"));
                        };
                        let parsed: Result<Ipv4Addr, _> = text.parse();
                        ip = parsed
                            .map(IpAddr::V4)
                            .map_err(|_| fail(format!("`{text}` is not an IPv4 address")))?;
                    }
                    Expr::Word(w) if w == "INADDR_ANY" => ip = Ipv4Addr::UNSPECIFIED.into(),
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(SocketAddr::new(ip, port))
    }

    /// Opens a descriptor under the number that the script says.
    pub(super) fn open(&mut self, call: &Call, object: Object, nonblocking: bool) -> Step<i64> {
        let lowest = (3..).find(|n| !self.fds.contains_key(n)).unwrap_or(3);
        let n = match &call.result {
            Expr::Ellipsis => lowest,
            other => self.int(other)?,
        };
        let n = if n < 0 { lowest } else { n };
        if self.fds.contains_key(&n) {
            return Err(fail(format!("the descriptor {n} is open already")));
        }
        self.fds.insert(n, Fd { object, nonblocking });
        Ok(n)
    }
}
