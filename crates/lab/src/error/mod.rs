//! What is wrong with a lab file, said with file, line, column, the token, what was expected, what
//! was got and what to do.
//!
//! All errors of a file are collected (up to [`MAX_ERRORS`]); only a syntax error, a file that is
//! too large and an unsupported version stop at once. A lab made by [`LabBuilder`](crate::LabBuilder)
//! has no text: there each error names the path of its key (`hosts.web.networks.home`).

mod render;

use std::fmt;

use serde::Serialize;

/// Errors kept for one file; further ones are only counted.
pub const MAX_ERRORS: usize = 100;

/// Where a token stands: a byte range of the text, or, for a built lab, the number of its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What kind of mistake it is. Scripts and tests match on this, people read the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// The text is not TOML.
    Syntax,
    /// A documented limit is passed (size of the file, number of hosts, length of a name…).
    Limit,
    /// `version` is missing or not supported.
    Version,
    /// A key that the format does not have.
    UnknownKey,
    /// A key that must be there and is not.
    MissingKey,
    /// A value of the wrong type.
    WrongType,
    /// A value of the right type that cannot be read (a bad address, rate, probability…).
    BadValue,
    /// A name with characters that names cannot have, or a reserved one.
    BadName,
    /// Two hosts, switches or networks with the same name.
    NameClash,
    /// A network that does not exist.
    UnknownNetwork,
    /// A switch that does not exist, or one of another network.
    UnknownSwitch,
    /// A setting of a switch on a hub, or one that its ports cannot have.
    NotASwitch,
    /// Switches whose uplinks lead back to themselves.
    UplinkCycle,
    /// A host that does not exist.
    UnknownHost,
    /// A group that does not exist.
    UnknownGroup,
    /// A wire that does not exist.
    UnknownLink,
    /// Two networks whose subnets share addresses.
    SubnetOverlap,
    /// An address that is not in its network's subnet.
    OutsideSubnet,
    /// The subnet's own address, its broadcast address, or one that no host can have.
    ReservedAddress,
    /// An address given to two interfaces.
    DuplicateAddress,
    /// A network with more interfaces than addresses.
    NoFreeAddress,
    /// A MAC address given to two interfaces of one network.
    DuplicateMac,
    /// A host on no network.
    NoNetworks,
    /// A router's setting on a host that does not route.
    NotRouter,
    /// `nat` whose inside or outside is not a network of the router, or both the same.
    NatNetworks,
    /// A forward to an address that is not inside.
    ForwardTarget,
    /// Two forwards of the same outside port.
    DuplicateForward,
    /// A published port without anything to send from.
    NoGateway,
    /// A published port whose target no host has.
    PublishTarget,
    /// Two published ports that listen at the same place.
    DuplicateListen,
    /// An attached server that is not on a loopback address.
    NotLoopback,
    /// A firewall rule without exactly one of `allow`, `drop`, `reject`.
    BadRule,
    /// A route whose next hop cannot be reached directly, or that is given twice.
    BadRoute,
    /// A command that cannot be split into words.
    BadCommand,
    /// A program that does not exist.
    UnknownProgram,
    /// A document root that is not a folder of the lab.
    MissingRoot,
}

impl Code {
    /// The code as scripts see it: `duplicate-address`.
    pub fn as_str(self) -> String {
        let mut out = String::new();
        for (i, c) in format!("{self:?}").chars().enumerate() {
            if c.is_ascii_uppercase() && i > 0 {
                out.push('-');
            }
            out.push(c.to_ascii_lowercase());
        }
        out
    }
}

/// Where an error is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In a text, both from 1; the column counts characters.
    Text {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// In a built lab: the path of the key.
    Key(String),
}

/// One mistake.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LabError {
    /// Its kind.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// What the marked token is, or what was expected there.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where.
    pub place: Place,
    #[serde(skip)]
    spot: Spot,
    #[serde(skip)]
    related: Vec<(Spot, String)>,
}

/// What the spots of the errors refer to.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Byte ranges of this text.
    Text(String),
    /// Numbers of these paths.
    Paths(Vec<String>),
}

/// All mistakes of a lab file, in the order of their places.
#[derive(Clone, Debug)]
pub struct LabErrors {
    file: String,
    origin: Origin,
    errors: Vec<LabError>,
    more: usize,
}

impl LabErrors {
    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The errors, in the order of their places; never empty.
    pub fn errors(&self) -> &[LabError] {
        &self.errors
    }

    /// How many errors were found beyond the [`MAX_ERRORS`] that are kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// The errors as pictures of the text, with a blank line between them, coloured (ANSI) or not.
    pub fn render(&self, colour: bool) -> String {
        render::render(self, colour)
    }
}

impl fmt::Display for LabErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for LabErrors {}

/// An error that is being written: `report(…).label(…).hint(…)`.
pub(crate) struct Draft<'a>(&'a mut LabError);

impl Draft<'_> {
    /// Says what to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says what to do, when there is something to say.
    pub(crate) fn maybe_hint(self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    /// Points at a second place.
    pub(crate) fn also(self, spot: Spot, label: impl Into<String>) -> Self {
        self.0.related.push((spot, label.into()));
        self
    }
}

/// Collects errors while a file is read.
#[derive(Debug)]
pub(crate) struct Errors {
    list: Vec<LabError>,
    more: usize,
    spare: LabError,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Errors { list: Vec::new(), more: 0, spare: blank(Code::Limit, Spot::default()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Records an error; beyond the limit it is only counted.
    pub(crate) fn report(
        &mut self,
        code: Code,
        spot: Spot,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Draft<'_> {
        let mut error = blank(code, spot);
        error.message = message.into();
        error.label = label.into();
        if !self.is_full() {
            self.list.push(error);
            let last = self.list.len() - 1;
            Draft(&mut self.list[last])
        } else {
            self.more += 1;
            self.spare = error;
            Draft(&mut self.spare)
        }
    }

    /// Whether further errors are only counted: then their hints need no work.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_ERRORS
    }

    /// [`did_you_mean`] for names of the lab, with bounded work: only while errors are still kept,
    /// and among the first 2,000 names.
    pub(crate) fn did_you_mean<'k>(
        &self,
        word: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Option<String> {
        (!self.is_full()).then(|| did_you_mean(word, known.into_iter().take(2_000))).flatten()
    }

    /// Closes the collection: resolves every spot to a line and column, or to a path.
    pub(crate) fn finish(mut self, file: &str, origin: Origin) -> LabErrors {
        self.list.sort_by_key(|e| (e.spot, e.code));
        for error in &mut self.list {
            error.place = place_of(&origin, error.spot);
        }
        LabErrors { file: file.to_owned(), origin, errors: self.list, more: self.more }
    }
}

fn blank(code: Code, spot: Spot) -> LabError {
    LabError {
        code,
        message: String::new(),
        label: String::new(),
        hint: None,
        place: Place::Key(String::new()),
        spot,
        related: Vec::new(),
    }
}

fn place_of(origin: &Origin, spot: Spot) -> Place {
    match origin {
        Origin::Text(text) => {
            let mut at = (spot.start as usize).min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let before = &text[..at];
            let line_start = before.rfind('\n').map_or(0, |i| i + 1);
            let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
            Place::Text { line, column: before[line_start..].chars().count() + 1 }
        }
        Origin::Paths(paths) => {
            Place::Key(paths.get(spot.start as usize).cloned().unwrap_or_default())
        }
    }
}

/// Two places, the later one first: of two that clash, the later one is the mistake.
pub(crate) fn later_first<T>(a: (Spot, T), b: (Spot, T)) -> ((Spot, T), (Spot, T)) {
    if a.0 > b.0 { (a, b) } else { (b, a) }
}

/// The nearest of `known` to `word`, as a hint, when it is near enough to be meant.
pub(crate) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    // Longer words are never near a known one, and comparing them would cost their square.
    if word.len() > 64 {
        return None;
    }
    let folded = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&folded, &k.to_ascii_lowercase()), k))
        .filter(|&(distance, k)| distance <= (k.len().max(word.len()) / 3).max(1))
        .min()
        .map(|(_, k)| format!("did you mean `{k}`?"))
}

/// A text as it stands in a message: short, without control characters.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    // `escape_debug` also escapes quotes, which need no escape between backquotes.
    out = out.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}
