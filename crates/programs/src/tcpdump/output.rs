//! Times, lines and files.

use netarium_wire::capture_file::{Record, pcap_header, pcap_record};
use netarium_wire::dissect::{self, FlowTracker, LinkType};
use netarium_world::process::Process;
use tokio::io::AsyncWriteExt;

use super::options::Options;
use super::source::Interfaces;
use crate::calendar;

/// Bytes that wait for the file before they are appended.
const CHUNK: usize = 64 * 1024;
/// How many connections are remembered for relative sequence numbers.
const FLOWS: usize = 65_536;

/// Where packets go.
pub(super) struct Output<'a> {
    process: &'a Process,
    options: &'a Options,
    link: LinkType,
    interfaces: Interfaces,
    flows: FlowTracker,
    /// What is to be appended to the file.
    waiting: Vec<u8>,
    printed: u64,
    /// The packet before, or the first: what times are told from.
    reference: Option<u64>,
}

impl<'a> Output<'a> {
    pub(super) async fn open(
        process: &'a Process,
        options: &'a Options,
        link: LinkType,
        snaplen: u32,
    ) -> Result<Output<'a>, String> {
        let mut output = Output {
            process,
            options,
            link,
            interfaces: Interfaces::of(process),
            flows: FlowTracker::new(FLOWS),
            waiting: Vec::new(),
            printed: 0,
            reference: None,
        };
        if let Some(path) = &options.write {
            output.waiting = pcap_header(link, snaplen);
            if path == "-" {
                output.flush_out().await;
            } else {
                let head = std::mem::take(&mut output.waiting);
                process.write_file(path, head).map_err(|e| format!("{path}: {e}"))?;
            }
        }
        Ok(output)
    }

    pub(super) async fn take(&mut self, record: &Record<'_>) -> Result<(), String> {
        if let Some(path) = &self.options.write {
            pcap_record(&mut self.waiting, record);
            if path == "-" {
                self.flush_out().await;
            } else if self.options.unbuffered || self.waiting.len() >= CHUNK {
                self.append()?;
            }
            if !self.options.print {
                return Ok(());
            }
        }
        if !self.options.only_count {
            let text = self.line(record);
            self.process.print(&text).await;
        }
        Ok(())
    }

    /// Writes what still waits.
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.append()
    }

    fn append(&mut self) -> Result<(), String> {
        match &self.options.write {
            Some(path) if path != "-" && !self.waiting.is_empty() => {
                let bytes = std::mem::take(&mut self.waiting);
                let done = self.process.append_file(path, &bytes);
                done.map_err(|e| format!("Unable to write output: {e}"))
            }
            _ => Ok(()),
        }
    }

    async fn flush_out(&mut self) {
        let bytes = std::mem::take(&mut self.waiting);
        // Whoever reads may have gone; that ends with a signal elsewhere.
        let _ = self.process.stdout().write_all(&bytes).await;
    }

    fn line(&mut self, record: &Record<'_>) -> String {
        let mut out = String::with_capacity(160);
        self.printed += 1;
        if self.options.number {
            out.push_str(&format!("{:5}  ", self.printed));
        }
        out.push_str(&self.time(record.at));
        let o = self.options;
        let style = dissect::Options {
            ethernet: o.ethernet,
            verbose: o.verbose,
            quiet: o.quiet,
            names: if o.numeric { None } else { Some(&self.interfaces) },
            interfaces: Some(&self.interfaces),
            dump: o.dump,
            dump_link: o.dump_link,
            lenient: false,
        };
        let flows = (!o.absolute).then_some(&mut self.flows);
        out.push_str(&dissect::text(record.bytes, record.len, self.link, &style, flows));
        out.push('\n');
        out
    }

    /// `-t` and its kin.
    fn time(&mut self, at: u64) -> String {
        // What is not shown does not count in differences either.
        let unit = if self.options.nano { 1 } else { 1_000 };
        let at = at / unit * unit;
        match self.options.times {
            0 => format!("{} ", self.clock(at)),
            1 => String::new(),
            2 => format!("{}.{} ", at / 1_000_000_000, self.fraction(at)),
            4 => {
                let date = calendar::Date::from_unix(at / 1_000_000_000);
                format!("{:04}-{:02}-{:02} {} ", date.year, date.month, date.day, self.clock(at))
            }
            _ => {
                let from = *self.reference.get_or_insert(at);
                let sign = if at < from { '-' } else { ' ' };
                if self.options.times == 3 {
                    self.reference = Some(at);
                }
                format!("{sign}{} ", self.clock(at.abs_diff(from)))
            }
        }
    }

    fn clock(&self, at: u64) -> String {
        let s = at / 1_000_000_000 % 86_400;
        let (h, m) = (s / 3_600, s / 60 % 60);
        format!("{h:02}:{m:02}:{:02}.{}", s % 60, self.fraction(at))
    }

    fn fraction(&self, at: u64) -> String {
        let part = at % 1_000_000_000;
        if self.options.nano { format!("{part:09}") } else { format!("{:06}", part / 1_000) }
    }
}
