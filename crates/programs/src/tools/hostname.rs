//! `hostname`, as Debian's 3.23 has it; a name cannot be set, the lab file gives it.

use netarium_world::process::{LocalBoxFuture, Process};

use crate::getopt::{Item, Long, Spec, Takes};

/// The exit code of a wrong command line, and of `--help`.
const WRONG: i32 = 255;

const USAGE: &str = "\
Usage: hostname [-b] {hostname|-F file}         set host name (from file)
       hostname [-a|-A|-d|-f|-i|-I|-s|-y]       display formatted name
       hostname                                 display host name

       {yp,nis,}domainname {nisdomain|-F file}  set NIS domain name (from file)
       {yp,nis,}domainname                      display NIS domain name

       dnsdomainname                            display dns domain name

       hostname -V|--version|-h|--help          print info and exit

Program name:
       {yp,nis,}domainname=hostname -y
       dnsdomainname=hostname -d

Program options:
    -a, --alias            alias names
    -A, --all-fqdns        all long host names (FQDNs)
    -b, --boot             set default hostname if none available
    -d, --domain           DNS domain name
    -f, --fqdn, --long     long host name (FQDN)
    -F, --file             read host name or NIS domain name from given file
    -i, --ip-address       addresses for the host name
    -I, --all-ip-addresses all addresses for the host
    -s, --short            short host name
    -y, --yp, --nis        NIS/YP domain name

Description:
   This command can get or set the host name or the NIS domain name. You can
   also get the DNS domain or the FQDN (fully qualified domain name).
   Unless you are using bind or NIS for host lookups you can change the
   FQDN (Fully Qualified Domain Name) and the DNS domain name (which is
   part of the FQDN) in the /etc/hosts file.
";

const LONG: &[Long] = &[
    ("alias", Takes::Nothing, 'a'),
    ("all-fqdns", Takes::Nothing, 'A'),
    ("all-ip-addresses", Takes::Nothing, 'I'),
    ("boot", Takes::Nothing, 'b'),
    ("domain", Takes::Nothing, 'd'),
    ("file", Takes::Value, 'F'),
    ("fqdn", Takes::Nothing, 'f'),
    ("help", Takes::Nothing, 'h'),
    ("ip-address", Takes::Nothing, 'i'),
    ("long", Takes::Nothing, 'f'),
    ("nis", Takes::Nothing, 'y'),
    ("short", Takes::Nothing, 's'),
    ("version", Takes::Nothing, 'V'),
    ("yp", Takes::Nothing, 'y'),
];
const SPEC: Spec = Spec { short: "aAbdfF:hiIsVy", long: LONG };

/// `hostname [-aAdfiIsy]`; the last of several options counts.
pub(crate) fn hostname(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let items = match SPEC.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => {
                process.eprint(&format!("hostname: {}\n", e.gnu())).await;
                process.print(USAGE).await;
                return WRONG;
            }
        };
        let mut what = 'n';
        for item in items {
            match item {
                Item::Option('h', _) => {
                    process.print(USAGE).await;
                    return WRONG;
                }
                Item::Option('V', _) => {
                    process.print("hostname 3.23\n").await;
                    return 0;
                }
                Item::Option('b', _) => {}
                Item::Option('F', _) | Item::Operand(_) => {
                    let why = "hostname: a host's name is set in the lab file\n";
                    process.eprint(why).await;
                    return 1;
                }
                Item::Option(letter, _) => what = letter,
            }
        }
        match show(&process, what).await {
            Ok(text) => {
                process.print(&text).await;
                0
            }
            Err(why) => {
                process.eprint(&format!("hostname: {why}\n")).await;
                1
            }
        }
    })
}

/// What a letter asks for, as it is printed.
async fn show(process: &Process, what: char) -> Result<String, String> {
    let name = process.host_name();
    let (short, domain) = match name.split_once('.') {
        Some((short, domain)) => (short, domain),
        None => (name.as_str(), ""),
    };
    Ok(match what {
        's' => format!("{short}\n"),
        // Without a domain not even the line end is printed.
        'd' if domain.is_empty() => String::new(),
        'd' => format!("{domain}\n"),
        // There are no aliases, and no names that other programs would find for an address.
        'a' | 'A' => "\n".to_owned(),
        'i' => {
            let found = process.resolve(&name).await.unwrap_or_default();
            if found.is_empty() {
                return Err("Name or service not known".to_owned());
            }
            let all: Vec<String> = found.iter().map(ToString::to_string).collect();
            format!("{}\n", all.join(" "))
        }
        'I' => format!("{}\n", own_addresses(process)),
        'y' => return Err("Local domain name not set".to_owned()),
        _ => format!("{name}\n"),
    })
}

/// All addresses but loopback's, each with a blank behind it.
fn own_addresses(process: &Process) -> String {
    process.with_stack(|stack, _| {
        let real = stack.interfaces().iter().filter(|i| i.index.0 != 1);
        real.flat_map(|i| i.addresses.iter()).map(|a| format!("{} ", a.address())).collect()
    })
}
