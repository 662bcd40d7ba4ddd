//! `route`: net-tools' view of the routing table, and changes of it.

use core::net::{IpAddr, Ipv4Addr};
use std::fmt::Write as _;

use netarium_stack::{Interface, Route};
use netarium_wire::Cidr;
use netarium_world::process::{LocalBoxFuture, Process};

use crate::table::interface_name;

const USAGE: &str = "\
Usage: route [-nNvee] [-FC] [<AF>]           List kernel routing tables
       route [-v] [-FC] {add|del|flush} ...  Modify routing table for AF.

       route {-h|--help} [<AF>]              Detailed usage syntax for specified AF.
       route {-V|--version}                  Display version/author and exit.

        -v, --verbose            be verbose
        -n, --numeric            don't resolve names
        -e, --extend             display other/more information
        -F, --fib                display Forwarding Information Base (default)
        -C, --cache              display routing cache instead of FIB

  <AF>=Use -4, -6, '-A <af>' or '--<af>'; default: inet
  List of possible address families (which support routing):
";

/// What stands below the usage, on standard error even when that is asked for.
const FAMILIES: &str = "    inet (DARPA Internet) \n";

/// The exit code for a wrong command line, and for what the kernel refuses.
const WRONG: i32 = 3;
const REFUSED: i32 = 7;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let (mut numeric, mut words) = (false, Vec::new());
        for word in args.iter().skip(1) {
            match word.as_str() {
                "-n" | "--numeric" => numeric = true,
                "-V" | "--version" => {
                    process.print("net-tools 2.10\n").await;
                    return 0;
                }
                "-h" | "--help" => return help(&process).await,
                option if option.starts_with("--") => {
                    let text = format!("route: unrecognized option '{option}'\n");
                    process.eprint(&text).await;
                    return help(&process).await;
                }
                // `-net` and `-host` come behind the verb.
                option if option.starts_with('-') && words.is_empty() => {
                    let letters = option[1..].chars();
                    for c in letters {
                        match c {
                            'n' | 'N' => numeric |= c == 'n',
                            'e' | 'v' | 'F' | '4' => {}
                            'h' => return help(&process).await,
                            c => {
                                let text = format!("route: invalid option -- '{c}'\n");
                                process.eprint(&text).await;
                                return help(&process).await;
                            }
                        }
                    }
                }
                word => words.push(word.to_owned()),
            }
        }
        match words.first().map(String::as_str) {
            None => {
                let text = process.with_stack(|s, _| table(s.routes(), s.interfaces(), numeric));
                process.print(&text).await;
                0
            }
            Some(verb @ ("add" | "del")) => {
                match change(&process, verb == "add", &words[1..]).await {
                    Ok(()) => 0,
                    Err((code, why)) => {
                        process.eprint(&why).await;
                        code
                    }
                }
            }
            Some(_) => {
                process.eprint(&format!("{USAGE}{FAMILIES}")).await;
                WRONG
            }
        }
    })
}

/// The usage as it is printed when it is asked for, and for a wrong option: exit code 0.
async fn help(process: &Process) -> i32 {
    process.print(USAGE).await;
    process.eprint(FAMILIES).await;
    0
}

/// The table; loopback's own routes stand in another one.
fn table(routes: &[Route], interfaces: &[Interface], numeric: bool) -> String {
    let mut out = "Kernel IP routing table\n\
        Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
        .to_owned();
    let mut rows: Vec<&Route> =
        routes.iter().filter(|r| r.iface.0 != 1 && r.to.address().is_ipv4()).collect();
    rows.sort_by_key(|r| (r.to.prefix() != 0, r.to.network().address(), r.to.prefix(), r.metric));
    for r in rows {
        let any = r.to.prefix() == 0;
        let to = if any && !numeric {
            "default".to_owned()
        } else {
            r.to.network().address().to_string()
        };
        let via = r.via.map_or_else(|| "0.0.0.0".to_owned(), |g| g.to_string());
        let mask = r.to.netmask().map(|m| m.to_string()).unwrap_or_default();
        let mut flags = "U".to_owned();
        flags += if r.via.is_some() { "G" } else { "" };
        flags += if r.to.prefix() == 32 { "H" } else { "" };
        let iface = interface_name(interfaces, r.iface);
        let _ = writeln!(
            out,
            "{to:<15} {via:<15} {mask:<15} {flags:<5} {:<6} {:<3} {:>6} {iface}",
            r.metric, 0, 0
        );
    }
    out
}

/// What a route is to be.
struct Wanted {
    to: Cidr,
    via: Option<IpAddr>,
    iface: Option<String>,
    metric: Option<u32>,
}

type Failure = (i32, String);

async fn change(process: &Process, add: bool, words: &[String]) -> Result<(), Failure> {
    let wanted = read(process, words).await?;
    let missing = |text: &str| (REFUSED, format!("{text}\n"));
    process.with_stack(|stack, _| {
        let index = match &wanted.iface {
            Some(name) => {
                let known = stack.interfaces().iter().find(|i| i.name == *name).map(|i| i.index);
                Some(known.ok_or_else(|| missing("SIOCADDRT: No such device"))?)
            }
            None => None,
        };
        if !add {
            let removed = stack.remove_routes(|r| {
                r.to.network() == wanted.to
                    && wanted.via.is_none_or(|via| r.via == Some(via))
                    && index.is_none_or(|i| r.iface == i)
                    && wanted.metric.is_none_or(|m| r.metric == m)
            });
            return if removed > 0 { Ok(()) } else { Err(missing("SIOCDELRT: No such process")) };
        }
        let reaches = |i: &&Interface| {
            i.up && i.index.0 != 1
                && wanted.via.is_none_or(|via| i.addresses.iter().any(|a| a.contains(via)))
        };
        let found = match index {
            Some(index) => stack.interfaces().iter().find(|i| i.index == index),
            None if wanted.via.is_none() => {
                return Err((REFUSED, "SIOCADDRT: No such device\n".to_owned()));
            }
            None => stack.interfaces().iter().find(reaches),
        };
        let iface = found.ok_or_else(|| missing("SIOCADDRT: Network is unreachable"))?.index;
        let route = Route {
            to: wanted.to,
            via: wanted.via,
            iface,
            metric: wanted.metric.unwrap_or(0),
            source: None,
        };
        let same = |r: &Route| r.to.network() == route.to && r.metric == route.metric;
        if stack.routes().iter().any(same) {
            return Err(missing("SIOCADDRT: File exists"));
        }
        if stack.add_route(route) {
            Ok(())
        } else {
            Err(missing("SIOCADDRT: Network is unreachable"))
        }
    })
}

async fn address(process: &Process, word: &str) -> Result<IpAddr, Failure> {
    let unknown = || (6, format!("{word}: Unknown host\n"));
    let found = process.resolve(word).await.map_err(|_| unknown())?;
    found.into_iter().find(IpAddr::is_ipv4).ok_or_else(unknown)
}

/// `[-net|-host] TARGET [netmask M] [gw G] [metric N] [[dev] IF]`
async fn read(process: &Process, words: &[String]) -> Result<Wanted, Failure> {
    let wrong = || (WRONG, format!("{USAGE}{FAMILIES}"));
    let mut words = words.iter().map(String::as_str).peekable();
    let mut kind = None;
    while let Some(word @ ("-net" | "-host")) = words.peek().copied() {
        kind = Some(word);
        words.next();
    }
    let target = words.next().ok_or_else(wrong)?;
    let (mut mask, mut via, mut iface, mut metric) = (None, None, None, None);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(wrong);
        match word {
            "netmask" => {
                let text = value()?;
                let bits = text.parse::<Ipv4Addr>().map(u32::from).ok();
                let bits = bits.filter(|b| b.leading_ones() + b.trailing_zeros() >= 32);
                let bad = || (6, format!("route: bogus netmask {text}\n"));
                mask = Some(bits.ok_or_else(bad)?.leading_ones() as u8);
            }
            "gw" => via = Some(address(process, value()?).await?),
            "metric" => metric = Some(value()?.parse().map_err(|_| wrong())?),
            "dev" => iface = Some(value()?.to_owned()),
            name => iface = Some(name.to_owned()),
        }
    }
    let any = Cidr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0).ok_or_else(wrong)?;
    let to = if target == "default" {
        any
    } else if target.contains('/') {
        let bad = |_| (6, format!("route: netmask doesn't match route address\n{target}\n"));
        target.parse::<Cidr>().map_err(bad)?
    } else {
        let address = address(process, target).await?;
        let natural = match address {
            IpAddr::V4(a) if kind == Some("-net") => match a.octets() {
                [0, ..] => 0,
                [1..=127, ..] => 8,
                [128..=191, ..] => 16,
                _ => 24,
            },
            _ => 32,
        };
        Cidr::new(address, mask.unwrap_or(natural)).ok_or_else(wrong)?
    };
    if to.network() != to {
        let text = "route: netmask doesn't match route address\n";
        return Err((WRONG, format!("{text}{USAGE}{FAMILIES}")));
    }
    Ok(Wanted { to, via, iface, metric })
}
