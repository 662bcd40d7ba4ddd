//! Arithmetic on packets: `tcp[13] & 2 != 0`.

use super::FilterError;
use super::primitive::{Compiler, Made, fail, field};
use super::test::{At, Num, Test};
use super::tree::{Arith, Proto};
use crate::ip::protocol;

const IPV6: u32 = 0x86dd;

impl Compiler<'_> {
    pub(super) fn relation(&self, a: &Arith, sign: &'static str, b: &Arith) -> Made {
        let mut needs = Vec::new();
        let (a, b) = (self.number(a, &mut needs)?, self.number(b, &mut needs)?);
        let relation = Test::Relation(a, sign, b);
        Ok(match needs.into_iter().reduce(Test::and) {
            Some(needs) => needs.and(relation),
            None => relation,
        })
    }

    /// Arithmetic; what must hold for it to mean something goes to `needs`.
    fn number(&self, arith: &Arith, needs: &mut Vec<Test>) -> Result<Num, FilterError> {
        Ok(match arith {
            Arith::Number(n) => Num::Number(*n),
            Arith::Length => Num::Len,
            Arith::Negative(a) => Num::Negative(Box::new(self.number(a, needs)?)),
            Arith::Binary(sign, a, b) => {
                match (*sign, &**b) {
                    ("/", Arith::Number(0)) => return fail("division by zero"),
                    ("%", Arith::Number(0)) => return fail("modulus by zero"),
                    ("<<" | ">>", Arith::Number(n)) if *n > 31 => {
                        return fail("shift by more than 31 bits");
                    }
                    _ => {}
                }
                // As in libpcap, what the right side needs is not asked for.
                let (a, b) = (self.number(a, needs)?, self.number(b, &mut Vec::new())?);
                Num::Binary(sign, Box::new(a), Box::new(b))
            }
            Arith::Load(proto, index, size) => {
                let index = Box::new(self.number(index, needs)?);
                let from = self.place(*proto, needs)?;
                Num::Load { from, index, size: *size as u8 }
            }
        })
    }

    /// Where `proto[0]` is.
    fn place(&self, proto: Proto, needs: &mut Vec<Test>) -> Result<At, FilterError> {
        let net = self.net();
        Ok(match proto {
            Proto::Link => At::Start(self.tags),
            Proto::Ip | Proto::Arp | Proto::Rarp | Proto::Ip6 => {
                needs.push(self.proto_alone(proto)?);
                At::Start(net)
            }
            Proto::Tcp
            | Proto::Udp
            | Proto::Sctp
            | Proto::Icmp
            | Proto::Igmp
            | Proto::Igrp
            | Proto::Pim
            | Proto::Vrrp => {
                needs.push(self.v4(proto.number().unwrap_or(0)));
                needs.push(self.unfragmented());
                At::Behind { net, offset: 0 }
            }
            Proto::Icmp6 => {
                needs.push(self.ethertype(IPV6));
                let next = field(At::Start(net + 6), 1, 0xff, protocol::ICMPV6.into());
                needs.push(next);
                At::Start(net + 40)
            }
            _ => return fail("unsupported index operation"),
        })
    }
}
