//! Expressions: Python's precedence, integers of 64 bits.

use super::lexer::{self, Token};
use super::value::{Value, format_braces, format_percent};

/// Brackets within brackets.
const MAX_DEPTH: u32 = 64;
/// Strings that formatting may make, bytes.
const MAX_TEXT: usize = 1 << 16;

/// Where names get their values from.
pub(super) trait Scope {
    fn name(&self, name: &str) -> Option<Value>;
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Oops {
    /// More of Python than there is here.
    LeftOut(String),
    /// The code is wrong.
    Failed(String),
}

/// The value of an expression.
pub(super) fn eval(text: &str, scope: &dyn Scope) -> Result<Value, Oops> {
    let mut values = eval_list(text, scope)?;
    if values.len() == 1 { Ok(values.remove(0)) } else { Ok(Value::List(values)) }
}

/// The values between commas.
pub(super) fn eval_list(text: &str, scope: &dyn Scope) -> Result<Vec<Value>, Oops> {
    let tokens = lexer::tokens(text).map_err(Oops::LeftOut)?;
    let mut p = Parser { tokens: &tokens, at: 0, scope, depth: 0 };
    let mut all = Vec::new();
    while p.at < tokens.len() {
        all.push(p.ternary()?);
        if !p.eat(",") && p.at < tokens.len() {
            return Err(Oops::LeftOut(format!("`{}`", text.trim())));
        }
    }
    Ok(all)
}

/// `condition, message` of an assertion.
pub(super) fn split_assert(text: &str) -> Result<(&str, Option<&str>), Oops> {
    match lexer::find_top(text, ',') {
        Some(at) => Ok((&text[..at], Some(&text[at + 1..]))),
        None if text.trim().is_empty() => Err(Oops::Failed("an empty assertion".into())),
        None => Ok((text, None)),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    scope: &'a dyn Scope,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn op(&self, ops: &[&'static str]) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Op(op)) => ops.iter().find(|o| *o == op).copied(),
            _ => None,
        }
    }

    fn eat(&mut self, op: &'static str) -> bool {
        let found = self.op(&[op]).is_some();
        self.at += usize::from(found);
        found
    }

    fn eat_name(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(n)) if n == name);
        self.at += usize::from(found);
        found
    }

    fn ternary(&mut self) -> Result<Value, Oops> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Oops::LeftOut("expressions nested too deeply".into()));
        }
        let value = self.or()?;
        let value = if self.eat_name("if") {
            let condition = self.or()?.truth();
            if !self.eat_name("else") {
                return Err(Oops::Failed("`if` without `else` in an expression".into()));
            }
            let other = self.ternary()?;
            if condition { value } else { other }
        } else {
            value
        };
        self.depth -= 1;
        Ok(value)
    }

    fn or(&mut self) -> Result<Value, Oops> {
        let mut left = self.and()?;
        while self.eat_name("or") {
            let right = self.and()?;
            left = if left.truth() { left } else { right };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value, Oops> {
        let mut left = self.not()?;
        while self.eat_name("and") {
            let right = self.not()?;
            left = if left.truth() { right } else { left };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Value, Oops> {
        let mut negate = None;
        while self.eat_name("not") {
            negate = Some(!negate.unwrap_or(false));
        }
        let value = self.comparison()?;
        Ok(match negate {
            None => value,
            Some(negate) => Value::Bool(value.truth() != negate),
        })
    }

    /// `a < b <= c`
    fn comparison(&mut self) -> Result<Value, Oops> {
        let mut left = self.binary_level(0)?;
        let mut all = None;
        loop {
            let op = match self.op(&["<=", ">=", "==", "!=", "<>", "<", ">"]) {
                Some(op) => {
                    self.at += 1;
                    op
                }
                None if self.eat_name("in") => "in",
                None if self.eat_name("is") => {
                    if self.eat_name("not") {
                        "!="
                    } else {
                        "=="
                    }
                }
                None => return Ok(all.map_or(left, Value::Bool)),
            };
            let right = self.binary_level(0)?;
            let holds = compare(op, &left, &right)?;
            all = Some(all.unwrap_or(true) && holds);
            left = right;
        }
    }

    fn binary_level(&mut self, level: usize) -> Result<Value, Oops> {
        const LEVELS: [&[&str]; 6] =
            [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "//", "/", "%"]];
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary_level(level + 1)?;
        while let Some(op) = self.op(ops) {
            self.at += 1;
            let right = self.binary_level(level + 1)?;
            left = binary(op, left, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Value, Oops> {
        let Some(op) = self.op(&["-", "+", "~"]) else { return self.power() };
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Oops::LeftOut("expressions nested too deeply".into()));
        }
        let value = self.unary()?;
        self.depth -= 1;
        match (op, &value) {
            ("-", Value::Float(x)) => Ok(Value::Float(-x)),
            ("-", v) => binary("-", Value::Int(0), v.clone()),
            ("~", v) => v.int().map(|n| Value::Int(!n)).ok_or_else(|| mixed("~", v, v)),
            _ => Ok(value),
        }
    }

    fn power(&mut self) -> Result<Value, Oops> {
        let base = self.postfix()?;
        if !self.eat("**") {
            return Ok(base);
        }
        let exponent = self.unary()?;
        match (base.int(), exponent.int()) {
            (Some(b), Some(e @ 0..=63)) => {
                let power = b.checked_pow(e as u32).map(Value::Int);
                power.ok_or_else(|| Oops::LeftOut("numbers beyond 64 bits".into()))
            }
            _ => Err(Oops::LeftOut("`**` of such numbers".into())),
        }
    }

    fn postfix(&mut self) -> Result<Value, Oops> {
        let value = self.atom()?;
        if let Value::Str(text) = &value
            && self.eat(".")
        {
            if !self.eat_name("format") || !self.eat("(") {
                return Err(Oops::LeftOut("methods of strings".into()));
            }
            let mut values = self.until(")")?.into_iter();
            let text = format_braces(text, |_| values.next());
            return limited(text, "this format");
        }
        if self.op(&[".", "["]).is_some() {
            return Err(Oops::LeftOut("members and indices".into()));
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<Value, Oops> {
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Int(n)) => Ok(Value::Int(n)),
            Some(Token::Float(x)) => Ok(Value::Float(x)),
            Some(Token::Str(text, false)) => Ok(Value::Str(text)),
            Some(Token::Str(text, true)) => {
                let text = format_braces(&text, |inner| eval(inner, self.scope).ok());
                limited(text, "this f-string")
            }
            Some(Token::Name(name)) if self.eat("(") => {
                let args = self.until(")")?;
                call(&name, &args)
            }
            Some(Token::Name(name)) => {
                let value = self.scope.name(&name);
                // Members of structs that this TCP does not have.
                let beyond = name.starts_with("tcpi_") || name.starts_with("SK_");
                let text = || format!("`{name}` is not defined");
                value.ok_or_else(
                    || if beyond { Oops::LeftOut(text()) } else { Oops::Failed(text()) },
                )
            }
            Some(Token::Op("(")) => {
                let comma_before = self.at;
                let mut values = self.until(")")?;
                let tuple = self.tokens[comma_before..self.at].contains(&Token::Op(","));
                match (values.len(), tuple) {
                    (1, _) => Ok(values.remove(0)),
                    _ => Ok(Value::List(values)),
                }
            }
            Some(Token::Op("[")) => self.until("]").map(Value::List),
            other => Err(Oops::LeftOut(match other {
                Some(Token::Op(op)) => format!("`{op}` here"),
                _ => "an unfinished expression".to_owned(),
            })),
        }
    }

    fn until(&mut self, close: &'static str) -> Result<Vec<Value>, Oops> {
        let mut all = Vec::new();
        while !self.eat(close) {
            all.push(self.ternary()?);
            if !self.eat(",") && self.op(&[close]).is_none() {
                return Err(Oops::LeftOut("this list".into()));
            }
        }
        Ok(all)
    }
}

fn limited(text: Option<String>, what: &str) -> Result<Value, Oops> {
    let text = text.filter(|t| t.len() <= MAX_TEXT);
    text.map(Value::Str).ok_or_else(|| Oops::LeftOut(what.to_owned()))
}

fn mixed(op: &str, a: &Value, b: &Value) -> Oops {
    Oops::Failed(format!("`{op}` makes no sense between {a} and {b}"))
}

fn compare(op: &str, a: &Value, b: &Value) -> Result<bool, Oops> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if op == "in" {
        return match b {
            Value::List(list) => Ok(list.iter().any(|x| compare("==", a, x) == Ok(true))),
            _ => Err(mixed(op, a, b)),
        };
    }
    let order = match (a, b) {
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        _ => match (a.int(), b.int()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.float().zip(b.float()).and_then(|(a, b)| a.partial_cmp(&b)),
        },
    };
    Ok(match (op, order) {
        ("==", None) => a == b,
        ("!=" | "<>", None) => a != b,
        (_, None) => return Err(mixed(op, a, b)),
        ("==", Some(o)) => o == Equal,
        ("!=" | "<>", Some(o)) => o != Equal,
        ("<", Some(o)) => o == Less,
        (">", Some(o)) => o == Greater,
        ("<=", Some(o)) => o != Greater,
        (_, Some(o)) => o != Less,
    })
}

/// `a op b`.
pub(super) fn binary(op: &str, a: Value, b: Value) -> Result<Value, Oops> {
    match (op, &a, &b) {
        ("%", Value::Str(format), value) => {
            return limited(format_percent(format, value), "this format");
        }
        ("+", Value::Str(x), Value::Str(y)) => {
            return limited(Some(format!("{x}{y}")), "long text");
        }
        _ => {}
    }
    if let (Some(x), Some(y)) = (a.int(), b.int()) {
        return integers(op, x, y);
    }
    let (Some(x), Some(y)) = (a.float(), b.float()) else { return Err(mixed(op, &a, &b)) };
    Ok(Value::Float(match op {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" | "//" | "%" if y == 0.0 => return Err(Oops::Failed("division by zero".into())),
        "/" => x / y,
        "//" => (x / y).floor(),
        "%" => x - y * (x / y).floor(),
        _ => return Err(mixed(op, &a, &b)),
    }))
}

fn integers(op: &str, x: i64, y: i64) -> Result<Value, Oops> {
    if matches!(op, "/" | "//" | "%") && y == 0 {
        return Err(Oops::Failed("division by zero".into()));
    }
    let floor =
        || x.checked_div_euclid(y).map(|q| if y < 0 && x.rem_euclid(y) != 0 { q - 1 } else { q });
    let result = match op {
        "+" => x.checked_add(y),
        "-" => x.checked_sub(y),
        "*" => x.checked_mul(y),
        "/" => return Ok(Value::Float(x as f64 / y as f64)),
        "//" => floor(),
        "%" => floor().and_then(|q| x.checked_sub(q.checked_mul(y)?)),
        "&" => Some(x & y),
        "|" => Some(x | y),
        "^" => Some(x ^ y),
        "<<" => u32::try_from(y).ok().filter(|y| *y < 63).and_then(|y| x.checked_mul(1 << y)),
        ">>" => u32::try_from(y).ok().map(|y| x >> y.min(63)),
        _ => None,
    };
    result.map(Value::Int).ok_or_else(|| Oops::LeftOut(format!("`{x} {op} {y}`")))
}

fn call(name: &str, args: &[Value]) -> Result<Value, Oops> {
    let left_out = || Oops::LeftOut(format!("the function {name}"));
    let extreme = |larger: bool| {
        let list = match args {
            [Value::List(list)] => list.as_slice(),
            other => other,
        };
        let mut best = list.first().cloned().ok_or_else(left_out)?;
        for v in &list[1..] {
            if compare(if larger { ">" } else { "<" }, v, &best)? {
                best = v.clone();
            }
        }
        Ok(best)
    };
    match (name, args) {
        ("abs", [Value::Float(x)]) => Ok(Value::Float(x.abs())),
        ("abs", [v]) => v.int().and_then(i64::checked_abs).map(Value::Int).ok_or_else(left_out),
        ("min", _) => extreme(false),
        ("max", _) => extreme(true),
        ("int", [v]) => match v {
            Value::Str(s) => s.trim().parse().map(Value::Int).map_err(|_| left_out()),
            v => v.int().or(v.float().map(|x| x as i64)).map(Value::Int).ok_or_else(left_out),
        },
        ("float", [v]) => v.float().map(Value::Float).ok_or_else(left_out),
        ("round", [v]) => v.float().map(|x| Value::Int(x.round() as i64)).ok_or_else(left_out),
        ("bool", [v]) => Ok(Value::Bool(v.truth())),
        ("str" | "repr", [v]) => Ok(Value::Str(v.to_string())),
        ("len", [Value::Str(s)]) => Ok(Value::Int(s.chars().count() as i64)),
        ("len", [Value::List(l)]) => Ok(Value::Int(l.len() as i64)),
        _ => Err(left_out()),
    }
}
