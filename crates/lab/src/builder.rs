//! The lab file's model made by a Rust program.
//!
//! A builder writes the same keys that a lab file has and goes through the same validation; its
//! errors name the path of the key (`hosts.web.networks.home`) instead of a line.
//!
//! ```
//! use netarium_lab::LabBuilder;
//!
//! let lab = LabBuilder::new("first")
//!     .network("lan", "10.0.0.0/24")
//!     .host("server", |h| h.on("lan", "10.0.0.1").program("httpd --root htdocs"))
//!     .host("client", |h| h.on_next("lan"))
//!     .file("htdocs/index.html", "<p>hello</p>")
//!     .build(&["httpd"])?;
//! assert_eq!(lab.host("client").unwrap().address().to_string(), "10.0.0.2");
//! # Ok::<(), netarium_lab::LabErrors>(())
//! ```

use std::sync::Arc;

use bytes::Bytes;
use toml::{Table, Value};

use crate::error::{Code, Errors, LabErrors, Origin, Spot};
use crate::files::Files;
use crate::model::Lab;
use crate::{done, read, tree};

/// Builds a lab key by key. Nothing is checked before [`build`](LabBuilder::build).
#[derive(Clone, Debug, Default)]
pub struct LabBuilder {
    name: String,
    table: Table,
    files: Files,
    /// What cannot be said in keys: (path, message).
    complaints: Vec<(String, String)>,
}

impl LabBuilder {
    /// A lab without anything in it.
    pub fn new(name: &str) -> Self {
        let mut builder = LabBuilder { name: name.to_owned(), ..Self::default() };
        builder.table.insert("version".to_owned(), Value::Integer(crate::validate::VERSION));
        builder.put(&["lab", "name"], name);
        builder
    }

    /// The title in English and Korean.
    pub fn title(mut self, en: &str, ko: &str) -> Self {
        self.put(&["lab", "title"], titles(en, ko));
        self
    }

    /// The seed of everything random, at most 2⁶³ − 1.
    pub fn seed(mut self, seed: u64) -> Self {
        match i64::try_from(seed) {
            Ok(seed) => self.put(&["lab", "seed"], seed),
            Err(_) => self.complain("lab.seed", format!("{seed} is beyond {}", i64::MAX)),
        }
        self
    }

    /// A network that is a switch.
    pub fn network(self, name: &str, subnet: &str) -> Self {
        self.network_with(name, subnet, |n| n)
    }

    /// A network with further settings.
    pub fn network_with(
        mut self,
        name: &str,
        subnet: &str,
        settings: impl FnOnce(NetworkBuilder) -> NetworkBuilder,
    ) -> Self {
        let mut table = settings(NetworkBuilder(Table::new())).0;
        table.insert("subnet".to_owned(), subnet.into());
        self.add("networks", name, table.into());
        self
    }

    /// A further switch, plugged into a network or another switch.
    pub fn switch(mut self, name: &str, uplink: &str) -> Self {
        let table = Table::from_iter([("uplink".to_owned(), Value::from(uplink))]);
        self.add("switches", name, table.into());
        self
    }

    /// A host.
    pub fn host(mut self, name: &str, settings: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        let mut host = HostBuilder(Table::new());
        host.0.insert("networks".to_owned(), Table::new().into());
        self.add("hosts", name, settings(host).0.into());
        self
    }

    /// The real machine's place in the lab.
    pub fn gateway(mut self, network: &str, address: &str) -> Self {
        self.put(&["gateway", "network"], network);
        self.put(&["gateway", "address"], address);
        self
    }

    /// A port of the real machine that leads into the lab; `listen` may end in `/udp`.
    pub fn publish(mut self, listen: &str, to: &str) -> Self {
        self.add("publish", listen, to.into());
        self
    }

    /// A lab host's port (`web:80`) behind which a real server on a loopback address stands.
    pub fn attach(mut self, port: &str, server: &str) -> Self {
        self.add("attach", port, server.into());
        self
    }

    /// The host that the proxy's connections come from, instead of the gateway.
    pub fn proxy_from(mut self, host: &str) -> Self {
        self.put(&["proxy", "from"], host);
        self
    }

    /// A command that runs by itself when the lab runs headless.
    pub fn run(mut self, at: &str, host: &str, command: &str) -> Self {
        let entry = [("at", at), ("host", host), ("command", command)];
        let entry = Table::from_iter(entry.map(|(k, v)| (k.to_owned(), Value::from(v))));
        push(&mut self.table, "run", entry.into());
        self
    }

    /// A command that changes the lab while it runs: `link web.home down`.
    pub fn schedule(mut self, at: &str, command: &str) -> Self {
        let entry = [("at", at), ("command", command)];
        let entry = Table::from_iter(entry.map(|(k, v)| (k.to_owned(), Value::from(v))));
        push(&mut self.table, "schedule", entry.into());
        self
    }

    /// A file of the lab's folder.
    pub fn file(mut self, path: &str, contents: impl Into<Bytes>) -> Self {
        if let Err(error) = self.files.insert(path, contents) {
            self.complain("files", error.to_string());
        }
        self
    }

    /// A group of hosts that a view may fold into one, with its title in English and Korean.
    pub fn group(mut self, name: &str, en: &str, ko: &str) -> Self {
        let mut group = Table::new();
        group.insert("title".to_owned(), titles(en, ko));
        self.add("groups", name, group.into());
        self
    }

    /// Any other key, by its path: `set(&["gateway", "title"], "my browser")`.
    pub fn set(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        self.put(path, value);
        self
    }

    /// Validates the lab.
    ///
    /// # Errors
    /// The same as [`Lab::from_parts`], with paths for places.
    pub fn build(self, known_programs: &[&str]) -> Result<Lab, LabErrors> {
        let (node, mut paths) = tree::from_values(&self.table);
        let mut errors = Errors::new();
        for (path, message) in self.complaints {
            let n = u32::try_from(paths.len()).unwrap_or(u32::MAX);
            paths.push(path);
            errors.report(Code::BadValue, Spot { start: n, end: n }, message, "refused");
        }
        let files = Arc::new(self.files);
        let lab = read(&node, &self.name, &files, known_programs, &mut errors);
        done(lab, errors, &self.name, || Origin::Paths(paths))
    }

    fn put(&mut self, path: &[&str], value: impl Into<Value>) {
        if let Err(path) = put(&mut self.table, path, value.into()) {
            self.complain(&path, format!("`{path}` already is something else than a table"));
        }
    }

    /// Adds a named entry, of which there can be only one.
    fn add(&mut self, kind: &str, name: &str, value: Value) {
        let entries = self.table.entry(kind).or_insert_with(|| Table::new().into());
        let twice = match entries.as_table_mut() {
            Some(entries) => entries.insert(name.to_owned(), value).is_some(),
            None => true,
        };
        if twice {
            let path = format!("{kind}.{name}");
            self.complain(&path, format!("`{path}` is given twice"));
        }
    }

    fn complain(&mut self, path: &str, message: String) {
        // As many as are shown at all.
        if self.complaints.len() < crate::error::MAX_ERRORS {
            self.complaints.push((path.to_owned(), message));
        }
    }
}

/// Puts a value at a path; the error is the path of what is in the way.
fn put(table: &mut Table, path: &[&str], value: Value) -> Result<(), String> {
    match path {
        [] => Err(String::new()),
        [key] => {
            table.insert((*key).to_owned(), value);
            Ok(())
        }
        [key, rest @ ..] => {
            let below = table.entry(*key).or_insert_with(|| Table::new().into());
            let below = below.as_table_mut().ok_or_else(|| (*key).to_owned())?;
            put(below, rest, value).map_err(|path| format!("{key}.{path}"))
        }
    }
}

fn push(table: &mut Table, key: &str, value: Value) {
    let list = table.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

fn titles(en: &str, ko: &str) -> Value {
    let both = [("en", en), ("ko", ko)];
    Table::from_iter(both.map(|(k, v)| (k.to_owned(), Value::from(v)))).into()
}

/// The settings of a network.
#[derive(Clone, Debug)]
pub struct NetworkBuilder(Table);

impl NetworkBuilder {
    /// A hub instead of a switch.
    pub fn hub(mut self) -> Self {
        self.0.insert("kind".to_owned(), "hub".into());
        self
    }

    /// The title in English and Korean.
    pub fn title(mut self, en: &str, ko: &str) -> Self {
        self.0.insert("title".to_owned(), titles(en, ko));
        self
    }

    /// The settings of each wire that its host does not set.
    pub fn link(mut self, settings: impl FnOnce(LinkBuilder) -> LinkBuilder) -> Self {
        self.0.insert("link".to_owned(), settings(LinkBuilder(Table::new())).0.into());
        self
    }
}

/// The settings of a wire, or of one of its directions.
#[derive(Clone, Debug)]
pub struct LinkBuilder(Table);

impl LinkBuilder {
    /// How long a bit travels, such as `2ms`.
    pub fn delay(mut self, delay: &str) -> Self {
        self.0.insert("delay".to_owned(), delay.into());
        self
    }

    /// Bits per second, such as `10Mbit`.
    pub fn rate(mut self, rate: &str) -> Self {
        self.0.insert("rate".to_owned(), rate.into());
        self
    }

    /// Frames that may wait to be sent.
    pub fn queue(mut self, frames: u32) -> Self {
        self.0.insert("queue".to_owned(), i64::from(frames).into());
        self
    }

    /// The probability that a frame is lost, 0 to 1.
    pub fn loss(mut self, probability: f64) -> Self {
        self.0.insert("loss".to_owned(), probability.into());
        self
    }

    /// Any setting that is written as a text: `jitter`, `loss_burst`, `drop_nth`, `drop_match`,
    /// `reorder`, `duplicate`, `corrupt`, or another one with `none`.
    pub fn fault(mut self, key: &str, value: &str) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The largest packet in bytes.
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.0.insert("mtu".to_owned(), i64::from(bytes).into());
        self
    }

    /// Settings of the direction from the host to the network.
    pub fn up(mut self, settings: impl FnOnce(LinkBuilder) -> LinkBuilder) -> Self {
        self.0.insert("up".to_owned(), settings(LinkBuilder(Table::new())).0.into());
        self
    }

    /// Settings of the direction from the network to the host.
    pub fn down(mut self, settings: impl FnOnce(LinkBuilder) -> LinkBuilder) -> Self {
        self.0.insert("down".to_owned(), settings(LinkBuilder(Table::new())).0.into());
        self
    }
}

/// The settings of a host.
#[derive(Clone, Debug)]
pub struct HostBuilder(Table);

impl HostBuilder {
    /// Puts it on a network with an address; again for a further address.
    pub fn on(mut self, network: &str, address: &str) -> Self {
        push(self.interface(network), "address", address.into());
        self
    }

    /// Puts it on a network with the next free address.
    pub fn on_next(mut self, network: &str) -> Self {
        self.interface(network);
        self
    }

    /// Settings of its wire to a network.
    pub fn link(
        mut self,
        network: &str,
        settings: impl FnOnce(LinkBuilder) -> LinkBuilder,
    ) -> Self {
        self.interface(network)
            .insert("link".to_owned(), settings(LinkBuilder(Table::new())).0.into());
        self
    }

    /// Its Ethernet address on a network.
    pub fn mac(mut self, network: &str, mac: &str) -> Self {
        self.interface(network).insert("mac".to_owned(), mac.into());
        self
    }

    /// Plugs it into one of the network's further switches.
    pub fn plugged_into(mut self, network: &str, switch: &str) -> Self {
        self.interface(network).insert("switch".to_owned(), switch.into());
        self
    }

    /// The group that it is shown in, which [`LabBuilder::group`] names.
    pub fn group(mut self, name: &str) -> Self {
        self.0.insert("group".to_owned(), name.into());
        self
    }

    /// The title in English and Korean.
    pub fn title(mut self, en: &str, ko: &str) -> Self {
        self.0.insert("title".to_owned(), titles(en, ko));
        self
    }

    /// Makes it forward packets that are not for itself.
    pub fn router(mut self) -> Self {
        self.0.insert("router".to_owned(), true.into());
        self
    }

    /// Paces its TCP connections.
    pub fn paced(mut self) -> Self {
        self.0.insert("pacing".to_owned(), true.into());
        self
    }

    /// A program that starts with the lab.
    pub fn program(mut self, command: &str) -> Self {
        push(&mut self.0, "programs", command.into());
        self
    }

    /// Gives it an inbound firewall that lets nothing in but what rules allow.
    pub fn firewall(mut self) -> Self {
        self.inbound();
        self
    }

    /// An inbound rule that lets traffic such as `tcp/80` in.
    pub fn allow(self, traffic: &str) -> Self {
        self.rule("allow", traffic)
    }

    /// An inbound rule that throws traffic away.
    pub fn drop_inbound(self, traffic: &str) -> Self {
        self.rule("drop", traffic)
    }

    /// An inbound rule that refuses traffic with an answer.
    pub fn reject(self, traffic: &str) -> Self {
        self.rule("reject", traffic)
    }

    /// Translates the addresses of `inside` to its own on `outside`.
    pub fn nat(mut self, inside: &str, outside: &str) -> Self {
        let nat = self.nat_table();
        nat.insert("inside".to_owned(), inside.into());
        nat.insert("outside".to_owned(), outside.into());
        self
    }

    /// Forwards an outside port such as `tcp/65535` to an inside address and port.
    pub fn forward(mut self, from: &str, to: &str) -> Self {
        let entry = [("from", from), ("to", to)].map(|(k, v)| (k.to_owned(), Value::from(v)));
        push(self.nat_table(), "forward", Table::from_iter(entry).into());
        self
    }

    /// A route to a subnet or `default`.
    pub fn route(mut self, to: &str, via: &str) -> Self {
        let entry = [("to", to), ("via", via)].map(|(k, v)| (k.to_owned(), Value::from(v)));
        push(&mut self.0, "routes", Table::from_iter(entry).into());
        self
    }

    fn interface(&mut self, network: &str) -> &mut Table {
        below(below(&mut self.0, "networks"), network)
    }

    fn inbound(&mut self) -> &mut Table {
        let firewall = below(&mut self.0, "firewall");
        firewall.entry("inbound").or_insert_with(|| Value::Array(Vec::new()));
        firewall
    }

    fn rule(mut self, action: &str, traffic: &str) -> Self {
        let rule = Table::from_iter([(action.to_owned(), Value::from(traffic))]);
        push(self.inbound(), "inbound", rule.into());
        self
    }

    fn nat_table(&mut self) -> &mut Table {
        below(&mut self.0, "nat")
    }
}

/// The table of this name, made if need be. The builders here put nothing else in such places.
fn below<'t>(table: &'t mut Table, key: &str) -> &'t mut Table {
    let value = table.entry(key).or_insert_with(|| Table::new().into());
    if !value.is_table() {
        *value = Table::new().into();
    }
    value.as_table_mut().expect("it was just made a table")
}
