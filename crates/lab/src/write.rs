//! A lab as a lab file again.
//!
//! What conventions gave is written out (addresses) or left to them again (MACs, default routes);
//! the settings of a network's wires stand at each wire. Reading the text gives an equal lab.

use core::net::Ipv4Addr;
use std::fmt::Write as _;

use toml::Value;

use netarium_world::ReversePath;

use crate::limits::MTU;
use crate::model::{
    DhcpServer, Forward, Gateway, Host, InboundRule, Interface, Lab, Link, Mirror, Nat, NodeKind,
    Publish, SwitchSettings, Title, Wire,
};
use crate::value::Protocol;

impl Lab {
    /// The lab as the text of a lab file.
    pub fn to_toml(&self) -> String {
        let mut out = String::from("version = 1\n\n[lab]\n");
        line(&mut out, "name", &quoted(&self.name));
        title(&mut out, &self.title);
        if let Some(seed) = self.seed {
            line(&mut out, "seed", &seed.to_string());
        }
        for network in &self.networks {
            let _ = writeln!(out, "\n[networks.{}]", network.name);
            line(&mut out, "subnet", &quoted(&network.subnet.to_string()));
            kind(&mut out, network.kind);
            title(&mut out, &network.title);
            switch_settings(&mut out, &network.switch);
        }
        for switch in &self.switches {
            let _ = writeln!(out, "\n[switches.{}]", switch.name);
            line(&mut out, "uplink", &quoted(&switch.uplink));
            kind(&mut out, switch.kind);
            title(&mut out, &switch.title);
            link(&switch.link).iter().for_each(|l| line(&mut out, "link", l));
            switch_settings(&mut out, &switch.settings);
            if !switch.cables.is_empty() {
                line(&mut out, "cables", &list(switch.cables.iter().map(|c| quoted(c))));
            }
        }
        for group in &self.groups {
            let _ = writeln!(out, "\n[groups.{}]", group.name);
            title(&mut out, &group.title);
        }
        let resolves =
            |h: &Host| h.programs.iter().any(|p| p.argv.first().is_some_and(|a| a == "unbound"));
        let convention = self.hosts.iter().any(resolves);
        for h in &self.hosts {
            host(&mut out, h);
            resolver(&mut out, &h.resolvers, convention);
            rules(&mut out, h);
        }
        if let Some(g) = &self.gateway {
            gateway(&mut out, g);
            resolver(&mut out, &g.resolvers, convention);
        }
        self.doors(&mut out);
        for run in &self.runs {
            let _ = writeln!(out, "\n[[run]]");
            line(&mut out, "at", &quoted(&run.at.to_string()));
            line(&mut out, "host", &quoted(&run.host));
            line(&mut out, "command", &quoted(&run.command.text));
        }
        for entry in &self.schedule {
            let _ = writeln!(out, "\n[[schedule]]");
            line(&mut out, "at", &quoted(&entry.at.to_string()));
            if let Some((every, more)) = entry.again {
                line(&mut out, "every", &quoted(&every.to_string()));
                line(&mut out, "times", &(u64::from(more) + 1).to_string());
            }
            line(&mut out, "command", &quoted(&entry.text));
        }
        out
    }

    fn doors(&self, out: &mut String) {
        if !self.publish.is_empty() {
            out.push_str("\n[publish]\n");
        }
        self.publish.iter().for_each(|p| publish(out, p));
        if !self.attach.is_empty() {
            out.push_str("\n[attach]\n");
        }
        for a in &self.attach {
            line(out, &quoted(&format!("{}:{}", a.host, a.port)), &quoted(&a.to.to_string()));
        }
        if let Some(from) = &self.proxy_from {
            let _ = writeln!(out, "\n[proxy]\nfrom = {}", quoted(from));
        }
    }
}

/// A host's name servers; that it has none must be said where a convention could give it one.
fn resolver(out: &mut String, servers: &[Ipv4Addr], convention: bool) {
    if !servers.is_empty() {
        line(out, "resolver", &list(servers.iter().map(|ip| quoted(&ip.to_string()))));
    } else if convention {
        line(out, "resolver", "\"none\"");
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

/// A basic TOML string on one line.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn table(items: &[(&str, Option<String>)]) -> String {
    let items = items.iter().filter_map(|(k, v)| Some(format!("{k} = {}", v.as_ref()?)));
    format!("{{ {} }}", items.collect::<Vec<_>>().join(", "))
}

fn title(out: &mut String, title: &Title) {
    if *title != Title::default() {
        let one = |t: &Option<String>| t.as_deref().map(quoted);
        line(out, "title", &table(&[("en", one(&title.en)), ("ko", one(&title.ko))]));
    }
}

fn kind(out: &mut String, kind: NodeKind) {
    if kind == NodeKind::Hub {
        line(out, "kind", "\"hub\"");
    }
}

/// The settings of a wire that differ from the default's, when there are any.
fn link(link: &Link) -> Option<String> {
    match (wire(&link.up), wire(&link.down)) {
        (None, None) => None,
        (up, down) if up == down => up,
        (up, down) => Some(table(&[("up", up), ("down", down)])),
    }
}

/// One setting of a wire as it stands in a lab file.
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    default: &'static str,
}

impl Setting {
    /// Whether a wire has it without being told.
    pub(crate) fn is_default(&self) -> bool {
        self.value == self.default
    }
}

/// All settings of a wire, in one order.
pub(crate) fn settings(wire: &Wire) -> Vec<Setting> {
    fn text<T: ToString>(value: Option<&T>) -> String {
        quoted(&value.map_or("none".to_owned(), T::to_string))
    }
    fn number<T: ToString>(value: Option<T>) -> String {
        value.map_or(NONE.to_owned(), |n| n.to_string())
    }
    let share = |p: u32| Value::Float(netarium_base::chance::fraction(p)).to_string();
    let faults = &wire.faults;
    let nth = (!faults.nth.is_none()).then_some(&faults.nth);
    let all = [
        ("delay", quoted(&wire.delay.to_string()), "\"10us\""),
        ("rate", text(wire.rate.as_ref()), NONE),
        ("queue", wire.queue.to_string(), "1000"),
        ("queue_bytes", number(faults.queue_bytes), NONE),
        ("loss", Value::Float(wire.loss.value).to_string(), "0.0"),
        ("loss_burst", text(faults.burst.as_ref()), NONE),
        ("drop_nth", text(nth), NONE),
        ("drop_match", text(faults.matching.as_ref()), NONE),
        ("duplicate", share(faults.duplicate), "0.0"),
        ("reorder", text(faults.reorder.as_ref()), NONE),
        ("corrupt", share(faults.corrupt), "0.0"),
        ("jitter", text(faults.jitter.as_ref()), NONE),
        ("mtu", number(faults.mtu), NONE),
    ];
    all.into_iter().map(|(key, value, default)| Setting { key, value, default }).collect()
}

/// A wire without a setting, whatever its network has.
const NONE: &str = "\"none\"";

fn wire(wire: &Wire) -> Option<String> {
    let set: Vec<_> = settings(wire)
        .into_iter()
        .filter(|s| !s.is_default())
        .map(|s| (s.key, Some(s.value)))
        .collect();
    (!set.is_empty()).then(|| table(&set))
}

fn switch_settings(out: &mut String, settings: &SwitchSettings) {
    settings.table.iter().for_each(|n| line(out, "table", &n.to_string()));
    settings.ageing.iter().for_each(|t| line(out, "ageing", &quoted(&t.to_string())));
    settings.mirror.iter().for_each(|m| line(out, "mirror", &mirror(m)));
}

pub(crate) fn mirror(mirror: &Mirror) -> String {
    let from = mirror.from.iter().map(|wire| quoted(wire));
    table(&[
        ("to", Some(quoted(&mirror.to))),
        ("from", (!mirror.from.is_empty()).then(|| list(from))),
    ])
}

fn addresses(interface: &Interface) -> String {
    if interface.by_dhcp {
        return quoted("dhcp");
    }
    let mut all = interface.addresses.iter().map(|a| quoted(&a.to_string()));
    match interface.addresses.len() {
        1 => all.next().unwrap_or_default(),
        _ => list(all),
    }
}

fn host(out: &mut String, host: &Host) {
    let _ = writeln!(out, "\n[hosts.{}]", host.name);
    title(out, &host.title);
    if let Some(group) = &host.group {
        line(out, "group", &quoted(group));
    }
    if host.router {
        line(out, "router", "true");
    }
    for i in &host.interfaces {
        let settings = [
            ("address", Some(addresses(i))),
            ("mac", i.mac_given.then(|| quoted(&i.mac.to_string()))),
            ("switch", (i.plugged_into != i.network).then(|| quoted(&i.plugged_into))),
            ("link", link(&i.link)),
            ("mtu", (i.mtu != MTU).then(|| i.mtu.to_string())),
            ("dhcp", i.dhcp.as_ref().map(dhcp)),
        ];
        let short = settings[1..].iter().all(|(_, v)| v.is_none());
        let value = if short { addresses(i) } else { table(&settings) };
        line(out, &format!("networks.{}", i.network), &value);
    }
    if !host.programs.is_empty() {
        line(out, "programs", &list(host.programs.iter().map(|p| quoted(&p.text))));
    }
}

/// What a host says about packets.
fn rules(out: &mut String, host: &Host) {
    if let Some(firewall) = &host.firewall {
        line(out, "firewall.inbound", &list(firewall.inbound.iter().map(rule)));
    }
    host.nat.iter().for_each(|n| line(out, "nat", &nat(n)));
    let routes: Vec<String> = host
        .routes
        .iter()
        .filter(|r| !r.by_convention)
        .map(|r| (quoted(&r.to.to_string()), quoted(&r.via.to_string())))
        .map(|(to, via)| table(&[("to", Some(to)), ("via", Some(via))]))
        .collect();
    if !routes.is_empty() {
        line(out, "routes", &list(routes.into_iter()));
    }
    match host.reverse_path {
        ReversePath::Off => {}
        ReversePath::Strict => line(out, "reverse_path", "\"strict\""),
        ReversePath::Loose => line(out, "reverse_path", "\"loose\""),
    }
    if host.pacing {
        line(out, "pacing", "true");
    }
}

fn dhcp(server: &DhcpServer) -> String {
    let ranges = server.ranges.iter().map(|(first, last)| quoted(&format!("{first}-{last}")));
    let reserved = server.reserved.iter();
    let reserved = reserved.map(|r| format!("{} = \"{}\"", quoted(&r.name), r.address));
    let reserved: Vec<String> = reserved.collect();
    let router = server.router.map_or("none".to_owned(), |r| r.to_string());
    table(&[
        ("range", Some(list(ranges))),
        ("lease", Some(quoted(&server.lease.to_string()))),
        ("router", Some(quoted(&router))),
        (
            "dns",
            (!server.dns.is_empty())
                .then(|| list(server.dns.iter().map(|d| quoted(&d.to_string())))),
        ),
        ("domain", server.domain.as_deref().map(quoted)),
        ("reserve", (!reserved.is_empty()).then(|| format!("{{ {} }}", reserved.join(", ")))),
    ])
}

pub(crate) fn rule(rule: &InboundRule) -> String {
    table(&[
        (rule.action.as_str(), Some(quoted(&rule.traffic.to_string()))),
        ("from", rule.from.map(|f| quoted(&f.to_string()))),
        ("name", rule.name.as_deref().map(quoted)),
    ])
}

fn nat(nat: &Nat) -> String {
    let forwards = nat.forwards.iter().map(forward);
    let one_to_one = nat.one_to_one.iter().map(|o| {
        let quote = |a: core::net::Ipv4Addr| Some(quoted(&a.to_string()));
        table(&[("outside", quote(o.outside)), ("inside", quote(o.inside))])
    });
    let k = &nat.kind;
    let timeouts = [k.udp_timeout, k.tcp_timeout, k.icmp_timeout];
    table(&[
        ("inside", Some(quoted(&nat.inside))),
        ("outside", Some(quoted(&nat.outside))),
        ("forward", (!nat.forwards.is_empty()).then(|| list(forwards))),
        ("one_to_one", (!nat.one_to_one.is_empty()).then(|| list(one_to_one))),
        ("preset", (k.preset != Default::default()).then(|| quoted(k.preset.name()))),
        ("mapping", k.mapping.map(|d| quoted(d.name()))),
        ("filtering", k.filtering.map(|d| quoted(d.name()))),
        ("preserve", k.preserve_ports.map(|b| b.to_string())),
        ("ports", k.ports.map(|p| quoted(&p.to_string()))),
        ("hairpin", k.hairpin.map(|b| b.to_string())),
        ("timeouts", (timeouts != [None; 3]).then(|| nat_timeouts(timeouts))),
    ])
}

fn nat_timeouts([udp, tcp, icmp]: [Option<netarium_base::Duration>; 3]) -> String {
    let text = |t: Option<netarium_base::Duration>| t.map(|t| quoted(&t.to_string()));
    table(&[("udp", text(udp)), ("tcp", text(tcp)), ("icmp", text(icmp))])
}

pub(crate) fn forward(f: &Forward) -> String {
    let from = quoted(&format!("{}/{}", f.protocol, f.ports));
    table(&[("from", Some(from)), ("to", Some(quoted(&f.to.to_string())))])
}

fn gateway(out: &mut String, gateway: &Gateway) {
    let i = &gateway.interface;
    out.push_str("\n[gateway]\n");
    line(out, "network", &quoted(&i.network));
    line(out, "address", &addresses(i));
    title(out, &gateway.title);
    if i.mac_given {
        line(out, "mac", &quoted(&i.mac.to_string()));
    }
    link(&i.link).iter().for_each(|l| line(out, "link", l));
}

fn publish(out: &mut String, publish: &Publish) {
    let udp = publish.protocol == Protocol::Udp;
    let key = format!("{}{}", publish.listen, if udp { "/udp" } else { "" });
    let to = quoted(&publish.to.to_string());
    let value = match &publish.from {
        Some(from) => table(&[("to", Some(to)), ("from", Some(quoted(from)))]),
        None => to,
    };
    line(out, &quoted(&key), &value);
}
