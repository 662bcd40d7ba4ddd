//! Where the journal of a running lab goes: memory at first, then a temporary file without a name,
//! which vanishes with the process.

use std::io::Write;

use netarium_world::JournalSink;
use tempfile::SpooledTempFile;

/// What is held in memory.
const MEMORY: usize = 8 * 1024 * 1024;
/// What is recorded at most; what comes later is left out, and the journal is good up to there.
const MOST: u64 = 1024 * 1024 * 1024;

/// A journal that spills to disk.
pub(crate) struct Spill {
    file: SpooledTempFile,
    written: u64,
    most: u64,
    /// Nothing more is recorded: the limit is reached, or the disk refused.
    full: bool,
}

impl Default for Spill {
    fn default() -> Spill {
        Spill { file: SpooledTempFile::new(MEMORY), written: 0, most: MOST, full: false }
    }
}

impl JournalSink for Spill {
    fn append(&mut self, bytes: &[u8]) {
        // After a gap nothing could be replayed, so there is nothing after one.
        self.full |= self.written + bytes.len() as u64 > self.most;
        if !self.full {
            self.full = self.file.write_all(bytes).is_err();
            self.written += bytes.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn the_journal_ends_at_its_limit_and_has_no_gap() {
        let mut spill = Spill { most: 10, ..Spill::default() };
        for piece in [&b"1234"[..], b"56", b"789ab", b"c"] {
            spill.append(piece);
        }
        let mut all = Vec::new();
        spill.file.rewind().unwrap();
        spill.file.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"123456");
    }
}
