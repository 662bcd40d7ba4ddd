//! `$((…))`: sums of whole numbers of 64 bits, in the operators of C (POSIX.1-2017 §2.6.4).

/// Variables that a sum reads and writes.
pub(super) trait Variables {
    /// The text of a variable; empty when it is not set.
    fn get(&self, name: &str) -> String;
    /// Gives a variable a value.
    fn set(&mut self, name: &str, value: i64);
}

/// How deep parentheses may stand in each other.
const DEPTH_MAX: usize = 64;

/// The value of a sum.
pub(super) fn evaluate(text: &str, variables: &mut dyn Variables) -> Result<i64, String> {
    let mut sum = Sum { text, rest: text, variables, depth: 0, dead: false };
    let value = sum.assign()?;
    if sum.peek().is_empty() { Ok(value) } else { Err(sum.bad("expecting EOF")) }
}

struct Sum<'a> {
    text: &'a str,
    rest: &'a str,
    variables: &'a mut dyn Variables,
    depth: usize,
    /// In the part of `&&`, `||` or `?:` that is not taken: nothing is set, nothing divides.
    dead: bool,
}

/// Binary operators by how tightly they bind, loosest first.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl<'a> Sum<'a> {
    fn peek(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn eat(&mut self, op: &str) -> bool {
        let rest = self.peek();
        // `<` is not the beginning of `<<`, nor `=` that of `==`.
        let longer = |c: char| match op {
            "<" | ">" | "&" | "|" => rest[1..].starts_with([c, '=']),
            "=" => rest[1..].starts_with('='),
            "!" => rest[1..].starts_with('='),
            "+" | "-" | "*" | "/" | "%" | "^" => rest[op.len()..].starts_with('='),
            "<<" | ">>" => rest[2..].starts_with('='),
            _ => false,
        };
        if !rest.starts_with(op) || op.chars().next().is_some_and(longer) {
            return false;
        }
        self.rest = &rest[op.len()..];
        true
    }

    fn bad(&self, why: &str) -> String {
        format!("arithmetic expression: {why}: \"{}\"", self.text)
    }

    fn assign(&mut self) -> Result<i64, String> {
        let rest = self.peek();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = &rest[..len];
        let after = rest[len..].trim_start();
        let op = ["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "="]
            .into_iter()
            .find(|op| after.starts_with(op) && !(*op == "=" && after.starts_with("==")));
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let Some(op) = op.filter(|_| starts) else { return self.choice() };
        self.rest = &after[op.len()..];
        self.enter()?;
        let right = self.assign()?;
        self.depth -= 1;
        let value = match op.strip_suffix('=') {
            Some("") | None => right,
            Some(op) => {
                let left = self.variable(name)?;
                self.apply(op, left, right)?
            }
        };
        if !self.dead {
            self.variables.set(name, value);
        }
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.bad("too deep")) } else { Ok(()) }
    }

    fn choice(&mut self) -> Result<i64, String> {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        self.enter()?;
        let was = self.dead;
        self.dead = was || condition == 0;
        let yes = self.assign()?;
        if !self.eat(":") {
            return Err(self.bad("expecting ':'"));
        }
        self.dead = was || condition != 0;
        let no = self.choice()?;
        self.dead = was;
        self.depth -= 1;
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let Some(op) = operators.iter().copied().find(|op| self.eat(op)) else {
                return Ok(left);
            };
            let was = self.dead;
            self.dead = was || (op == "&&" && left == 0) || (op == "||" && left != 0);
            let right = self.binary(level + 1)?;
            left = self.apply(op, left, right)?;
            self.dead = was;
        }
    }

    fn apply(&self, op: &str, a: i64, b: i64) -> Result<i64, String> {
        let shift = (b & 63) as u32;
        Ok(match op {
            "+" => a.wrapping_add(b),
            "-" => a.wrapping_sub(b),
            "*" => a.wrapping_mul(b),
            "/" | "%" if b == 0 && self.dead => 0,
            "/" | "%" if b == 0 => return Err(self.bad("division by zero")),
            "/" => a.wrapping_div(b),
            "%" => a.wrapping_rem(b),
            "<<" => a.wrapping_shl(shift),
            ">>" => a.wrapping_shr(shift),
            "&" => a & b,
            "|" => a | b,
            "^" => a ^ b,
            "==" => i64::from(a == b),
            "!=" => i64::from(a != b),
            "<" => i64::from(a < b),
            ">" => i64::from(a > b),
            "<=" => i64::from(a <= b),
            ">=" => i64::from(a >= b),
            "&&" => i64::from(a != 0 && b != 0),
            "||" => i64::from(a != 0 || b != 0),
            _ => return Err(self.bad("expecting primary")),
        })
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.enter()?;
        let value = if self.eat("(") {
            let value = self.assign()?;
            if !self.eat(")") {
                return Err(self.bad("expecting ')'"));
            }
            value
        } else if self.eat("-") {
            self.unary()?.wrapping_neg()
        } else if self.eat("+") {
            self.unary()?
        } else if self.eat("!") {
            i64::from(self.unary()? == 0)
        } else if self.eat("~") {
            !self.unary()?
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Result<i64, String> {
        let rest = self.peek();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..len];
        self.rest = &rest[len..];
        match word.chars().next() {
            None => Err(self.bad("expecting primary")),
            Some('0'..='9') => number(word).ok_or_else(|| self.bad("expecting primary")),
            Some(_) => self.variable(word),
        }
    }

    fn variable(&mut self, name: &str) -> Result<i64, String> {
        let text = self.variables.get(name);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(0);
        }
        let (minus, digits) = match trimmed.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, trimmed),
        };
        let value = number(digits).ok_or_else(|| format!("Illegal number: {text}"))?;
        Ok(if minus { value.wrapping_neg() } else { value })
    }
}

/// Decimal, `0x…` or `0…` (octal).
fn number(word: &str) -> Option<i64> {
    let (digits, base) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&word[2..], 16),
        [b'0', _, ..] => (&word[1..], 8),
        _ => (word, 10),
    };
    i64::from_str_radix(digits, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    impl Variables for BTreeMap<String, String> {
        fn get(&self, name: &str) -> String {
            BTreeMap::get(self, name).cloned().unwrap_or_default()
        }

        fn set(&mut self, name: &str, value: i64) {
            self.insert(name.to_owned(), value.to_string());
        }
    }

    #[test]
    fn sums_are_cs() {
        let mut vars = BTreeMap::from([("n".to_owned(), "7".to_owned())]);
        for (text, expect) in [
            ("1 + 2 * 3", 7),
            ("(1+2)*3", 9),
            ("10 - 3 - 2", 5),
            ("n % 4", 3),
            ("-n + +1", -6),
            ("1 << 4 | 1", 17),
            ("2 < 3 && 3 <= 3", 1),
            ("0 && 1 / 0", 0),
            ("1 || 1 / 0", 1),
            ("n == 7 ? 10 : 1 / 0", 10),
            ("x = n + 1", 8),
            ("x += 2", 10),
            ("!x", 0),
            ("~0", -1),
            ("0x10 + 010", 24),
            ("unset + 1", 1),
            ("7 != 7", 0),
        ] {
            assert_eq!(evaluate(text, &mut vars), Ok(expect), "{text}");
        }
        for bad in ["1 / 0", "1 +", "(1", "1 2", "", "09", &"(".repeat(1_000)] {
            assert!(evaluate(bad, &mut vars).is_err(), "{bad}");
        }
    }
}
