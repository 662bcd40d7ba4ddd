//! The command line of iptables, read as the original reads it: options of matches and targets exist
//! only once their `-m`, `-p` or `-j` was read.

use netarium_base::IfIndex;
use netarium_filter::{
    Cidr, FlagTest, Interfaces, Is, Match, Module, Mss, PortSide, Table, Target,
};
use netarium_wire::protocol;

use super::names;
use super::options::{GLOBAL, Opt, Takes, long_name, options_for, options_of};
use super::show::Layout;
use super::values::{dashed, list, nat_to, nets, number, ports, target};

/// Why nothing is done, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The command line is wrong: 2.
    Usage(String),
    /// What it asks for is not possible: 1.
    Failed(String),
    /// The kernel would not take it: 4.
    Kernel(String),
    /// There is no such table: 3.
    Table(String),
}

/// A wrong command line.
pub(super) fn usage<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Usage(text.into()))
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Append,
    Check,
    Delete,
    Insert,
    Replace,
    List,
    ListRules,
    Flush,
    Zero,
    New,
    DeleteChain,
    Rename,
    Policy,
    Version,
    Help,
}

/// A command line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) verb: Verb,
    pub(super) table: Table,
    pub(super) chain: Option<String>,
    /// A rule number from 1, a policy or a new name.
    pub(super) word: Option<String>,
    pub(super) number: Option<usize>,
    pub(super) layout: Layout,
    /// The rules: several for lists of addresses.
    pub(super) specs: Vec<(Match, Target)>,
    /// Whether anything of a rule was said.
    pub(super) has_spec: bool,
}

/// Reads a command line; `ifaces` are the host's interfaces.
pub(super) fn parse(args: &[String], ifaces: &[(String, IfIndex)]) -> Result<Line, Refusal> {
    let reader = Reader {
        words: args,
        at: 0,
        ifaces,
        not: false,
        verb: None,
        line: Line {
            verb: Verb::Help,
            table: Table::Filter,
            chain: None,
            word: None,
            number: None,
            layout: Layout::default(),
            specs: Vec::new(),
            has_spec: false,
        },
        matches: Match::default(),
        target: None,
        nat_given: false,
        mss_given: false,
        sources: Vec::new(),
        destinations: Vec::new(),
    };
    reader.read()
}

/// Addresses of `-s` or `-d`.
pub(super) type Nets = Vec<Is<Cidr>>;

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    ifaces: &'a [(String, IfIndex)],
    /// A `!` was read.
    not: bool,
    verb: Option<(Verb, char)>,
    line: Line,
    matches: Match,
    target: Option<Target>,
    nat_given: bool,
    mss_given: bool,
    sources: Nets,
    destinations: Nets,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Line, Refusal> {
        while let Some(word) = self.words.get(self.at) {
            let word = word.as_str();
            self.at += 1;
            if word == "!" {
                if self.not {
                    return usage("multiple consecutive ! not allowed");
                }
                self.not = true;
            } else if let Some(long) = word.strip_prefix("--").filter(|l| !l.is_empty()) {
                self.long(long)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.shorts(&word[1..])?;
            } else {
                return Err(Refusal::Usage(format!("\u{1}Bad argument `{word}'")));
            }
        }
        self.finish()
    }

    fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at)?.clone();
        self.at += 1;
        Some(word)
    }

    /// The next word when it is no option.
    fn operand(&mut self) -> Option<String> {
        let word = self.words.get(self.at)?;
        (!word.starts_with('-') && word != "!").then(|| self.next()).flatten()
    }

    fn shorts(&mut self, cluster: &str) -> Result<(), Refusal> {
        let mut rest = cluster.chars();
        while let Some(c) = rest.next() {
            let found = GLOBAL.iter().find(|o| o.short == c && c != '0');
            let Some(o) = found else { return usage(format!("unknown option \"-{cluster}\"")) };
            let value = match o.takes {
                Takes::Nothing => String::new(),
                Takes::One if !rest.as_str().is_empty() => rest.by_ref().collect(),
                Takes::One => self.next().ok_or_else(|| {
                    Refusal::Usage(format!("option \"-{c}\" requires an argument"))
                })?,
                Takes::Perhaps if !rest.as_str().is_empty() => rest.by_ref().collect(),
                Takes::Perhaps => self.operand().unwrap_or_default(),
            };
            self.global(c, value)?;
        }
        Ok(())
    }

    fn long(&mut self, text: &str) -> Result<(), Refusal> {
        let (name, given) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let unknown = || Refusal::Usage(format!("unknown option \"--{name}\""));
        let o = match self.find(name) {
            Some(o) => o,
            None => {
                self.load_protocol();
                self.find(name).ok_or_else(unknown)?
            }
        };
        let value = match o.takes {
            Takes::Nothing => String::new(),
            Takes::One => given.or_else(|| self.next()).ok_or_else(|| {
                Refusal::Usage(format!("option \"--{name}\" requires an argument"))
            })?,
            Takes::Perhaps => given.or_else(|| self.operand()).unwrap_or_default(),
        };
        match o.short {
            '\0' => self.extension(o.long, value),
            short => self.global(short, value),
        }
    }

    /// The option of this name, or the only one that begins so.
    fn find(&self, name: &str) -> Option<Opt> {
        let target = self.target.as_ref().map(options_for).unwrap_or_default();
        let modules = self.matches.layout.0.iter().flat_map(|&m| options_of(m));
        let all = || modules.clone().flatten().chain(target).chain(GLOBAL).copied();
        if let Some(exact) = all().find(|o| o.long == name) {
            return Some(exact);
        }
        let mut hits = all().filter(|o| o.long.starts_with(name));
        let first = hits.next()?;
        hits.all(|o| o == first || (o.short != '\0' && o.short == first.short)).then_some(first)
    }

    /// Makes the options of the protocol known, as if `-m` had been given.
    fn load_protocol(&mut self) {
        let module = match self.matches.protocol.filter(|p| !p.not).map(|p| p.value) {
            Some(protocol::TCP) => Module::Tcp,
            Some(protocol::UDP) => Module::Udp,
            Some(protocol::ICMP) => Module::Icmp,
            _ => return,
        };
        if !self.matches.layout.0.contains(&module) {
            self.matches.layout.0.push(module);
        }
    }

    fn global(&mut self, c: char, value: String) -> Result<(), Refusal> {
        let not = core::mem::take(&mut self.not);
        if not && !matches!(c, 's' | 'd' | 'p' | 'i' | 'o') {
            return usage(format!("unexpected ! flag before --{}", long_name(c)));
        }
        if "sdpiojgm".contains(c) {
            self.line.has_spec = true;
        }
        match c {
            's' => self.sources = nets(&value, not)?,
            'd' => self.destinations = nets(&value, not)?,
            'p' => {
                let Some(number) = names::protocol(&value) else {
                    return usage(format!("unknown protocol \"{value}\" specified"));
                };
                self.matches.protocol = number.map(|value| Is { value, not });
            }
            'i' => self.matches.input = Some(self.interface(&value, not)?),
            'o' => self.matches.output = Some(self.interface(&value, not)?),
            'm' => self.module(&value)?,
            'j' => self.target = Some(target(&value)),
            'g' => self.target = Some(Target::Goto(value.into())),
            't' => {
                self.line.table = match value.as_str() {
                    "filter" => Table::Filter,
                    "nat" => Table::Nat,
                    "mangle" => Table::Mangle,
                    _ => return Err(Refusal::Table(value)),
                };
            }
            'n' => self.line.layout.numeric = true,
            'v' => self.line.layout.verbose = true,
            'x' => self.line.layout.exact = true,
            '0' => self.line.layout.numbers = true,
            'w' | '4' => {}
            _ => self.command(c, value)?,
        }
        Ok(())
    }

    fn command(&mut self, c: char, value: String) -> Result<(), Refusal> {
        let verb = match c {
            'A' => Verb::Append,
            'C' => Verb::Check,
            'D' => Verb::Delete,
            'I' => Verb::Insert,
            'R' => Verb::Replace,
            'L' => Verb::List,
            'S' => Verb::ListRules,
            'F' => Verb::Flush,
            'Z' => Verb::Zero,
            'N' => Verb::New,
            'X' => Verb::DeleteChain,
            'E' => Verb::Rename,
            'P' => Verb::Policy,
            'V' => Verb::Version,
            _ => Verb::Help,
        };
        match self.verb {
            // Listing and then setting to zero is one command.
            Some((Verb::List | Verb::ListRules, _)) if verb == Verb::Zero => {}
            Some((_, before)) => return usage(format!("Cannot use -{c} with -{before}")),
            None => self.verb = Some((verb, c)),
        }
        self.line.chain = (!value.is_empty()).then_some(value);
        match verb {
            Verb::Insert | Verb::Delete | Verb::List | Verb::ListRules | Verb::Zero
                if self.line.chain.is_some() =>
            {
                self.line.number = self.operand().map(|w| number(&w)).transpose()?;
            }
            Verb::Replace => {
                let Some(word) = self.operand() else {
                    return usage("-R requires a rule number");
                };
                self.line.number = Some(number(&word)?);
            }
            Verb::Policy => {
                self.line.word = self.operand();
                if self.line.word.is_none() {
                    return usage("-P requires a chain and a policy");
                }
            }
            Verb::Rename => {
                self.line.word = self.operand();
                if self.line.word.is_none() {
                    return usage("-E requires old-chain-name and new-chain-name");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn interface(&self, name: &str, not: bool) -> Result<Is<Interfaces>, Refusal> {
        if name.is_empty() {
            return usage("Empty interface is likely to be undesired");
        }
        if name.len() > 15 {
            let text = format!("interface name `{name}' must be shorter than IFNAMSIZ (15)");
            return usage(text);
        }
        let fits = |own: &str| match name.strip_suffix('+') {
            Some(start) => own.starts_with(start),
            None => own == name,
        };
        let indices = self.ifaces.iter().filter(|(own, _)| fits(own)).map(|(_, index)| *index);
        Ok(Is { value: Interfaces::named(name.into(), indices), not })
    }

    fn module(&mut self, name: &str) -> Result<(), Refusal> {
        let module = match name {
            "tcp" => Module::Tcp,
            "udp" => Module::Udp,
            "icmp" => Module::Icmp,
            "conntrack" => Module::Conntrack,
            "state" => Module::State,
            "multiport" => Module::Multiport,
            "comment" => Module::Comment,
            _ => {
                let text = format!("Couldn't load match `{name}':No such file or directory\n");
                return usage(text);
            }
        };
        let known = self.matches.layout.0.contains(&module);
        if !known || module == Module::Multiport {
            self.matches.layout.0.push(module);
        }
        Ok(())
    }

    fn extension(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        let not = core::mem::take(&mut self.not);
        self.line.has_spec = true;
        let m = &mut self.matches;
        match name {
            "sport" | "source-port" => m.source_ports = Some(Is { value: ports(&value)?, not }),
            "dport" | "destination-port" => {
                m.destination_ports = Some(Is { value: ports(&value)?, not });
            }
            "syn" => m.tcp_flags = Some(Is { value: FlagTest::syn(), not }),
            "tcp-flags" => {
                let Some(set) = self.next() else {
                    return usage("--tcp-flags requires two args.\n");
                };
                let read = |list: &str| {
                    let unknown = |word| format!("Unknown TCP flag `{word}'");
                    names::flags(list).map_err(|word| Refusal::Usage(unknown(word)))
                };
                let value = FlagTest { mask: read(&value)?, set: read(&set)? };
                self.matches.tcp_flags = Some(Is { value, not });
            }
            "icmp-type" => match names::icmp(&value) {
                Some(value) => m.icmp = Some(Is { value, not }),
                None => return usage(format!("Unknown ICMP type `{value}'")),
            },
            "ctstate" | "state" => match names::states(&value) {
                Ok(value) => m.states = Some(Is { value, not }),
                Err(word) => return usage(format!("Bad {name} \"{word}\"")),
            },
            "comment" => m.comment = Some(value.chars().take(255).collect::<String>().into()),
            "sports" | "source-ports" => m.multiport.push(list(PortSide::Source, &value, not)?),
            "dports" | "destination-ports" => {
                m.multiport.push(list(PortSide::Destination, &value, not)?);
            }
            "ports" => m.multiport.push(list(PortSide::Either, &value, not)?),
            _ => return self.target_option(name, &value),
        }
        Ok(())
    }

    fn target_option(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        self.nat_given = true;
        match (&mut self.target, name) {
            (Some(Target::Reject(how)), _) => match names::reject(value) {
                Some(found) => *how = found,
                None => return usage(format!("unknown reject type \"{value}\"")),
            },
            (Some(Target::Log(log)), "log-prefix") => {
                let fits = |n: &usize| value.is_char_boundary(*n);
                let end = (0..=value.len().min(29)).rev().find(fits).unwrap_or(0);
                log.prefix = value[..end].into();
            }
            (Some(Target::Log(log)), _) => match names::level(value) {
                Some(level) => log.level = level,
                None => return usage(format!("log level \"{value}\" unknown\n")),
            },
            (Some(Target::Dnat(to)), _) => *to = nat_to(value, true)?,
            (Some(Target::Snat(to)), _) => *to = nat_to(value, false)?,
            (Some(Target::Masquerade(ports) | Target::Redirect(ports)), _) => {
                *ports = Some(dashed(value)?);
            }
            (Some(Target::TcpMss(mss)), "set-mss") => {
                match value.parse().ok().filter(|n| *n <= 65_515) {
                    Some(size) => *mss = Mss::Set(size),
                    None => return usage(MSS_BAD),
                }
                self.mss_given = true;
            }
            (Some(Target::TcpMss(mss)), _) => {
                *mss = Mss::ClampToPmtu;
                self.mss_given = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Line, Refusal> {
        let Some((verb, c)) = self.verb else { return usage("no command specified") };
        if self.not {
            return usage("nothing appropriate following !");
        }
        self.line.verb = verb;
        let takes_rule = matches!(
            verb,
            Verb::Append | Verb::Check | Verb::Delete | Verb::Insert | Verb::Replace
        );
        if takes_rule && !(verb == Verb::Delete && self.line.number.is_some()) {
            self.check_rule()?;
            self.line.specs = self.specs();
            if matches!(verb, Verb::Replace) && self.line.specs.len() > 1 {
                return usage("Replacement rule does not specify a unique address");
            }
        } else if self.line.has_spec {
            let shorts = "sdpioj".chars();
            let given =
                shorts.into_iter().find(|s| self.words.iter().any(|w| *w == format!("-{s}")));
            let option = given.unwrap_or('m');
            return usage(format!("Illegal option `-{option}' with -{c} command"));
        }
        Ok(self.line)
    }

    fn check_rule(&self) -> Result<(), Refusal> {
        let chain = self.line.chain.as_deref().unwrap_or_default();
        let with = |option: &str| usage(format!("Can't use {option} with {chain}\n"));
        if self.matches.input.is_some() && matches!(chain, "OUTPUT" | "POSTROUTING") {
            return with("-i");
        }
        if self.matches.output.is_some() && matches!(chain, "INPUT" | "PREROUTING") {
            return with("-o");
        }
        let m = &self.matches;
        for module in &m.layout.0 {
            let (option, missing) = match module {
                Module::Conntrack => {
                    ("conntrack: At least one option is required", m.states.is_none())
                }
                Module::State => {
                    ("state: option \"--state\" must be specified\n", m.states.is_none())
                }
                Module::Icmp => {
                    ("icmp: option \"--icmp-type\" must be specified\n", m.icmp.is_none())
                }
                Module::Multiport => ("multiport expection an option", m.multiport.is_empty()),
                Module::Comment => {
                    ("comment: option \"--comment\" must be specified\n", m.comment.is_none())
                }
                _ => ("", false),
            };
            if missing {
                return usage(option);
            }
        }
        match &self.target {
            Some(Target::Dnat(_)) if !self.nat_given => {
                usage("DNAT: option \"--to-destination\" must be specified\n")
            }
            Some(Target::Snat(_)) if !self.nat_given => {
                usage("SNAT: option \"--to-source\" must be specified\n")
            }
            Some(Target::TcpMss(_)) if !self.mss_given => usage(MSS_NONE),
            Some(Target::Drop) if self.line.table == Table::Nat => usage(NAT_DROP),
            _ => self.check_ports(),
        }
    }

    fn check_ports(&self) -> Result<(), Refusal> {
        let protocol = self.matches.protocol.filter(|p| !p.not).map(|p| p.value);
        let has_ports = matches!(protocol, Some(protocol::TCP | protocol::UDP));
        let wanted = match &self.target {
            Some(Target::Dnat(to) | Target::Snat(to)) => to.ports.is_some(),
            Some(Target::Masquerade(ports) | Target::Redirect(ports)) => ports.is_some(),
            _ => false,
        };
        if !self.matches.multiport.is_empty() && !has_ports {
            return usage("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
        }
        if wanted && !has_ports {
            return usage("Need TCP, UDP, SCTP or DCCP with port specification");
        }
        Ok(())
    }

    /// A rule for each pair of addresses.
    fn specs(&mut self) -> Vec<(Match, Target)> {
        let target = self.target.clone().unwrap_or(Target::Continue);
        let some = |nets: &Nets| match nets.as_slice() {
            [] => vec![None],
            all => all.iter().copied().map(Some).collect::<Vec<_>>(),
        };
        let mut all = Vec::new();
        for source in some(&self.sources) {
            for destination in some(&self.destinations) {
                let whole = |n: &Is<Cidr>| n.value.prefix() > 0 || n.not;
                let matches = Match {
                    source: source.filter(whole),
                    destination: destination.filter(whole),
                    ..self.matches.clone()
                };
                all.push((matches, target.clone()));
            }
        }
        all
    }
}

/// What iptables says about TCPMSS without options, or with a wrong size.
const MSS_NONE: &str = "TCPMSS target: At least one parameter is required";
const MSS_BAD: &str = "TCPMSS: bad value for option \"--set-mss\", or out of range (0-65515).\n";

/// What iptables says about DROP in the table `nat`.
pub(super) const NAT_DROP: &str = "\nThe \"nat\" table is not intended for filtering, \
                                   the use of DROP is therefore inhibited.\n\n";
