//! `dhclient`: the client as a program.
//!
//! `dhclient [-v] [-q] [-1] [-d] [-nw] [-r] [-x] [-4] [-lf FILE] [INTERFACE…]`. It works in the
//! foreground until it has a lease, or has given up for a while, and then goes on in the background.

use netarium_base::{IfIndex, Pid};
use netarium_stack::Interface;
use netarium_world::process::{LocalBoxFuture, Process};

use super::apply::Place;
use super::client::{Client, RETRY};

/// A command line, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    verbose: bool,
    once: bool,
    foreground: bool,
    no_wait: bool,
    release: bool,
    stop: bool,
    leases: Option<String>,
    interfaces: Vec<String>,
}

const USAGE: &str = "\
Usage: dhclient [-4] [-1dvrxq] [-nw] [-lf lease-file] [-pf pid-file] [--no-pid]
                [interface]*
       dhclient {--version|--help|-h}
";

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// What to say about a wrong one, and the exit code.
    pub(super) fn parse(args: &[String]) -> Result<Options, (String, i32)> {
        let mut options = Options::default();
        let mut words = args.iter();
        let usage = || (USAGE.to_owned(), 1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-v" => options.verbose = true,
                "-q" => options.verbose = false,
                "-1" => options.once = true,
                "-d" => (options.foreground, options.verbose) = (true, true),
                "-nw" => options.no_wait = true,
                "-r" => options.release = true,
                "-x" => options.stop = true,
                "-4" | "-i" | "--no-pid" => {}
                "-lf" => options.leases = Some(words.next().ok_or_else(usage)?.clone()),
                "-pf" => drop(words.next().ok_or_else(usage)?),
                "--version" => return Err(("isc-dhclient-4.4.3-P1 (netarium)\n".to_owned(), 0)),
                "--help" | "-h" => return Err((USAGE.to_owned(), 0)),
                word if word.starts_with('-') => {
                    return Err((format!("Unknown command: {word}\n{USAGE}"), 1));
                }
                _ => options.interfaces.push(word.clone()),
            }
        }
        Ok(options)
    }
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match Options::parse(args.get(1..).unwrap_or_default()) {
            Ok(options) => run(process, options).await,
            Err((text, 0)) => {
                process.print(&text).await;
                0
            }
            Err((text, code)) => {
                process.eprint(&text).await;
                code
            }
        }
    })
}

async fn run(process: Process, options: Options) -> i32 {
    let all = process.with_stack(|stack, _| stack.interfaces().to_vec());
    let wanted = |i: &&Interface| match options.interfaces.as_slice() {
        [] => i.index != IfIndex(1),
        names => names.contains(&i.name),
    };
    if let Some(missing) = options.interfaces.iter().find(|n| !all.iter().any(|i| i.name == **n)) {
        process.eprint(&format!("Cannot find device \"{missing}\"\n")).await;
        return 1;
    }
    let chosen: Vec<Interface> = all.iter().filter(wanted).cloned().collect();
    let running = running(&process, &chosen);
    if options.release || options.stop {
        for pid in running {
            process.kill(pid, 15);
            if options.verbose {
                process.eprint("Killed old client process\n").await;
            }
        }
        if options.release {
            release(&process, &options, &chosen).await;
        }
        return 0;
    }
    if let Some(pid) = running.first() {
        let text = format!("dhclient({pid}) is already running - exiting. \n");
        process.eprint(&text).await;
        return 1;
    }
    if options.no_wait {
        process.detach(0);
    }
    let mut clients: Vec<Client> = chosen.iter().map(|i| client(&process, &options, i)).collect();
    greet(&options, &clients).await;
    let Some(last) = clients.pop() else { return 1 };
    for client in clients {
        let options = options.clone();
        process.spawn(async move {
            let _ = look_after(client, &options).await;
        });
    }
    look_after(last, &options).await
}

fn client(process: &Process, options: &Options, iface: &Interface) -> Client {
    let name = iface.name.clone();
    let file =
        options.leases.clone().unwrap_or_else(|| format!("/var/lib/dhcp/dhclient.{name}.leases"));
    let place = Place { process: *process, name, index: iface.index, file };
    Client::new(place, iface.mac, options.verbose)
}

async fn greet(options: &Options, clients: &[Client]) {
    if !options.verbose {
        return;
    }
    for client in clients {
        let name = &client.place.name;
        client.say(&format!("Listening on Socket/{name}")).await;
        client.say(&format!("Sending on   Socket/{name}")).await;
    }
}

/// Gets a lease and keeps it, for ever; the exit code when only one try is wanted.
async fn look_after(mut client: Client, options: &Options) -> i32 {
    let process = client.place.process;
    loop {
        let lease = client.obtain().await;
        if lease.is_none() {
            client.say("No DHCPOFFERS received.").await;
            if options.once {
                client.say("Unable to obtain a lease on first try.  Exiting.").await;
                return 2;
            }
            client.say("No working leases in persistent database - sleeping.").await;
        }
        if !options.foreground {
            process.detach(0);
        }
        match lease {
            Some(lease) => client.hold(lease).await,
            None => process.sleep(RETRY).await,
        }
    }
}

/// Gives the leases of these interfaces back.
async fn release(process: &Process, options: &Options, chosen: &[Interface]) {
    for iface in chosen {
        let mut client = client(process, options, iface);
        let now = client.place.now();
        if let Some(lease) = client.place.recall().filter(|l| l.expire > now) {
            greet(options, std::slice::from_ref(&client)).await;
            client.release(&lease).await;
        }
    }
}

/// The clients that look after one of these interfaces already.
fn running(process: &Process, chosen: &[Interface]) -> Vec<Pid> {
    let others = process.processes().into_iter().filter(|p| p.pid != process.pid());
    let clients = others.filter(|p| p.name.rsplit('/').next() == Some("dhclient"));
    let same = clients.filter(|p| {
        let words: Vec<String> = p.command.split(' ').skip(1).map(str::to_owned).collect();
        let theirs = Options::parse(&words).unwrap_or_default().interfaces;
        theirs.is_empty() || chosen.iter().any(|i| theirs.contains(&i.name))
    });
    same.map(|p| p.pid).collect()
}
