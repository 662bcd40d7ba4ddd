//! The part of Python that `%{ }%` needs: assertions about TCP_INFO, with arithmetic, comparisons,
//! variables, `if`, `print` and formatting. What is beyond it is left out, and the report says so.
//!
//! `expr` evaluates expressions, [`run`] runs statements. Nothing loops, so that every snippet ends.

mod expr;
mod lexer;
mod value;

use std::collections::BTreeMap;

use netarium_stack::TcpInfo;
use netarium_stack::tcp::info;

use expr::{Oops, Scope};
use value::Value;

/// Variables that live from one snippet of a script to the next, and what was printed.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<String, Value>,
    /// Lines that `print` wrote and nobody took yet.
    pub printed: Vec<String>,
}

impl Env {
    /// Gives a variable a number; none takes it away.
    pub(crate) fn set(&mut self, name: &str, value: Option<i64>) {
        match value {
            Some(n) => self.variables.insert(name.to_owned(), Value::Int(n)),
            None => self.variables.remove(name),
        };
    }
}

/// Variables of one script at most.
const MAX_VARIABLES: usize = 1000;

/// How a snippet ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its assertions hold.
    Well,
    /// It uses more of Python than there is here.
    LeftOut(String),
    /// An assertion does not hold, or the code is wrong.
    Failed(String),
}

/// Runs a snippet. `tcp` is TCP_INFO of the socket under test, if there is one.
pub fn run(text: &str, env: &mut Env, tcp: Option<&TcpInfo>) -> Ended {
    let lines = match lexer::statements(text) {
        Ok(lines) => lines,
        Err(why) => return Ended::LeftOut(why),
    };
    match (Snippet { env, tcp }).block(&lines) {
        Ok(()) => Ended::Well,
        Err(Oops::LeftOut(why)) => Ended::LeftOut(why),
        Err(Oops::Failed(why)) => Ended::Failed(why),
    }
}

struct Snippet<'a> {
    env: &'a mut Env,
    tcp: Option<&'a TcpInfo>,
}

impl Scope for Snippet<'_> {
    fn name(&self, name: &str) -> Option<Value> {
        let own = self.env.variables.get(name).cloned();
        own.or_else(|| info_field(self.tcp?, name).map(Value::Int)).or_else(|| constant(name))
    }
}

impl Snippet<'_> {
    fn block(&mut self, lines: &[lexer::Line]) -> Result<(), Oops> {
        let mut i = 0;
        // Whether a branch of the `if` that stands before was taken.
        let mut taken = None;
        while let Some(line) = lines.get(i) {
            let body = lines[i + 1..].iter().take_while(|l| l.indent > line.indent).count();
            let inner = &lines[i + 1..i + 1 + body];
            taken = self.statement(&line.text, inner, taken)?;
            i += 1 + body;
        }
        Ok(())
    }

    fn statement(
        &mut self,
        text: &str,
        body: &[lexer::Line],
        taken: Option<bool>,
    ) -> Result<Option<bool>, Oops> {
        let (keyword, rest) = keyword(text);
        let chosen = match (keyword, taken) {
            ("if", _) => true,
            ("elif" | "else", Some(taken)) => !taken,
            ("elif" | "else", None) => return Err(Oops::Failed("`else` without `if`".into())),
            _ => {
                if let Some(line) = body.first() {
                    let why = format!("`{}`: only `if` may have a block", line.text);
                    return Err(Oops::LeftOut(why));
                }
                self.simple(keyword, rest, text)?;
                return Ok(None);
            }
        };
        let Some((condition, inline)) = split_colon(rest) else {
            return Err(Oops::Failed(format!("`{text}` has no colon")));
        };
        let holds = chosen && (keyword == "else" || expr::eval(condition, self)?.truth());
        if holds {
            if !inline.trim().is_empty() {
                self.statement(inline.trim(), &[], None)?;
            }
            self.block(body)?;
        }
        Ok(Some(holds || taken == Some(true)))
    }

    fn simple(&mut self, keyword: &str, rest: &str, text: &str) -> Result<(), Oops> {
        match keyword {
            "pass" => Ok(()),
            "assert" => self.assert(rest),
            "print" => {
                let inner = rest.trim();
                let inner = inner.strip_prefix('(').and_then(|s| s.strip_suffix(')'));
                let line = match expr::eval_list(inner.unwrap_or(rest.trim()), self) {
                    Ok(values) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
                    Err(_) => rest.trim().to_owned(),
                };
                if self.env.printed.len() < MAX_VARIABLES {
                    self.env.printed.push(line);
                }
                Ok(())
            }
            "import" | "from" if rest.split([' ', ',']).any(|w| w == "sys" || w == "os") => {
                Err(Oops::LeftOut(format!("`{text}`")))
            }
            "import" | "from" | "def" | "for" | "while" | "class" | "try" | "with" | "lambda" => {
                Err(Oops::LeftOut(format!("`{keyword}`")))
            }
            _ => self.assign(text),
        }
    }

    fn assert(&mut self, rest: &str) -> Result<(), Oops> {
        let (condition, message) = expr::split_assert(rest)?;
        if expr::eval(condition, self)?.truth() {
            return Ok(());
        }
        let details = self.details(condition);
        let said = message.map(|m| match expr::eval_list(m, self) {
            Ok(values) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
            Err(_) => m.trim().to_owned(),
        });
        let said = said.map(|s| format!(": {s}")).unwrap_or_default();
        Err(Oops::Failed(format!("assert {} does not hold{said}{details}", condition.trim())))
    }

    /// The values of the names in a condition, for a report.
    fn details(&self, condition: &str) -> String {
        let names = lexer::names(condition);
        let known = names.iter().filter_map(|n| {
            let constant = constant(n).is_some();
            self.name(n).filter(|_| !constant).map(|v| format!("{n} = {v}"))
        });
        let all: Vec<String> = known.collect();
        if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
    }

    fn assign(&mut self, text: &str) -> Result<(), Oops> {
        let Some((name, operator, value)) = lexer::assignment(text) else {
            // An expression by itself changes nothing, but must make sense.
            return expr::eval(text, self).map(|_| ());
        };
        let mut value = expr::eval(value, self)?;
        if let Some(operator) = operator {
            let old = self.name(name);
            let old = old.ok_or_else(|| Oops::Failed(format!("`{name}` is not defined")))?;
            value = expr::binary(&operator.to_string(), old, value)?;
        }
        let full = self.env.variables.len() >= MAX_VARIABLES;
        if full && !self.env.variables.contains_key(name) {
            return Err(Oops::LeftOut("more than a thousand variables".into()));
        }
        self.env.variables.insert(name.to_owned(), value);
        Ok(())
    }
}

/// The first word of a statement, if it is one of Python's own.
fn keyword(text: &str) -> (&str, &str) {
    const WORDS: [&str; 17] = [
        "assert", "class", "def", "elif", "else", "for", "from", "if", "import", "lambda", "pass",
        "print", "return", "try", "while", "with", "yield",
    ];
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if WORDS.contains(&word) { (word, rest) } else { ("", text) }
}

/// Splits `condition: statement` at the colon that is not within brackets or quotes.
fn split_colon(text: &str) -> Option<(&str, &str)> {
    let at = lexer::find_top(text, ':')?;
    Some((&text[..at], &text[at + 1..]))
}

fn constant(name: &str) -> Option<Value> {
    Some(Value::Int(match name {
        "True" | "true" => return Some(Value::Bool(true)),
        "False" | "false" => return Some(Value::Bool(false)),
        "None" => return Some(Value::None),
        // Linux' names and FreeBSD's; the numbers are Linux'.
        "TCP_ESTABLISHED" | "TCPI_ESTABLISHED" => 1,
        "TCP_SYN_SENT" | "TCPI_SYN_SENT" => 2,
        "TCP_SYN_RECV" | "TCPI_SYN_RECEIVED" => 3,
        "TCP_FIN_WAIT1" | "TCPI_FIN_WAIT_1" => 4,
        "TCP_FIN_WAIT2" | "TCPI_FIN_WAIT_2" => 5,
        "TCP_TIME_WAIT" | "TCPI_TIME_WAIT" => 6,
        "TCP_CLOSE" | "TCPI_CLOSED" => 7,
        "TCP_CLOSE_WAIT" | "TCPI_CLOSE_WAIT" => 8,
        "TCP_LAST_ACK" | "TCPI_LAST_ACK" => 9,
        "TCP_LISTEN" | "TCPI_LISTEN" => 10,
        "TCP_CLOSING" | "TCPI_CLOSING" => 11,
        "TCP_CA_Open" => 0,
        "TCP_CA_Disorder" => 1,
        "TCP_CA_CWR" => 2,
        "TCP_CA_Recovery" => 3,
        "TCP_CA_Loss" => 4,
        "TCPI_OPT_TIMESTAMPS" => info::OPT_TIMESTAMPS.into(),
        "TCPI_OPT_SACK" => info::OPT_SACK.into(),
        "TCPI_OPT_WSCALE" => info::OPT_WSCALE.into(),
        "TCPI_OPT_ECN" => info::OPT_ECN.into(),
        "TCPI_OPT_SYN_DATA" => 32,
        "TCPI_OPT_ECN_SEEN" => info::OPT_ECN_SEEN.into(),
        "TCP_INFINITE_SSTHRESH" => 0x7fff_ffff,
        _ => return None,
    }))
}

/// A member of `struct tcp_info` by its name, `tcpi_` included.
pub(crate) fn info_field(info: &TcpInfo, name: &str) -> Option<i64> {
    let long = |n: u64| n.min(i64::MAX as u64) as i64;
    Some(match name.strip_prefix("tcpi_")? {
        "state" => info.state.into(),
        "ca_state" => info.ca_state as i64,
        "retransmits" => info.retransmits.into(),
        "probes" => info.probes.into(),
        "backoff" => info.backoff.into(),
        "options" => info.options.into(),
        "snd_wscale" => info.snd_wscale.into(),
        "rcv_wscale" => info.rcv_wscale.into(),
        "rto" => info.rto.into(),
        "ato" => info.ato.into(),
        "snd_mss" => info.snd_mss.into(),
        "rcv_mss" => info.rcv_mss.into(),
        "unacked" => info.unacked.into(),
        "sacked" => info.sacked.into(),
        "lost" => info.lost.into(),
        "retrans" => info.retrans.into(),
        "fackets" => info.fackets.into(),
        "last_data_sent" => info.last_data_sent.into(),
        "last_ack_sent" => info.last_ack_sent.into(),
        "last_data_recv" => info.last_data_recv.into(),
        "last_ack_recv" => info.last_ack_recv.into(),
        "pmtu" => info.pmtu.into(),
        "rcv_ssthresh" => info.rcv_ssthresh.into(),
        "rtt" => info.rtt.into(),
        "rttvar" => info.rttvar.into(),
        "snd_ssthresh" => info.snd_ssthresh.into(),
        "snd_cwnd" => info.snd_cwnd.into(),
        "advmss" => info.advmss.into(),
        "reordering" => info.reordering.into(),
        "rcv_rtt" => info.rcv_rtt.into(),
        "rcv_space" => info.rcv_space.into(),
        "total_retrans" => info.total_retrans.into(),
        "bytes_acked" => long(info.bytes_acked),
        "bytes_received" => long(info.bytes_received),
        "segs_out" => info.segs_out.into(),
        "segs_in" => info.segs_in.into(),
        "notsent_bytes" => info.notsent_bytes.into(),
        "min_rtt" => info.min_rtt.into(),
        "data_segs_in" => info.data_segs_in.into(),
        "data_segs_out" => info.data_segs_out.into(),
        "delivered" => info.delivered.into(),
        "delivered_ce" => info.delivered_ce.into(),
        "busy_time" => long(info.busy_time),
        "rwnd_limited" => long(info.rwnd_limited),
        "sndbuf_limited" => long(info.sndbuf_limited),
        "bytes_sent" => long(info.bytes_sent),
        "bytes_retrans" => long(info.bytes_retrans),
        "dsack_dups" => info.dsack_dups.into(),
        "reord_seen" => info.reord_seen.into(),
        "rcv_ooopack" => info.rcv_ooopack.into(),
        "snd_wnd" => info.snd_wnd.into(),
        "rcv_wnd" => info.rcv_wnd.into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> TcpInfo {
        TcpInfo { state: 1, snd_cwnd: 10, rtt: 100_500, ..TcpInfo::default() }
    }

    #[track_caller]
    fn check(text: &str, expect: &Ended) {
        assert_eq!(&run(text, &mut Env::default(), Some(&info())), expect, "{text}");
    }

    #[test]
    fn assertions_that_hold() {
        for text in [
            "assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd",
            "assert tcpi_state == TCP_ESTABLISHED and not tcpi_lost",
            "\n# a comment\nassert 100000 <= tcpi_rtt < 101000, 'rtt %d' % tcpi_rtt\n",
            "x = tcpi_snd_cwnd * 2 - 5\nx += 1; assert x == 16, str(x)",
            "assert (tcpi_options & TCPI_OPT_SACK) == 0\nassert 7 // 2 == 3 and 7 / 2 == 3.5 and -7 % 3 == 2",
            "assert tcpi_lost == 0, tcpi_lost; \\\n   assert tcpi_state == 1; \\\n",
            "if tcpi_snd_cwnd > 5:\n  y = 1\nelse:\n  y = 2\nassert y == 1",
            "assert tcpi_snd_cwnd in (9, 10), \"cwnd\"",
            "assert abs(tcpi_rtt - 100000) <= 1000 and min(3, 2) == 2 and 2**3 == 8",
            "print(tcpi_snd_cwnd, 'cwnd'); print tcpi_rtt",
            "assert f'{tcpi_snd_cwnd}' == '10'",
        ] {
            check(text, &Ended::Well);
        }
    }

    #[test]
    fn assertions_that_do_not_hold_say_what_there_was() {
        check(
            "assert tcpi_snd_cwnd == 20, 'cwnd=%d' % tcpi_snd_cwnd",
            &Ended::Failed(
                "assert tcpi_snd_cwnd == 20 does not hold: cwnd=10 (tcpi_snd_cwnd = 10)".into(),
            ),
        );
        check("assert nonsense == 1", &Ended::Failed("`nonsense` is not defined".into()));
        check("assert 1 / 0", &Ended::Failed("division by zero".into()));
    }

    #[test]
    fn what_is_beyond_is_left_out() {
        for text in ["import json", "for i in range(3):\n  print(i)", "def f():\n  pass"] {
            let ended = run(text, &mut Env::default(), None);
            assert!(matches!(ended, Ended::LeftOut(_)), "{text}: {ended:?}");
        }
    }

    #[test]
    fn variables_outlive_a_snippet() {
        let mut env = Env::default();
        assert_eq!(run("before = tcpi_snd_cwnd", &mut env, Some(&info())), Ended::Well);
        assert_eq!(run("assert before == 10", &mut env, None), Ended::Well);
    }

    #[test]
    fn deep_nesting_ends() {
        let text = format!("assert {}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(matches!(run(&text, &mut Env::default(), None), Ended::LeftOut(_)));
    }
}
