//! Values of snippets.

use std::fmt;

/// A value as Python has it, as far as needed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(String),
    List(Vec<Value>),
    None,
}

impl Value {
    /// What counts as true.
    pub(super) fn truth(&self) -> bool {
        match self {
            Value::Int(n) => *n != 0,
            Value::Float(x) => *x != 0.0,
            Value::Bool(b) => *b,
            Value::Str(s) => !s.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::None => false,
        }
    }

    /// As an integer, when it is one.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            Value::Bool(b) => Some((*b).into()),
            _ => None,
        }
    }

    /// As a number.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Value::Float(x) => Some(*x),
            other => other.int().map(|n| n as f64),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
            Value::Str(s) => f.write_str(s),
            Value::None => f.write_str("None"),
            Value::List(list) => {
                let parts: Vec<String> = list.iter().map(Value::to_string).collect();
                write!(f, "({})", parts.join(", "))
            }
        }
    }
}

/// `'%d of %s' % (1, 'x')`; `None` when the format is not understood.
pub(super) fn format_percent(format: &str, value: &Value) -> Option<String> {
    let values = match value {
        Value::List(list) => list.clone(),
        other => vec![other.clone()],
    };
    let mut values = values.iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        let kind = loop {
            match chars.next()? {
                c if c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | ' ' | 'l') => spec.push(c),
                c => break c,
            }
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        out += &formatted(kind, &spec, values.next()?)?;
    }
    Some(out)
}

fn formatted(kind: char, spec: &str, value: &Value) -> Option<String> {
    let precision = spec.split_once('.').and_then(|(_, p)| p.parse::<usize>().ok());
    Some(match kind {
        'd' | 'i' | 'u' => match value.float()? {
            _ if value.int().is_some() => value.int()?.to_string(),
            x => (x as i64).to_string(),
        },
        's' | 'r' => value.to_string(),
        'f' | 'g' => {
            let precision = precision.unwrap_or(6).min(30);
            format!("{:.precision$}", value.float()?)
        }
        'x' => format!("{:x}", value.int()?),
        _ => return None,
    })
}

/// `f'{x}'` with the values of its names already found, or `'{}'.format(x)`.
pub(super) fn format_braces(
    format: &str,
    mut value_of: impl FnMut(&str) -> Option<Value>,
) -> Option<String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out += &rest[..at];
        let after = &rest[at + 1..];
        let brace = &rest[at..=at];
        if let Some(tail) = after.strip_prefix(brace) {
            out += brace;
            rest = tail;
            continue;
        }
        let (inner, tail) = after.split_once('}')?;
        let name = inner.split(':').next().unwrap_or(inner);
        out += &value_of(name)?.to_string();
        rest = tail;
    }
    Some(out + rest)
}
