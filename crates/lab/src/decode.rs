//! From the tree to the raw types, keeping going after each error.
//!
//! `serde` stops at the first mistake; here a value that cannot be read is reported and left out,
//! and its neighbours are read all the same. The [`table!`] macro makes a raw type, its reader and
//! its part of the JSON Schema from one definition.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::error::{Code, Errors, Spot, shown};
use crate::tree::{Entry, Kind, Node};

/// A type that can be read from a node.
pub(crate) trait Decode: Sized {
    /// What a message says was expected: «an IPv4 address such as `10.0.0.7`».
    const EXPECTED: &'static str;

    /// The value; `None` after reporting why not.
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self>;
}

/// A value and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) spot: Spot,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Decode> Decode for At<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        Some(At { value: T::decode(node, errors)?, spot: node.spot })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A table whose keys are names that the author chose, sorted. An entry whose value could not be
/// read keeps its name, so that others may refer to it without a second error.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, Option<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<T> Named<T> {
    /// The entries that could be read.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&At<String>, &T)> {
        self.0.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }
}

impl<T: Decode> Decode for Named<T> {
    const EXPECTED: &'static str = "a table";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        let Kind::Table(entries) = &node.kind else {
            wrong_type(node, Self::EXPECTED, errors);
            return None;
        };
        let read = |e: &Entry| {
            let name = At { value: e.key.clone(), spot: e.key_spot };
            (name, T::decode(&e.value, errors))
        };
        Some(Named(entries.iter().map(read).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": value })
    }
}

impl<T: Decode> Decode for Vec<T> {
    const EXPECTED: &'static str = "a list";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            wrong_type(node, &format!("a list (each item {})", T::EXPECTED), errors);
            return None;
        };
        Some(items.iter().filter_map(|item| T::decode(item, errors)).collect())
    }
}

/// A value of which it matters that it was written, even when it could not be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried<T>(pub(crate) Option<T>);

impl<T: Decode> Decode for Tried<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        Some(Tried(T::decode(node, errors)))
    }
}

impl<T: JsonSchema> JsonSchema for Tried<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One value, or a list of them.
#[derive(Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match &node.kind {
            Kind::List(items) if items.is_empty() => {
                let message = format!("expected {}, got an empty list", T::EXPECTED);
                errors.report(Code::BadValue, node.spot, message, "at least one is needed");
                None
            }
            Kind::List(_) => Vec::decode(node, errors).map(OneOrMany),
            _ => T::decode(node, errors).map(|one| OneOrMany(vec![one])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either::<T, Vec<T>>(generator)
    }
}

/// The schema «one of two forms».
pub(crate) fn either<A: JsonSchema, B: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (a, b) = (generator.subschema_for::<A>(), generator.subschema_for::<B>());
    schemars::json_schema!({ "anyOf": [a, b] })
}

impl Decode for String {
    const EXPECTED: &'static str = "a string";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) => Some(text.clone()),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

impl Decode for bool {
    const EXPECTED: &'static str = "true or false";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match node.kind {
            Kind::Bool(b) => Some(b),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

impl Decode for i64 {
    const EXPECTED: &'static str = "an integer";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match node.kind {
            Kind::Int(n) => Some(n),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

/// Reports a value of the wrong type.
pub(crate) fn wrong_type(node: &Node, expected: &str, errors: &mut Errors) {
    let got = match &node.kind {
        Kind::Text(text) => format!("the string \"{}\"", shown(text)),
        Kind::Int(n) => format!("the integer {n}"),
        Kind::Bool(b) => format!("`{b}`"),
        other => other.name().to_owned(),
    };
    let message = format!("expected {expected}, got {got}");
    errors.report(Code::WrongType, node.spot, message, format!("this is {}", node.kind.name()));
}

/// A table being read: each known key is asked for once.
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    spot: Spot,
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// Opens a table and reports every key that is not among `known`.
    pub(crate) fn open(
        node: &'n Node,
        what: &'static str,
        known: &'static [&'static str],
        errors: &mut Errors,
    ) -> Option<Self> {
        let Kind::Table(entries) = &node.kind else {
            wrong_type(node, what, errors);
            return None;
        };
        for entry in entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
            let hint = errors.did_you_mean(&entry.key, known.iter().copied());
            let message = format!("unknown key `{}` in {what}", shown(&entry.key));
            let label = format!("expected {}", list(known));
            errors.report(Code::UnknownKey, entry.key_spot, message, label).maybe_hint(hint);
        }
        Some(Fields { entries, spot: node.spot, what })
    }

    pub(crate) fn optional<T: Decode>(&self, key: &str, errors: &mut Errors) -> Option<T> {
        let entry = self.entries.iter().find(|e| e.key == key)?;
        T::decode(&entry.value, errors)
    }

    pub(crate) fn required<T: Decode>(&self, key: &str, errors: &mut Errors) -> Option<T> {
        if !self.entries.iter().any(|e| e.key == key) {
            let message = format!("missing key `{key}` in {}", self.what);
            let label = format!("`{key}` is needed here: {}", T::EXPECTED);
            errors.report(Code::MissingKey, self.spot, message, label);
        }
        self.optional(key, errors)
    }
}

/// `a`, `b` or `c`.
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        None => "no keys".to_owned(),
        Some((one, [])) => one.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Defines a raw table: the struct, its reader and its JSON Schema.
///
/// Every field becomes an `Option`: what is missing or broken is `None`, and the error has been
/// reported when it matters.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $name:ident: $what:literal {
            required { $( $(#[$rdoc:meta])* $req:ident: $rty:ty, )* }
            optional { $( $(#[$odoc:meta])* $opt:ident: $oty:ty, )* }
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $( $(#[$rdoc])* #[schemars(required)] pub(crate) $req: Option<$rty>, )*
            $( $(#[$odoc])* pub(crate) $opt: Option<$oty>, )*
        }

        impl $crate::decode::Decode for $name {
            const EXPECTED: &'static str = $what;
            fn decode(
                node: &$crate::tree::Node,
                errors: &mut $crate::error::Errors,
            ) -> Option<Self> {
                const KNOWN: &[&str] = &[$(stringify!($req),)* $(stringify!($opt),)*];
                let fields = $crate::decode::Fields::open(node, $what, KNOWN, errors)?;
                Some($name {
                    $( $req: fields.required(stringify!($req), errors), )*
                    $( $opt: fields.optional(stringify!($opt), errors), )*
                })
            }
        }
    };
}
pub(crate) use table;
