//! `arp`: the neighbours' hardware addresses, in net-tools' layouts.

use std::fmt::Write as _;

use netarium_stack::{Interface, NeighbourInfo, NeighbourState};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::getopt::{Item, Spec, Takes};
use crate::table::interface_name;

const USAGE: &str = "\
Usage:
  arp [-vn]  [-i <if>] [-a] [<hostname>]             <-Display ARP cache

        -a                       display (all) hosts in alternative (BSD) style
        -e                       display (all) hosts in default (Linux) style
        -v, --verbose            be verbose
        -n, --numeric            don't resolve names
        -i, --device             specify network interface (e.g. eth0)
";

const SPEC: Spec = Spec {
    short: "anei:vhV",
    long: &[
        ("numeric", Takes::Nothing, 'n'),
        ("device", Takes::Value, 'i'),
        ("verbose", Takes::Nothing, 'v'),
        ("version", Takes::Nothing, 'V'),
        ("help", Takes::Nothing, 'h'),
    ],
};

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let (mut bsd, mut device, mut host) = (false, None, None);
    let items = match SPEC.parse(args.get(1..).unwrap_or_default()) {
        Ok(items) => items,
        Err(e) => {
            process.eprint(&format!("arp: {}\n{USAGE}", e.gnu())).await;
            return 3;
        }
    };
    for item in items {
        match item {
            Item::Option('a', _) => bsd = true,
            Item::Option('h', _) => {
                process.print(USAGE).await;
                return 0;
            }
            Item::Option('V', _) => {
                process.print("net-tools 2.10\n").await;
                return 0;
            }
            Item::Option('i', name) => device = Some(name),
            Item::Option(..) => {}
            Item::Operand(name) => host = Some(name),
        }
    }
    let only = match &host {
        None => None,
        Some(name) => match process.resolve(name).await {
            Ok(found) => Some(found),
            Err(_) => {
                process.eprint(&format!("{name}: Unknown host\n")).await;
                return 255;
            }
        },
    };
    let (interfaces, mut rows) =
        process.with_stack(|stack, cx| (stack.interfaces().to_vec(), stack.neighbours(cx.now)));
    rows.retain(|n| {
        n.address.is_ipv4()
            && only.as_ref().is_none_or(|o| o.contains(&n.address))
            && device.as_ref().is_none_or(|d| d == interface_name(&interfaces, n.iface))
    });
    if let (true, Some(name)) = (rows.is_empty(), host) {
        let address = only.and_then(|o| o.first().copied());
        let address = address.map(|a| a.to_string()).unwrap_or_default();
        process.print(&format!("{name} ({address}) -- no entry\n")).await;
        return 0;
    }
    process.print(&table(bsd, &rows, &interfaces)).await;
    0
}

fn table(bsd: bool, rows: &[NeighbourInfo], interfaces: &[Interface]) -> String {
    let mut out = String::new();
    if !bsd && !rows.is_empty() {
        out.push_str(
            "Address                  HWtype  HWaddress           Flags Mask            Iface\n",
        );
    }
    for n in rows {
        let iface = interface_name(interfaces, n.iface);
        let address = n.address.to_string();
        let known = n
            .mac
            .filter(|_| !matches!(n.state, NeighbourState::Incomplete | NeighbourState::Failed));
        let _ = match (bsd, known) {
            (true, Some(mac)) => writeln!(out, "? ({address}) at {mac} [ether] on {iface}"),
            (true, None) => writeln!(out, "? ({address}) at <incomplete> on {iface}"),
            (false, Some(mac)) => {
                let mac = mac.to_string();
                writeln!(out, "{address:<23}  {:<8}{mac:<20}{:<6}{:<16}{iface}", "ether", "C", "")
            }
            (false, None) => {
                writeln!(out, "{address:<23}  {:<8}{:<20}{:<22}{iface}", "", "(incomplete)", "")
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::IfIndex;
    use netarium_wire::Mac;

    #[test]
    fn both_layouts_are_net_tools() {
        let row = |address: &str, mac, state| NeighbourInfo {
            address: address.parse().unwrap(),
            mac,
            iface: IfIndex(2),
            state,
        };
        let mac = Mac([2, 0x21, 0x70, 0x7d, 0xcb, 0x50]);
        let rows = [
            row("10.0.0.1", Some(mac), NeighbourState::Reachable),
            row("10.0.0.77", None, NeighbourState::Failed),
        ];
        let eth0 = Interface {
            index: IfIndex(2),
            name: "eth0".into(),
            mac,
            mtu: 1500,
            addresses: vec![],
            up: true,
            promiscuous: 0,
            counters: netarium_stack::IfCounters::default(),
        };
        let interfaces = [eth0];
        insta::assert_snapshot!(table(true, &rows, &interfaces), @r"
        ? (10.0.0.1) at 02:21:70:7d:cb:50 [ether] on eth0
        ? (10.0.0.77) at <incomplete> on eth0
        ");
        insta::assert_snapshot!(table(false, &rows, &interfaces), @r"
        Address                  HWtype  HWaddress           Flags Mask            Iface
        10.0.0.1                 ether   02:21:70:7d:cb:50   C                     eth0
        10.0.0.77                        (incomplete)                              eth0
        ");
    }
}
