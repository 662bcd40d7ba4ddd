//! `tcpdump`: what passes a host's interfaces, in the words of tcpdump 4.99.
//!
//! 1. `options`: the command line;
//! 2. this file: where packets come from, an interface or a file, and where they go;
//! 3. `source`: frames of packet sockets as records of a capture;
//! 4. `output`: times, lines, files.
//!
//! What a packet looks like is `netarium_wire::dissect`, what an expression means
//! `netarium_wire::packet_filter`.

mod options;
mod output;
mod source;

use std::pin::pin;
use std::rc::Rc;

use netarium_base::IfIndex;
use netarium_stack::{PacketConfig, PacketFilter};
use netarium_wire::capture_file::{Reader, Record};
use netarium_wire::dissect::LinkType;
use netarium_wire::packet_filter::{Expression, PacketTest, Target, View, Way};
use netarium_world::process::{LocalBoxFuture, PacketSocket, Process};

use crate::wait::first;
use options::{Options, Said};
use output::Output;
use source::{Interfaces, Source};

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let options = match Options::parse(args.get(1..).unwrap_or_default()) {
        Ok(options) => options,
        Err(Said::Out(text)) => {
            process.print(&text).await;
            return 0;
        }
        Err(Said::Wrong(text)) => {
            process.eprint(&format!("tcpdump: {text}\n")).await;
            return 1;
        }
    };
    let done = match &options.read {
        _ if options.list => {
            let text = Interfaces::of(&process).list();
            process.print(&text).await;
            Ok(())
        }
        Some(file) => from_file(&process, &options, file).await,
        None => live(&process, &options).await,
    };
    match done {
        Ok(()) => 0,
        Err(text) => {
            process.eprint(&format!("tcpdump: {text}\n")).await;
            1
        }
    }
}

/// The expression, from the command line or a file.
async fn expression(process: &Process, options: &Options) -> Result<Expression, String> {
    let text = match &options.expression_file {
        Some(path) => {
            let bytes = process.read_file(path).map_err(|e| format!("{path}: {e}"))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // A `#` begins a comment, as tcpdump has it.
            text.lines().map(|l| l.split('#').next().unwrap_or("")).collect::<Vec<_>>().join(" ")
        }
        None => options.expression.clone(),
    };
    Expression::parse(&text).map_err(|e| e.0)
}

async fn compile(
    process: &Process,
    options: &Options,
    link: LinkType,
    netmask: Option<u32>,
    live: bool,
) -> Result<PacketTest, String> {
    let expression = expression(process, options).await?;
    let mut found = Vec::new();
    for name in expression.names() {
        let addresses = process.resolve(&name).await.unwrap_or_default();
        found.push((name, addresses));
    }
    let hosts =
        |name: &str| found.iter().find(|f| f.0 == name).map_or_else(Vec::new, |f| f.1.clone());
    let target = Target { link, netmask, live, hosts: &hosts };
    expression.compile(&target).map_err(|e| e.0)
}

async fn from_file(process: &Process, options: &Options, path: &str) -> Result<(), String> {
    let bytes = match path {
        "-" => source::standard_input(process).await?,
        _ => process.read_file(path).map_err(|e| format!("{path}: {e}"))?.to_vec(),
    };
    let mut reader = Reader::new(&bytes).map_err(|e| e.0)?;
    let link = reader.link().ok_or_else(|| {
        format!("packet printing is not supported for link type {}: use -w", reader.link_number())
    })?;
    let (name, what) = link.name();
    let snaplen = match reader.snaplen() {
        0 => options::SNAPLEN,
        n => n,
    };
    process
        .eprint(&format!(
            "reading from file {path}, link-type {name} ({what}), snapshot length {snaplen}\n"
        ))
        .await;
    let test = compile(process, options, link, None, false).await?;
    let mut output = Output::open(process, options, link, snaplen).await?;
    let mut taken = 0;
    let mut end = Ok(());
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(e) => {
                end = Err(format!("pcap_loop: {}", e.0));
                break;
            }
        };
        let view = View { bytes: record.bytes, len: record.len, way: Way::Unknown, ifindex: None };
        if !test.accepts(&view) {
            continue;
        }
        taken += 1;
        output.take(&record).await?;
        if options.count == Some(taken) {
            break;
        }
    }
    output.close()?;
    if options.only_count {
        let s = if taken == 1 { "" } else { "s" };
        process.print(&format!("{taken} packet{s}\n")).await;
    }
    end
}

async fn live(process: &Process, options: &Options) -> Result<(), String> {
    let interfaces = Interfaces::of(process);
    let source = interfaces.find(options.interface.as_deref())?;
    let link = source.link();
    let test = Rc::new(compile(process, options, link, source.netmask, true).await?);
    let socket = open(process, options, &source, &test)?;
    let mut output = Output::open(process, options, link, options.snaplen).await?;
    process.eprint(&greeting(options, &source)).await;
    let mut captured = 0;
    let mut interrupted = false;
    while options.count != Some(captured) {
        let mut signal = pin!(process.terminated());
        match first(signal.as_mut(), socket.recv()).await {
            Ok(_) => {
                interrupted = true;
                break;
            }
            Err(Err(e)) => return Err(e.to_string()),
            Err(Ok(frame)) => {
                let Some(record) = source.record(&frame, options.snaplen) else { continue };
                captured += 1;
                let at = source.epoch(process) + frame.at.as_nanos();
                output.take(&Record { at, len: record.1, bytes: &record.0 }).await?;
            }
        }
    }
    output.close()?;
    if options.write.is_none() && interrupted {
        process.print("\n").await;
    }
    let stats = socket.stats();
    let mut end = String::new();
    for (n, what) in [
        (captured, "captured"),
        (stats.received, "received by filter"),
        (stats.dropped, "dropped by kernel"),
    ] {
        let s = if n == 1 { "" } else { "s" };
        end.push_str(&format!("{n} packet{s} {what}\n"));
    }
    process.eprint(&end).await;
    Ok(())
}

fn open(
    process: &Process,
    options: &Options,
    source: &Source,
    test: &Rc<PacketTest>,
) -> Result<PacketSocket, String> {
    let (shape, wanted, direction) = (source.shape(), Rc::clone(test), options.direction);
    let filter = PacketFilter::new(move |frame| {
        let out = frame.kind == netarium_stack::PacketKind::Outgoing;
        let way = if out { Way::Out } else { Way::In };
        if direction.is_some_and(|d| d != way) {
            return false;
        }
        if wanted.is_empty() {
            return true;
        }
        let (bytes, len) = shape.of(frame);
        let ifindex = Some(u32::from(frame.iface.0));
        wanted.accepts(&View { bytes: &bytes, len, way, ifindex })
    });
    let config = PacketConfig {
        iface: source.iface,
        promiscuous: !options.plain,
        // The ring keeps what is printed; the whole frame is cut when its header is known.
        snaplen: options.snaplen as usize,
        ring: options.buffer.unwrap_or(netarium_stack::packet::RING_BYTES),
        filter: Some(filter),
    };
    PacketSocket::open(process, config).map_err(|e| {
        let name = &source.name;
        match netarium_world::process::errno(&e) {
            Some(netarium_stack::Errno::ENETDOWN) => format!("{name}: That device is not up"),
            _ => format!("{name}: {e}"),
        }
    })
}

fn greeting(options: &Options, source: &Source) -> String {
    let (name, what) = source.link().name();
    let mut out = String::new();
    if source.iface.is_none() {
        out.push_str(&format!("tcpdump: data link type {name}\n"));
    }
    out.push_str("tcpdump: ");
    if options.verbose == 0 && options.write.is_none() {
        out.push_str("verbose output suppressed, use -v[v]... for full protocol decode\n");
    }
    out.push_str(&format!(
        "listening on {}, link-type {name} ({what}), snapshot length {} bytes\n",
        source.name, options.snaplen
    ));
    out
}

/// The loopback interface, where a frame that goes out comes in again.
const LO: IfIndex = IfIndex(1);
