//! The filter expressions of tcpdump and Wireshark's capture filters (pcap-filter(7)).
//!
//! 1. `lexer`: words, numbers, addresses;
//! 2. `parser`: the grammar, with qualifiers that carry over (`port 80 or 443`), which makes a `tree`;
//! 3. `primitive`: what `host`, `net`, `port`, `proto`… mean on a link type, and what is wrong with
//!    them, in libpcap's words; `arithmetic`: what `ip[8] < 5` means;
//! 4. `test`: the conditions that are left, and how a packet is asked.
//!
//! libpcap makes a program for a small machine out of the same; here the conditions are asked one
//! after the other. As there, an access behind the captured bytes rejects the packet, whatever else
//! the expression says. Expressions have at most [`LENGTH_MAX`] bytes and [`OPERATORS_MAX`]
//! operators, and nest at most [`DEPTH_MAX`] deep. Left out: 802.11, ATM, SS7, MPLS, PPPoE, Geneve, DECnet, ISO and AppleTalk primitives,
//! `gateway` and `protochain`.

mod arithmetic;
mod lexer;
mod parser;
mod primitive;
mod test;
mod tree;

use core::net::IpAddr;

pub use crate::dissect::LinkType;
use test::Test;
use tree::Tree;

/// The most bytes of an expression.
pub const LENGTH_MAX: usize = 64 * 1024;
/// How deep parentheses, `not` and operators may nest.
pub const DEPTH_MAX: u32 = 128;
/// How many `and`, `or` and arithmetic operators an expression may have.
pub const OPERATORS_MAX: u32 = 1_000;

/// Why a text is not an expression, in libpcap's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(pub String);

impl FilterError {
    fn new(text: impl Into<String>) -> FilterError {
        FilterError(text.into())
    }

    fn syntax() -> FilterError {
        FilterError::new("can't parse filter expression: syntax error")
    }
}

/// Which way a packet went, where that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It is not known: the packet comes from a file.
    #[default]
    Unknown,
    /// In.
    In,
    /// Out.
    Out,
}

/// A packet that is asked.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What was captured, link header first.
    pub bytes: &'a [u8],
    /// How long it was on the wire, bytes.
    pub len: usize,
    /// Which way it went.
    pub way: Way,
    /// The number of its interface, where it is known.
    pub ifindex: Option<u32>,
}

/// What an expression is compiled for.
pub struct Target<'a> {
    /// What packets begin with.
    pub link: LinkType,
    /// The netmask of the interface, for `ip broadcast`; `None` when it has none to speak of.
    pub netmask: Option<u32>,
    /// Packets come from an interface, not from a file: their way and interface are known.
    pub live: bool,
    /// The addresses of a name; none when it is not known.
    pub hosts: &'a dyn Fn(&str) -> Vec<IpAddr>,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("link", &self.link).finish_non_exhaustive()
    }
}

/// An expression that was read. Names in it are not looked up yet.
#[derive(Clone, Debug)]
pub struct Expression {
    tree: Option<Tree>,
}

impl Expression {
    /// Reads an expression; an empty one lets everything pass.
    ///
    /// # Errors
    /// What is wrong with it, in libpcap's words.
    pub fn parse(text: &str) -> Result<Expression, FilterError> {
        if text.len() > LENGTH_MAX {
            return Err(FilterError::new("expression is too long"));
        }
        let tokens = lexer::tokens(text)?;
        Ok(Expression { tree: parser::parse(&tokens)? })
    }

    /// The names that have to be looked up, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(tree) = &self.tree {
            tree.names(&mut names);
        }
        names
    }

    /// The conditions for a kind of capture.
    ///
    /// # Errors
    /// What cannot be asked there, and names that are not known.
    pub fn compile(&self, target: &Target<'_>) -> Result<PacketTest, FilterError> {
        let mut compiler = primitive::Compiler::new(target);
        let test = self.tree.as_ref().map(|t| compiler.tree(t)).transpose()?;
        Ok(PacketTest { test, link: target.link })
    }
}

/// Conditions that packets meet or not.
#[derive(Clone, Debug)]
pub struct PacketTest {
    test: Option<Test>,
    link: LinkType,
}

impl PacketTest {
    /// Whether a packet meets them.
    pub fn accepts(&self, packet: &View<'_>) -> bool {
        self.test.as_ref().is_none_or(|t| t.ask(packet, self.link).unwrap_or(false))
    }

    /// Whether there are none, so that every packet meets them.
    pub fn is_empty(&self) -> bool {
        self.test.is_none()
    }
}
