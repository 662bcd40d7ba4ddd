//! `netsh advfirewall`: the host's firewall in the words of Windows.
//!
//! `firewall add|delete|show rule` and `show|set allprofiles|currentprofile|…profile`. The rules are
//! those of the chains INPUT and OUTPUT: what is said here is seen by `iptables`, and the other way
//! round, except for rules that are switched off.

use core::net::IpAddr;
use std::collections::BTreeMap;

use netarium_filter::{
    Chain, Cidr, Filter, Is, Match, PortRange, PortSide, Ports, Profiles, Rule, Target,
};
use netarium_stack::Stack;
use netarium_wire::protocol;
use netarium_world::process::{LocalBoxFuture, Process};

/// What is said, and the exit code: 1 for everything that was not done.
type Said = (String, i32);

const RULE: &str = "----------------------------------------------------------------------\n";
const OK: &str = "Ok.\n\n";
const NO_RULES: &str = "\nNo rules match the specified criteria.\n\n";
const PROFILES: [(Profiles, &str); 3] =
    [(Profiles::DOMAIN, "Domain"), (Profiles::PRIVATE, "Private"), (Profiles::PUBLIC, "Public")];

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args().get(1..).unwrap_or_default().to_vec();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let (text, code) = process.with_stack(|stack, _| run(stack, &words));
        process.print(&text).await;
        code
    })
}

fn run(stack: &mut Stack, words: &[&str]) -> Said {
    let lower: Vec<String> = words.iter().map(|w| w.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let done = match lower.as_slice() {
        ["advfirewall", "firewall", verb, "rule", ..] => {
            settings(&words[4..]).and_then(|said| match *verb {
                "add" => add(stack, &said),
                "delete" => delete(stack, &said),
                "show" => show(stack, &said),
                _ => Err(not_found(words)),
            })
        }
        ["advfirewall", "show", profile, rest @ ..] => show_profiles(stack, profile, rest),
        ["advfirewall", "set", profile, rest @ ..] => set_profiles(stack, profile, rest),
        _ => Err(not_found(words)),
    };
    match done {
        Ok(text) => (text, 0),
        Err(text) => (text, 1),
    }
}

fn not_found(words: &[&str]) -> String {
    format!("The following command was not found: {}.\n", words.join(" "))
}

fn syntax(what: &str) -> String {
    format!("\nA specified value is not valid.\n\n{what}\n\n")
}

/// `name=value` words; keys in lower case.
type Settings<'a> = BTreeMap<String, &'a str>;

fn settings<'a>(words: &[&'a str]) -> Result<Settings<'a>, String> {
    let known = [
        "name",
        "dir",
        "action",
        "protocol",
        "localport",
        "remoteport",
        "remoteip",
        "localip",
        "enable",
        "profile",
        "program",
        "description",
        "verbose",
    ];
    let pair = |word: &&'a str| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let key = key.to_ascii_lowercase();
        let valid = known.contains(&key.as_str());
        valid.then_some((key, value)).ok_or_else(|| {
            format!("\n{word} is not an acceptable value for this command's tags.\n\n")
        })
    };
    words.iter().map(pair).collect()
}

/// What a rule says, in words that are shown and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    chain: Chain,
    enabled: bool,
    profiles: Profiles,
    local_ip: Option<Cidr>,
    remote_ip: Option<Cidr>,
    protocol: Option<u8>,
    local_port: Vec<PortRange>,
    remote_port: Vec<PortRange>,
    allow: bool,
}

fn add(stack: &mut Stack, said: &Settings<'_>) -> Result<String, String> {
    let name = said.get("name").filter(|n| !n.is_empty());
    let name = name.ok_or_else(|| syntax("A rule needs name=, dir= and action=."))?;
    if name.eq_ignore_ascii_case("all") {
        return Err(syntax("A rule cannot be called `all'."));
    }
    let rule = named(said)?;
    let matches = rule.matches();
    let target = if rule.allow { Target::Accept } else { Target::Drop };
    let made = Rule::new(matches, target, (*name).into()).map_err(|e| syntax(&format!("{e}.")))?;
    let made = made.scoped(rule.enabled, rule.profiles);
    let filter = stack.filter_or_new();
    if filter.rules(Chain::Input).count() == 0 && !filter.denies_inbound() {
        filter.host_firewall(Vec::new()).map_err(|e| syntax(&e.to_string()))?;
    }
    filter.add_host_rule(rule.chain, made).map_err(|e| syntax(&format!("{e}.")))?;
    Ok(OK.to_owned())
}

fn named(said: &Settings<'_>) -> Result<Named, String> {
    let word = |key: &str| said.get(key).map(|v| v.to_ascii_lowercase());
    let chain = match word("dir").as_deref() {
        Some("in") => Chain::Input,
        Some("out") => Chain::Output,
        _ => return Err(syntax("A rule needs dir=in or dir=out.")),
    };
    let allow = match word("action").as_deref() {
        Some("allow") => true,
        Some("block") => false,
        _ => return Err(syntax("A rule needs action=allow or action=block.")),
    };
    let protocol = match word("protocol").as_deref() {
        None | Some("any") => None,
        Some("tcp") => Some(protocol::TCP),
        Some("udp") => Some(protocol::UDP),
        Some("icmpv4") => Some(protocol::ICMP),
        Some(other) => Some(other.parse().map_err(|_| syntax("protocol= is not known."))?),
    };
    let enabled = match word("enable").as_deref() {
        None | Some("yes") => true,
        Some("no") => false,
        _ => return Err(syntax("enable= is yes or no.")),
    };
    Ok(Named {
        chain,
        enabled,
        profiles: profiles(said.get("profile").unwrap_or(&"any"))?,
        local_ip: address(said.get("localip"))?,
        remote_ip: address(said.get("remoteip"))?,
        protocol,
        local_port: ports(said.get("localport"))?,
        remote_port: ports(said.get("remoteport"))?,
        allow,
    })
}

fn profiles(words: &str) -> Result<Profiles, String> {
    let one = |word: &str| match word.to_ascii_lowercase().as_str() {
        "any" => Ok(Profiles::all()),
        "domain" => Ok(Profiles::DOMAIN),
        "private" => Ok(Profiles::PRIVATE),
        "public" => Ok(Profiles::PUBLIC),
        _ => Err(syntax("profile= is any, or some of domain,private,public.")),
    };
    words.split(',').map(one).try_fold(Profiles::empty(), |all, p| Ok(all | p?))
}

fn address(word: Option<&&str>) -> Result<Option<Cidr>, String> {
    let Some(word) = word.filter(|w| !w.eq_ignore_ascii_case("any")) else { return Ok(None) };
    let net = match word.contains('/') {
        true => word.parse::<Cidr>().ok().map(|net| net.network()),
        false => word.parse::<IpAddr>().ok().map(Cidr::host),
    };
    let net = net.filter(|net| net.address().is_ipv4());
    net.map(Some).ok_or_else(|| syntax("An address is any, an IPv4 address, or a network."))
}

/// `80`, `80,443`, `5000-5010`; empty for any.
fn ports(words: Option<&&str>) -> Result<Vec<PortRange>, String> {
    let Some(words) = words.filter(|w| !w.eq_ignore_ascii_case("any")) else {
        return Ok(Vec::new());
    };
    let one = |word: &str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        PortRange::new(first.parse().ok()?, last.parse().ok()?)
    };
    let all: Option<Vec<_>> = words.split(',').map(one).collect();
    all.ok_or_else(|| syntax("A port is any, a number, a range, or a list of these."))
}

impl Named {
    fn inbound(&self) -> bool {
        self.chain == Chain::Input
    }

    fn matches(&self) -> Match {
        let (source, destination) = match self.inbound() {
            true => (self.remote_ip, self.local_ip),
            false => (self.local_ip, self.remote_ip),
        };
        let mut m = Match {
            protocol: self.protocol.map(Is::from),
            source: source.map(Is::from),
            destination: destination.map(Is::from),
            ..Match::default()
        };
        for (ranges, local) in [(&self.local_port, true), (&self.remote_port, false)] {
            let to_destination = local == self.inbound();
            let side = if to_destination { PortSide::Destination } else { PortSide::Source };
            match ranges.as_slice() {
                [] => {}
                [one] if to_destination => m.destination_ports = Some((*one).into()),
                [one] => m.source_ports = Some((*one).into()),
                several => {
                    m.multiport.push(Ports { side, ranges: several.to_vec(), not: false });
                }
            }
        }
        m
    }

    /// The words of a rule of a chain; `None` for one that has none here.
    fn of(chain: Chain, rule: &Rule) -> Option<Named> {
        let m = rule.matches();
        let inbound = chain == Chain::Input;
        let net = |n: Option<Is<Cidr>>| n.map(|n| n.value);
        let ports = |side: PortSide| {
            let single = match side {
                PortSide::Source => m.source_ports,
                _ => m.destination_ports,
            };
            let list = m.multiport.iter().find(|p| p.side == side);
            let list = list.map(|p| p.ranges.clone());
            single.map(|p| vec![p.value]).or(list).unwrap_or_default()
        };
        let (near, far) = match inbound {
            true => (PortSide::Destination, PortSide::Source),
            false => (PortSide::Source, PortSide::Destination),
        };
        let named = Named {
            chain,
            enabled: rule.enabled(),
            profiles: rule.profiles(),
            local_ip: net(if inbound { m.destination } else { m.source }),
            remote_ip: net(if inbound { m.source } else { m.destination }),
            protocol: m.protocol.map(|p| p.value),
            local_port: ports(near),
            remote_port: ports(far),
            allow: *rule.target() == Target::Accept,
        };
        let decides = matches!(rule.target(), Target::Accept | Target::Drop);
        (decides && named.matches() == *m).then_some(named)
    }

    fn text(&self, name: &str) -> String {
        let profiles = PROFILES.iter().filter(|p| self.profiles.contains(p.0)).map(|p| p.1);
        let ip = |net: Option<Cidr>| net.map_or("Any".to_owned(), |net| net.to_string());
        let yes = |b: bool| if b { "Yes" } else { "No" }.to_owned();
        let mut rows = vec![
            ("Rule Name", name.to_owned()),
            ("", String::new()),
            ("Enabled", yes(self.enabled)),
            ("Direction", if self.inbound() { "In" } else { "Out" }.to_owned()),
            ("Profiles", profiles.collect::<Vec<_>>().join(",")),
            ("Grouping", String::new()),
            ("LocalIP", ip(self.local_ip)),
            ("RemoteIP", ip(self.remote_ip)),
            ("Protocol", protocol_name(self.protocol)),
        ];
        if matches!(self.protocol, Some(protocol::TCP | protocol::UDP)) {
            rows.push(("LocalPort", port_list(&self.local_port)));
            rows.push(("RemotePort", port_list(&self.remote_port)));
        }
        rows.push(("Edge traversal", "No".to_owned()));
        rows.push(("Action", if self.allow { "Allow" } else { "Block" }.to_owned()));
        let row = |(key, value): (&str, String)| match key {
            "" => RULE.to_owned(),
            _ => format!("{:<38}{value}\n", format!("{key}:")),
        };
        rows.into_iter().map(row).collect()
    }
}

fn protocol_name(number: Option<u8>) -> String {
    match number {
        None => "Any".to_owned(),
        Some(protocol::TCP) => "TCP".to_owned(),
        Some(protocol::UDP) => "UDP".to_owned(),
        Some(protocol::ICMP) => "ICMPv4".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn port_list(ranges: &[PortRange]) -> String {
    let one = |r: &PortRange| match r.count() {
        1 => r.first().to_string(),
        _ => format!("{}-{}", r.first(), r.last()),
    };
    if ranges.is_empty() {
        return "Any".to_owned();
    }
    ranges.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The rules that the words mean: chain, place in it, name and words.
fn chosen(
    filter: &Filter,
    said: &Settings<'_>,
) -> Result<Vec<(Chain, usize, String, Named)>, String> {
    let name =
        said.get("name").ok_or_else(|| syntax("name= is missing; name=all is all rules."))?;
    let mut all = Vec::new();
    for chain in [Chain::Input, Chain::Output] {
        for (at, (rule, _)) in filter.rules(chain).enumerate() {
            let Some(n) = Named::of(chain, rule) else { continue };
            if filter.is_standing(rule) {
                continue;
            }
            let lower = |key: &str| said.get(key).map(|v| v.to_ascii_lowercase());
            let is_name =
                name.eq_ignore_ascii_case("all") || name.eq_ignore_ascii_case(rule.text());
            let dir = if n.inbound() { "in" } else { "out" };
            let fits = is_name
                && lower("dir").is_none_or(|d| d == dir)
                && lower("protocol").is_none_or(|p| {
                    p == "any" || p == protocol_name(n.protocol).to_ascii_lowercase()
                })
                && lower("localport").is_none_or(|p| p == port_list(&n.local_port).to_lowercase());
            if fits {
                all.push((chain, at, rule.text().to_string(), n));
            }
        }
    }
    Ok(all)
}

fn show(stack: &mut Stack, said: &Settings<'_>) -> Result<String, String> {
    let rules = match stack.filter() {
        Some(filter) => chosen(filter, said)?,
        None => Vec::new(),
    };
    if rules.is_empty() {
        return Err(NO_RULES.to_owned());
    }
    let texts = rules.iter().map(|(_, _, name, rule)| format!("\n{}", rule.text(name)));
    Ok(texts.collect::<String>() + OK)
}

fn delete(stack: &mut Stack, said: &Settings<'_>) -> Result<String, String> {
    let Some(filter) = stack.filter_mut() else { return Err(NO_RULES.to_owned()) };
    let rules = chosen(filter, said)?;
    if rules.is_empty() {
        return Err(NO_RULES.to_owned());
    }
    for (chain, at, ..) in rules.iter().rev() {
        filter.delete_rule(*chain, *at).map_err(|e| syntax(&e.to_string()))?;
    }
    Ok(format!("\nDeleted {} rule(s).\n{OK}", rules.len()))
}

/// `allprofiles`, `currentprofile`, `publicprofile`…
fn which(filter: Option<&Filter>, word: &str) -> Result<Profiles, String> {
    match word {
        "allprofiles" => Ok(Profiles::all()),
        "currentprofile" => Ok(filter.map_or(Profiles::PUBLIC, Filter::profile)),
        "domainprofile" => Ok(Profiles::DOMAIN),
        "privateprofile" => Ok(Profiles::PRIVATE),
        "publicprofile" => Ok(Profiles::PUBLIC),
        _ => Err(format!("The following command was not found: advfirewall {word}.\n")),
    }
}

fn show_profiles(stack: &mut Stack, word: &str, rest: &[&str]) -> Result<String, String> {
    let filter = stack.filter();
    let wanted = which(filter, word)?;
    let on = filter.map_or(Profiles::empty(), Filter::profiles_on);
    let inbound = filter.is_some_and(Filter::denies_inbound);
    let outbound =
        filter.is_some_and(|f| f.policy(Chain::Output).0 == netarium_filter::Policy::Drop);
    let policy = format!(
        "{},{}",
        if inbound { "BlockInbound" } else { "AllowInbound" },
        if outbound { "BlockOutbound" } else { "AllowOutbound" }
    );
    let row = |key: &str, value: &str| format!("{key:<38}{value}\n");
    let mut out = String::new();
    for (profile, name) in PROFILES.iter().filter(|p| wanted.contains(p.0)) {
        out.push_str(&format!("\n{name} Profile Settings: \n{RULE}"));
        let state = if on.contains(*profile) { "ON" } else { "OFF" };
        match rest {
            ["state"] => out.push_str(&row("State", state)),
            ["firewallpolicy"] => out.push_str(&row("Firewall Policy", &policy)),
            [] => {
                out.push_str(&row("State", state));
                out.push_str(&row("Firewall Policy", &policy));
            }
            _ => return Err(syntax("Shown are state and firewallpolicy.")),
        }
    }
    Ok(out + OK)
}

fn set_profiles(stack: &mut Stack, word: &str, rest: &[&str]) -> Result<String, String> {
    let profiles = which(stack.filter(), word)?;
    let filter = stack.filter_or_new();
    let bare = filter.rules(Chain::Input).count() == 0;
    let policy = |b| match b {
        true => (netarium_filter::Policy::Drop, netarium_filter::firewall::DEFAULT_DENY),
        false => (netarium_filter::Policy::Accept, "default allow"),
    };
    let done = match rest {
        ["state", "on"] => {
            filter.switch_profiles(profiles, true);
            if bare { filter.host_firewall(Vec::new()) } else { Ok(()) }
        }
        ["state", "off"] => {
            filter.switch_profiles(profiles, false);
            Ok(())
        }
        ["firewallpolicy", words] => {
            let (inbound, outbound) = match *words {
                "blockinbound,allowoutbound" => (true, false),
                "blockinbound,blockoutbound" => (true, true),
                "allowinbound,allowoutbound" => (false, false),
                "allowinbound,blockoutbound" => (false, true),
                _ => return Err(syntax("A policy is such as blockinbound,allowoutbound.")),
            };
            let made = if bare { filter.host_firewall(Vec::new()) } else { Ok(()) };
            let both = [(Chain::Input, inbound), (Chain::Output, outbound)];
            made.and_then(|()| {
                both.into_iter().try_for_each(|(chain, block)| {
                    let (to, text) = policy(block);
                    filter.set_policy(chain, to, text.into())
                })
            })
        }
        _ => return Err(syntax("Set are state on|off and firewallpolicy.")),
    };
    done.map_err(|e| syntax(&e.to_string())).map(|()| OK.to_owned())
}
