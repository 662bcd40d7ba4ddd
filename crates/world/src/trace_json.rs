//! The trace as JSON lines.

use std::rc::Rc;

use netarium_base::trace::{Record, TraceSink};

use crate::capture::ByteSink;
use crate::names::NameTable;

/// Writes each record as a line of JSON, with names instead of ids; the same run gives the same
/// bytes.
pub struct JsonTrace<W> {
    out: W,
    names: Rc<NameTable>,
    line: Vec<u8>,
}

impl<W> std::fmt::Debug for JsonTrace<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonTrace")
    }
}

impl<W: ByteSink> JsonTrace<W> {
    /// Writes the records of the world with these names.
    pub fn new(out: W, names: Rc<NameTable>) -> JsonTrace<W> {
        JsonTrace { out, names, line: Vec::new() }
    }
}

impl<W: ByteSink> TraceSink for JsonTrace<W> {
    fn record(&mut self, record: &Record) {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &record.json(&*self.names))
            .expect("a record is numbers, texts and a map with text keys");
        self.line.push(b'\n');
        self.out.write(&self.line);
    }
}
