//! Wires and switches of a running lab: `link`, `partition`, `heal`, `switch`, `mirror`.

use clap::{Args, ValueEnum};
use netarium_server::api::links::{
    LinkEdit, LinkView, MirrorView, PartitionView, SwitchView, WireView,
};
use netarium_server::client::Method;

use super::{Lab, On, columns, show};
use crate::exit::{self, Error};
use crate::remote::escape;
use crate::terminal::Terminal;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium link                             list the wires, their settings and counters
  netarium link web.home down               cut a wire; `up` mends it
  netarium link web.home down --in-flight   with all that is under way on it
  netarium link web.home --loss 5% --delay 50ms
  netarium link web.home --rate 10Mbit --down
                                            only towards the host that the wire is named after
  netarium link web.home --jitter '5ms normal' --loss-burst 'p 1% r 25%'
  netarium link web.home --drop-match 'tcp port 80 and flags syn' --drop-nth 1

What is under way on a wire still arrives; a change is about the frames that come after it. `none`
takes a setting away.")]
pub(crate) struct Link {
    /// The wire: HOST.NETWORK
    #[arg(value_name = "LINK")]
    pub(super) link: Option<String>,
    /// Cut it or mend it, in both directions
    #[arg(value_name = "STATE", requires = "link")]
    state: Option<LinkState>,
    /// Drop what is under way on it, in both directions
    #[arg(long, requires = "link")]
    in_flight: bool,
    /// The probability that a frame is lost: 5%, 0.05
    #[arg(long, value_name = "P", requires = "link", allow_hyphen_values = true)]
    loss: Option<String>,
    /// Loss in bursts: 'p 1% r 25%' into a burst and out of it, 'bad 80% good 0.1%' for less than
    /// all in it and some outside
    #[arg(long, value_name = "BURST", requires = "link", allow_hyphen_values = true)]
    loss_burst: Option<String>,
    /// The frames to lose by number, from now: 3,5 or 'every 10'
    #[arg(long, value_name = "N,…", requires = "link", allow_hyphen_values = true)]
    drop_nth: Option<String>,
    /// The frames to lose by what they carry: 'tcp port 80'; with --drop-nth, those of its numbers
    #[arg(long, value_name = "MATCH", requires = "link", allow_hyphen_values = true)]
    drop_match: Option<String>,
    /// The probability that a frame arrives twice
    #[arg(long, value_name = "P", requires = "link", allow_hyphen_values = true)]
    duplicate: Option<String>,
    /// Hold frames back so that later ones overtake them: '25% by 10ms', '25% by 10ms gap 5'
    #[arg(long, value_name = "REORDER", requires = "link", allow_hyphen_values = true)]
    reorder: Option<String>,
    /// The probability that a bit of a frame is turned over
    #[arg(long, value_name = "P", requires = "link", allow_hyphen_values = true)]
    corrupt: Option<String>,
    /// How long a bit travels: 50ms
    #[arg(long, value_name = "TIME", requires = "link", allow_hyphen_values = true)]
    delay: Option<String>,
    /// How the delay varies: 5ms, '5ms normal', '5ms reorder'
    #[arg(long, value_name = "JITTER", requires = "link", allow_hyphen_values = true)]
    jitter: Option<String>,
    /// Bits per second: 10Mbit; none for a wire without limit
    #[arg(long, value_name = "RATE", requires = "link", allow_hyphen_values = true)]
    rate: Option<String>,
    /// Frames that may wait to be sent
    #[arg(long, value_name = "N", requires = "link", allow_hyphen_values = true)]
    queue: Option<String>,
    /// Bytes that may wait to be sent: 64000, without a unit
    #[arg(long, value_name = "N", requires = "link", allow_hyphen_values = true)]
    queue_bytes: Option<String>,
    /// The largest packet in bytes; larger ones are dropped without a word
    #[arg(long, value_name = "N", requires = "link", allow_hyphen_values = true)]
    mtu: Option<String>,
    /// Change the settings only from the host to the network
    #[arg(long, conflicts_with = "down")]
    up: bool,
    /// Change the settings only from the network to the host
    #[arg(long)]
    down: bool,
    #[command(flatten)]
    pub(super) on: On,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LinkState {
    /// It takes frames
    Up,
    /// It drops what it is handed
    Down,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium partition                        list the partitions
  netarium partition split web,db pc        web and db on one side, pc on the other
  netarium partition alone web              web, and all others
  netarium partition split web pc --in-flight
                                            with what is under way between them
  netarium heal split

Nothing passes between hosts of different sides, whatever wires there are; hosts of no side reach
everyone.")]
pub(crate) struct Partition {
    /// Its name
    #[arg(value_name = "NAME", requires = "sides")]
    name: Option<String>,
    /// The hosts of each side, with commas; with one side, those from all others
    #[arg(value_name = "HOST,…")]
    sides: Vec<String>,
    /// Drop what is under way between the sides
    #[arg(long, requires = "name")]
    in_flight: bool,
    #[command(flatten)]
    pub(super) on: On,
}

#[derive(Debug, Args)]
pub(crate) struct Heal {
    /// The partition
    #[arg(value_name = "NAME", required_unless_present = "all")]
    name: Option<String>,
    /// All partitions
    #[arg(long, conflicts_with = "name")]
    all: bool,
    #[command(flatten)]
    pub(super) on: On,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium switch home")]
pub(crate) struct Switch {
    /// The switch or hub: a network's name, or that of a further switch
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    on: On,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium mirror home --to spy.home        spy sees all that passes the switch
  netarium mirror home --to spy.home --from web.home
  netarium mirror home off")]
pub(crate) struct Mirror {
    /// The switch
    #[arg(value_name = "SWITCH")]
    switch: String,
    /// End it
    #[arg(value_name = "off", required_unless_present = "to", conflicts_with = "to")]
    off: Option<Off>,
    /// The link by which the copies leave
    #[arg(long, value_name = "LINK")]
    to: Option<String>,
    /// The links that are watched [default: all others]
    #[arg(long, value_name = "LINK,…", value_delimiter = ',', requires = "to")]
    from: Vec<String>,
    #[command(flatten)]
    pub(super) on: On,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Off {
    /// Copy nothing any more
    Off,
}

impl Link {
    /// What is to be changed.
    fn edit(&self) -> LinkEdit {
        let direction = match (self.up, self.down) {
            (true, _) => Some("up"),
            (_, true) => Some("down"),
            _ => None,
        };
        let word = |s: LinkState| if matches!(s, LinkState::Up) { "up" } else { "down" };
        LinkEdit {
            state: self.state.map(|s| word(s).to_owned()),
            in_flight: self.in_flight,
            direction: direction.map(str::to_owned),
            delay: self.delay.clone(),
            rate: self.rate.clone(),
            queue: self.queue.clone(),
            queue_bytes: self.queue_bytes.clone(),
            loss: self.loss.clone(),
            loss_burst: self.loss_burst.clone(),
            drop_nth: self.drop_nth.clone(),
            drop_match: self.drop_match.clone(),
            duplicate: self.duplicate.clone(),
            reorder: self.reorder.clone(),
            corrupt: self.corrupt.clone(),
            jitter: self.jitter.clone(),
            mtu: self.mtu.clone(),
        }
    }
}

/// `netarium link`.
pub(crate) fn link(args: Link, json: bool) -> Result<i32, Error> {
    let lab = Lab::of(&args.on)?;
    let edit = args.edit();
    let Some(name) = args.link else {
        let links: Vec<LinkView> = lab.get("/links")?;
        return show(&links, json, |links| link_table(links));
    };
    let link: LinkView = if edit == LinkEdit::default() {
        let links: Vec<LinkView> = lab.get("/links")?;
        let found = links.into_iter().find(|l| l.name == name);
        found.ok_or_else(|| {
            let hint = Some("`netarium link` lists the links".to_owned());
            Error::Failed(format!("the lab has no link `{name}`"), hint)
        })?
    } else {
        lab.ask(Method::POST, &format!("/links/{}", escape(&name)), &edit)?
    };
    show(&link, json, |link| link_table(std::slice::from_ref(link)))
}

/// Links as rows, a row for each direction; settings beyond the plain ones stand behind.
pub(crate) fn link_table(links: &[LinkView]) -> String {
    let head = [
        "LINK", "", "STATE", "DELAY", "RATE", "QUEUE", "LOSS", "SENT", "ARRIVED", "DROPPED",
        "FAULTS",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for link in links {
        for (name, wire) in [("up", &link.up), ("down", &link.down)] {
            let WireView { delay, rate, queue, loss, .. } = wire.clone();
            let [sent, arrived, dropped] =
                [wire.sent, wire.delivered, wire.dropped()].map(|n| n.to_string());
            let (link, state) = (link.name.clone(), link.state.clone());
            let (queue, name, faults) = (queue.to_string(), name.to_owned(), wire.faults());
            rows.push([
                link, name, state, delay, rate, queue, loss, sent, arrived, dropped, faults,
            ]);
        }
    }
    if rows[1..].iter().all(|row| row[10].is_empty()) {
        rows[0][10].clear();
    }
    columns(&rows)
}

impl Partition {
    fn sides(&self) -> Vec<Vec<String>> {
        let names = |side: &String| side.split(',').map(str::to_owned).collect();
        self.sides.iter().map(names).collect()
    }
}

/// `netarium partition`.
pub(crate) fn partition(args: Partition, json: bool) -> Result<i32, Error> {
    let lab = Lab::of(&args.on)?;
    let sides = args.sides();
    let list: Vec<PartitionView> = match args.name {
        None => lab.get("/partitions")?,
        Some(name) => {
            let new = PartitionView { name, sides, in_flight: args.in_flight };
            lab.ask(Method::POST, "/partitions", &new)?
        }
    };
    show(&list, json, |list| partition_table(list))
}

fn partition_table(list: &[PartitionView]) -> String {
    let sides = |p: &PartitionView| {
        let sides: Vec<_> = p.sides.iter().map(|side| side.join(",")).collect();
        sides.join(" | ")
    };
    let rows = list.iter().map(|p| [p.name.clone(), sides(p)]);
    let head = ["PARTITION", "SIDES"].map(str::to_owned);
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// `netarium heal`.
pub(crate) fn heal(args: Heal, terminal: &Terminal) -> Result<i32, Error> {
    let query = args.name.as_ref().map_or(String::new(), |name| format!("?name={}", escape(name)));
    Lab::of(&args.on)?.send(Method::DELETE, &format!("/partitions{query}"), &())?;
    match args.name {
        Some(name) => terminal.say(format_args!("{name}: healed")),
        None => terminal.say("all partitions are healed"),
    }
    Ok(exit::OK)
}

/// `netarium switch`.
pub(crate) fn switch(args: Switch, json: bool) -> Result<i32, Error> {
    let path = format!("/switches/{}/table", escape(&args.name));
    let switch: SwitchView = Lab::of(&args.on)?.get(&path)?;
    show(&switch, json, switch_text)
}

fn switch_text(switch: &SwitchView) -> String {
    let head = ["PORT", "LINK", "IN", "OUT"].map(str::to_owned);
    let row = |p: &netarium_server::api::links::PortView| {
        [p.port.to_string(), p.link.clone(), p.rx_frames.to_string(), p.tx_frames.to_string()]
    };
    let ports = std::iter::once(head).chain(switch.ports.iter().map(row));
    let mut text = columns(&ports.collect::<Vec<_>>());
    if switch.kind == "switch" {
        let head = ["MAC", "PORT", "LINK", "AGE"].map(str::to_owned);
        let row = |e: &netarium_server::api::links::SwitchEntryView| {
            [e.mac.clone(), e.port.to_string(), e.link.clone(), e.age.clone()]
        };
        let entries = std::iter::once(head).chain(switch.entries.iter().map(row));
        text += "\n";
        text += &columns(&entries.collect::<Vec<_>>());
        let (known, limit) = (switch.entries.len(), switch.limit);
        text += &format!("\n{known} of {limit} addresses, each for {}; ", switch.ageing);
        let SwitchView { flooded, moved, full, mirrored, .. } = switch;
        text += &format!("{flooded} frames repeated to all, {moved} addresses moved, ");
        text += &format!("{full} not learned, {mirrored} frames mirrored\n");
    }
    if let Some(mirror) = &switch.mirror {
        let from = if mirror.from.is_empty() { "all".to_owned() } else { mirror.from.join(", ") };
        text += &format!("mirror: {from} to {}\n", mirror.to);
    }
    if switch.loops > 0 {
        text += &format!("loop: {} frames came back and were dropped\n", switch.loops);
    }
    text
}

impl Mirror {
    fn spec(&self) -> Option<(String, Vec<String>)> {
        let to = self.to.clone().filter(|_| self.off.is_none())?;
        Some((to, self.from.clone()))
    }
}

/// `netarium mirror`.
pub(crate) fn mirror(args: Mirror, terminal: &Terminal) -> Result<i32, Error> {
    let path = format!("/switches/{}/mirror", escape(&args.switch));
    let mirror = args.spec().map(|(to, from)| MirrorView { to, from });
    Lab::of(&args.on)?.send(Method::PUT, &path, &mirror)?;
    match mirror {
        Some(mirror) => {
            terminal.say(format_args!("{}: copies leave by {}", args.switch, mirror.to))
        }
        None => terminal.say(format_args!("{}: no copies any more", args.switch)),
    }
    Ok(exit::OK)
}
