//! The tree that is decoded: TOML with the place of every key and value.
//!
//! It comes from a text ([`parse`]) or from the values of a builder ([`from_values`]); everything
//! after it is the same for both.

use toml::de::{DeTable, DeValue};

use crate::error::{Code, Errors, Spot};
use crate::limits::MAX_FILE_BYTES;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) spot: Spot,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A date or time, or a number that does not fit: nothing in a lab file is one.
    Other(&'static str),
    List(Vec<Node>),
    /// Sorted by key.
    Table(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_spot: Spot,
    pub(crate) value: Node,
}

impl Kind {
    /// What a reader would call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Kind::Text(_) => "a string",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number with a fraction",
            Kind::Bool(_) => "true or false",
            Kind::Other(name) => name,
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }
}

/// Reads a text. A syntax error is reported and gives `None`.
pub(crate) fn parse(text: &str, errors: &mut Errors) -> Option<Node> {
    if text.len() > MAX_FILE_BYTES {
        let most = MAX_FILE_BYTES / (1 << 20);
        errors.report(
            Code::Limit,
            Spot::default(),
            format!("the lab file has {} bytes; at most {most} MiB are read", text.len()),
            "too large",
        );
        return None;
    }
    match DeTable::parse(text) {
        Ok(table) => {
            let spot = spot(table.span());
            Some(Node { kind: from_table(table.into_inner()), spot })
        }
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().trim().replace('\n', ", ");
            let hint = match message.contains("duplicate key") {
                true => "each key and each table stands once",
                false => "strings stand in double quotes, tables are written [like.this]",
            };
            errors.report(Code::Syntax, spot(span), "this is not valid TOML", message).hint(hint);
            None
        }
    }
}

fn spot(span: std::ops::Range<usize>) -> Spot {
    let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Spot { start: clamp(span.start), end: clamp(span.end) }
}

fn from_table(table: DeTable<'_>) -> Kind {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let key_spot = spot(key.span());
            let value_spot = spot(value.span());
            let value = Node { kind: from_value(value.into_inner()), spot: value_spot };
            Entry { key: key.into_inner().into_owned(), key_spot, value }
        })
        .collect();
    // Sorted whatever map `toml` was built with.
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    Kind::Table(entries)
}

fn from_value(value: DeValue<'_>) -> Kind {
    match value {
        DeValue::String(s) => Kind::Text(s.into_owned()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Kind::Int(n),
            Err(_) => Kind::Other("a number beyond 64 bits"),
        },
        DeValue::Float(x) => match x.as_str().parse() {
            Ok(x) => Kind::Float(x),
            Err(_) => Kind::Other("a number that cannot be read"),
        },
        DeValue::Boolean(b) => Kind::Bool(b),
        DeValue::Datetime(_) => Kind::Other("a date or time"),
        DeValue::Array(list) => Kind::List(
            list.into_iter()
                .map(|v| {
                    let spot = spot(v.span());
                    Node { kind: from_value(v.into_inner()), spot }
                })
                .collect(),
        ),
        DeValue::Table(table) => from_table(table),
    }
}

/// The tree of a builder's values, and the paths its spots refer to.
pub(crate) fn from_values(table: &toml::Table) -> (Node, Vec<String>) {
    let mut paths = vec![String::new()];
    let kind = values_table(table, "", &mut paths);
    (Node { kind, spot: Spot::default() }, paths)
}

fn values_table(table: &toml::Table, path: &str, paths: &mut Vec<String>) -> Kind {
    let mut keys: Vec<&String> = table.keys().collect();
    keys.sort();
    let entries = keys
        .into_iter()
        .map(|key| {
            let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let n = u32::try_from(paths.len()).unwrap_or(u32::MAX);
            paths.push(here.clone());
            let spot = Spot { start: n, end: n };
            let kind = values_value(&table[key.as_str()], &here, paths);
            Entry { key: key.clone(), key_spot: spot, value: Node { kind, spot } }
        })
        .collect();
    Kind::Table(entries)
}

fn values_value(value: &toml::Value, path: &str, paths: &mut Vec<String>) -> Kind {
    match value {
        toml::Value::String(s) => Kind::Text(s.clone()),
        toml::Value::Integer(n) => Kind::Int(*n),
        toml::Value::Float(x) => Kind::Float(*x),
        toml::Value::Boolean(b) => Kind::Bool(*b),
        toml::Value::Datetime(_) => Kind::Other("a date or time"),
        toml::Value::Array(list) => Kind::List(
            list.iter()
                .enumerate()
                .map(|(i, v)| {
                    let here = format!("{path}[{i}]");
                    let n = u32::try_from(paths.len()).unwrap_or(u32::MAX);
                    paths.push(here.clone());
                    let kind = values_value(v, &here, paths);
                    Node { kind, spot: Spot { start: n, end: n } }
                })
                .collect(),
        ),
        toml::Value::Table(table) => values_table(table, path, paths),
    }
}
