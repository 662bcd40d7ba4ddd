//! The marks that a shell puts into its output, as terminals know them: OSC 7 (the folder), OSC
//! 133;A and 133;B (around the prompt). Everything else is for the terminal.

/// The longest mark; what is longer is none.
const MARK_MAX: usize = 4_096;

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// For the terminal.
    Text(Vec<u8>),
    /// The shell's working directory.
    Folder(String),
    /// The shell waits for a line behind this prompt.
    Prompt(String),
}

/// Takes output apart, however it is cut.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The beginning of what may become a mark.
    held: Vec<u8>,
    /// Between 133;A and 133;B.
    prompt: Option<Vec<u8>>,
}

impl Marks {
    /// Takes some output.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &byte in bytes {
            self.held.push(byte);
            match held(&self.held) {
                Held::More if self.held.len() <= MARK_MAX => {}
                Held::More | Held::Nothing => self.give(&mut pieces),
                Held::Mark => {
                    let mark = std::mem::take(&mut self.held);
                    self.mark(&mark[2..mark.len() - 2], &mark, &mut pieces);
                }
            }
        }
        pieces
    }

    /// What was held is no mark.
    fn give(&mut self, pieces: &mut Vec<Piece>) {
        let bytes = std::mem::take(&mut self.held);
        self.text(&bytes, pieces);
    }

    fn text(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        match (&mut self.prompt, pieces.last_mut()) {
            (Some(prompt), _) if prompt.len() < MARK_MAX => prompt.extend_from_slice(bytes),
            (Some(_), _) => {}
            (None, Some(Piece::Text(text))) => text.extend_from_slice(bytes),
            (None, _) => pieces.push(Piece::Text(bytes.to_vec())),
        }
    }

    fn mark(&mut self, body: &[u8], whole: &[u8], pieces: &mut Vec<Piece>) {
        let body = String::from_utf8_lossy(body);
        if let Some(place) = body.strip_prefix("7;file://") {
            let folder = place.find('/').map_or("/", |at| &place[at..]);
            pieces.push(Piece::Folder(folder.to_owned()));
        } else if body == "133;A" {
            self.prompt = Some(Vec::new());
        } else if body == "133;B" {
            let prompt = self.prompt.take().unwrap_or_default();
            pieces.push(Piece::Prompt(String::from_utf8_lossy(&prompt).into_owned()));
        } else {
            // Another mark is for the terminal.
            self.text(whole, pieces);
        }
    }
}

enum Held {
    /// A whole mark: ESC ] … ESC \.
    Mark,
    /// What may become one.
    More,
    Nothing,
}

fn held(bytes: &[u8]) -> Held {
    match bytes {
        [0x1b] | [0x1b, b']'] => Held::More,
        [0x1b, b']', .., 0x1b, b'\\'] => Held::Mark,
        [0x1b, b']', ..] => Held::More,
        _ => Held::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_however_output_is_cut() {
        let output =
            b"hi\n\x1b]7;file://web/htdocs\x1b\\\x1b]133;A\x1b\\web# \x1b]133;B\x1b\\\x1b[1mx";
        let expect = [
            Piece::Text(b"hi\n".to_vec()),
            Piece::Folder("/htdocs".into()),
            Piece::Prompt("web# ".into()),
            Piece::Text(b"\x1b[1mx".to_vec()),
        ];
        assert_eq!(Marks::default().push(output), expect);
        let mut marks = Marks::default();
        let mut single = Vec::new();
        for byte in output {
            for piece in marks.push(&[*byte]) {
                match (single.last_mut(), piece) {
                    (Some(Piece::Text(old)), Piece::Text(new)) => old.extend(new),
                    (_, piece) => single.push(piece),
                }
            }
        }
        assert_eq!(single, expect);
        let endless = [&b"\x1b]"[..], &[b'x'; 10_000]].concat();
        let given: usize = marks
            .push(&endless)
            .iter()
            .map(|p| if let Piece::Text(t) = p { t.len() } else { 0 })
            .sum();
        assert_eq!(given, endless.len());
    }
}
