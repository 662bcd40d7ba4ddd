//! Windows' `findstr`.

use netarium_world::process::{LocalBoxFuture, Process};

use super::grep::{Options, Search, Syntax, basic, compile};
use super::input::{Input, Out, names};

const FINDSTR: &str = "\
Searches for strings in files.

FINDSTR [/B] [/E] [/L] [/R] [/I] [/X] [/V] [/N] [/M] [/C:string]
        strings [[drive:][path]filename[ ...]]

  /B         Matches pattern if at the beginning of a line.
  /E         Matches pattern if at the end of a line.
  /L         Uses search strings literally.
  /R         Uses search strings as regular expressions.
  /I         Specifies that the search is not to be case-sensitive.
  /X         Prints lines that match exactly.
  /V         Prints only lines that do not contain a match.
  /N         Prints the line number before each line that matches.
  /M         Prints only the filename if a file contains a match.
  /C:string  Uses specified string as a literal search string.
  strings    Text to be searched for.
  [drive:][path]filename
             Specifies a file or files to search.

Use spaces to separate multiple search strings unless the argument is prefixed
with /C.  For example, 'FINDSTR \"hello there\" x.y' searches for \"hello\" or
\"there\" in file x.y.  'FINDSTR /C:\"hello there\" x.y' searches for
\"hello there\" in file x.y.
";

/// `findstr [/I] [/V] [/N] [/X] [/B] [/E] [/L] [/R] [/M] [/C:TEXT] WORDS [FILE]…`: lines in which
/// one of the words stands.
pub(crate) fn findstr(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let mut o = Options { syntax: Syntax::Basic, ..Options::default() };
        let (mut begin, mut end, mut operands) = (false, false, Vec::new());
        if args.iter().skip(1).any(|w| w == "/?") {
            process.print(FINDSTR).await;
            return 0;
        }
        for word in args.get(1..).unwrap_or_default() {
            let Some(switch) = word.strip_prefix('/').filter(|s| !s.contains('/')) else {
                operands.push(word.clone());
                continue;
            };
            if let Some(text) = switch.strip_prefix("C:").or_else(|| switch.strip_prefix("c:")) {
                o.patterns.push(text.trim_matches('"').to_owned());
                o.syntax = Syntax::Fixed;
                continue;
            }
            for c in switch.to_ascii_uppercase().chars() {
                match c {
                    'I' => o.ignore_case = true,
                    'V' => o.invert = true,
                    'N' => o.numbers = true,
                    'X' => o.line = true,
                    'B' => begin = true,
                    'E' => end = true,
                    'L' => o.syntax = Syntax::Fixed,
                    'R' => o.syntax = Syntax::Basic,
                    'M' => o.list = Some(true),
                    'P' | 'S' => {}
                    c => {
                        process.eprint(&format!("FINDSTR: /{c} ignored\n")).await;
                    }
                }
            }
        }
        if o.patterns.is_empty() {
            if operands.is_empty() {
                process.eprint("FINDSTR: Bad command line\n").await;
                return 2;
            }
            let words = operands.remove(0);
            o.patterns = words.split_whitespace().map(str::to_owned).collect();
        }
        if begin || end {
            anchor(&mut o, begin, end);
        }
        let Ok(regex) = compile(&o) else {
            process.eprint("FINDSTR: Bad search string\n").await;
            return 2;
        };
        let named = operands.len() > 1;
        let (mut out, mut found, mut failed) = (Out::new(&process), false, false);
        for name in names(operands) {
            match Input::open(&process, &name) {
                Ok(input) => {
                    let search = Search { options: &o, regex: &regex, name: &name, named };
                    found |= search.run(input, &mut out).await.unwrap_or(false);
                }
                Err(_) => {
                    failed = true;
                    process.eprint(&format!("FINDSTR: Cannot open {name}\n")).await;
                }
            }
        }
        out.flush().await;
        i32::from(!found || failed)
    })
}

/// `/B` and `/E`: only at the beginning, or the end, of a line.
fn anchor(o: &mut Options, begin: bool, end: bool) {
    let escape = |p: &String| match o.syntax {
        Syntax::Fixed => regex_lite::escape(p),
        _ => basic(p),
    };
    let (head, tail) = (if begin { "^" } else { "" }, if end { "$" } else { "" });
    o.patterns = o.patterns.iter().map(|p| format!("{head}(?:{}){tail}", escape(p))).collect();
    o.syntax = Syntax::Extended;
}
