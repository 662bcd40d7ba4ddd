//! `test` and `[`: POSIX.1-2017, with `-a`, `-o`, parentheses and `-nt -ot`.

use netarium_world::process::{Fd, LocalBoxFuture, Process};

/// How deep `!` and parentheses may stand in each other.
const DEPTH_MAX: usize = 64;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let fds = [0, 1, 2].map(|n| process.fd(n));
        match run(&args, &process, &fds) {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(why) => {
                process.eprint(&format!("{}: {why}\n", args[0])).await;
                2
            }
        }
    })
}

/// The value of an expression; `argv` begins with `test` or `[`.
pub(crate) fn run(argv: &[String], process: &Process, fds: &[Fd; 3]) -> Result<bool, String> {
    let mut words: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    if argv.first().is_some_and(|name| name == "[") && words.pop() != Some("]") {
        return Err("missing ]".to_owned());
    }
    let file = |op: &str, word: &str| match op {
        "-t" => word.parse::<usize>().ok().and_then(|n| fds.get(n)).is_some_and(Fd::is_terminal),
        "-e" | "-r" | "-w" => process.metadata(word).is_ok(),
        "-f" => process.metadata(word).is_ok_and(|m| !m.is_dir),
        "-d" => process.metadata(word).is_ok_and(|m| m.is_dir),
        "-s" => process.metadata(word).is_ok_and(|m| m.is_dir || m.len > 0),
        "-x" => process.metadata(word).is_ok_and(|m| m.is_dir),
        _ => false,
    };
    let newer = |a: &str, b: &str| match (process.metadata(a), process.metadata(b)) {
        (Ok(a), Ok(b)) => a.modified > b.modified,
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    };
    evaluate(&words, &file, &newer)
}

/// The value of an expression, with what asks about files.
fn evaluate(
    words: &[&str],
    file: &dyn Fn(&str, &str) -> bool,
    newer: &dyn Fn(&str, &str) -> bool,
) -> Result<bool, String> {
    if words.is_empty() {
        return Ok(false);
    }
    let mut expression = Expression { words, at: 0, depth: 0, file, newer };
    let value = expression.or()?;
    match words.get(expression.at) {
        None => Ok(value),
        Some(word) => Err(format!("{word}: unexpected operator")),
    }
}

struct Expression<'a> {
    words: &'a [&'a str],
    at: usize,
    depth: usize,
    file: &'a dyn Fn(&str, &str) -> bool,
    newer: &'a dyn Fn(&str, &str) -> bool,
}

impl<'a> Expression<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a str> {
        self.words.get(self.at + ahead).copied()
    }

    fn or(&mut self) -> Result<bool, String> {
        let mut value = self.and()?;
        while self.peek(0) == Some("-o") {
            self.at += 1;
            value |= self.and()?;
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, String> {
        let mut value = self.not()?;
        while self.peek(0) == Some("-a") {
            self.at += 1;
            value &= self.not()?;
        }
        Ok(value)
    }

    fn not(&mut self) -> Result<bool, String> {
        let left = self.words.len() - self.at;
        // `test ! = x` compares, `test !` asks whether the word is empty.
        if self.peek(0) == Some("!") && left > 1 && !(left == 3 && is_binary(self.peek(1))) {
            self.at += 1;
            self.deeper()?;
            let value = self.not()?;
            self.depth -= 1;
            return Ok(!value);
        }
        self.primary()
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err("too deep".to_owned()) } else { Ok(()) }
    }

    fn primary(&mut self) -> Result<bool, String> {
        let first = self.peek(0).ok_or("argument expected")?;
        if is_binary(self.peek(1))
            && let (Some(op), Some(right)) = (self.peek(1), self.peek(2))
        {
            self.at += 3;
            return self.binary(first, op, right);
        }
        if first == "(" && self.words.len() - self.at > 1 {
            self.at += 1;
            self.deeper()?;
            let value = self.or()?;
            self.depth -= 1;
            if self.peek(0) != Some(")") {
                return Err("closing paren expected".to_owned());
            }
            self.at += 1;
            return Ok(value);
        }
        if is_unary(first)
            && let Some(word) = self.peek(1)
        {
            self.at += 2;
            return Ok(match first {
                "-n" => !word.is_empty(),
                "-z" => word.is_empty(),
                op => (self.file)(op, word),
            });
        }
        self.at += 1;
        Ok(!first.is_empty())
    }

    fn binary(&self, left: &str, op: &str, right: &str) -> Result<bool, String> {
        let number =
            |word: &str| word.trim().parse::<i64>().map_err(|_| format!("Illegal number: {word}"));
        Ok(match op {
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "-nt" => (self.newer)(left, right),
            "-ot" => (self.newer)(right, left),
            "-eq" => number(left)? == number(right)?,
            "-ne" => number(left)? != number(right)?,
            "-lt" => number(left)? < number(right)?,
            "-le" => number(left)? <= number(right)?,
            "-gt" => number(left)? > number(right)?,
            _ => number(left)? >= number(right)?,
        })
    }
}

fn is_unary(word: &str) -> bool {
    matches!(
        word,
        "-n" | "-z" | "-e" | "-f" | "-d" | "-s" | "-r" | "-w" | "-x" | "-t" | "-L" | "-h"
    )
}

fn is_binary(word: Option<&str>) -> bool {
    matches!(
        word,
        Some(
            "=" | "=="
                | "!="
                | "<"
                | ">"
                | "-nt"
                | "-ot"
                | "-eq"
                | "-ne"
                | "-lt"
                | "-le"
                | "-gt"
                | "-ge"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn expressions() {
        let file = |op: &str, word: &str| op == "-f" && word == "here";
        let newer = |a: &str, b: &str| a > b;
        let of = |line: &str| {
            let words: Vec<&str> =
                line.split(' ').map(|w| if w == "''" { "" } else { w }).collect();
            evaluate(&words, &file, &newer)
        };
        for (line, expect) in [
            ("a", true),
            ("''", false),
            ("-n a", true),
            ("-z a", false),
            ("-n", true),
            ("a = a", true),
            ("! a = a", false),
            ("! = !", true),
            ("!", true),
            ("1 -lt 2 -a 3 -gt 2", true),
            ("1 -gt 2 -o 3 -gt 2", true),
            ("( 1 -eq 1 ) -a ! ( 2 -eq 1 )", true),
            ("-f here", true),
            ("! -f there", true),
            ("b -nt a", true),
            ("-z = -z", true),
        ] {
            assert_eq!(of(line), Ok(expect), "{line}");
        }
        assert_eq!(evaluate(&[], &file, &newer), Ok(false));
        for bad in ["x -eq 1", "( a", "a b", "1 = 1 x"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(of(&"! ".repeat(100)).is_err());
    }
}
