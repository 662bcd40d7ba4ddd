//! Command lines, right and wrong.

use netarium_base::Duration;

use super::*;

struct Shelf;

impl Files for Shelf {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        match path {
            "rc" => Some(b"-d x\nuser-agent: rc\nno-location\n".to_vec()),
            "loop" => Some(b"-K loop\n".to_vec()),
            "f" => Some(b"file\n".to_vec()),
            _ => None,
        }
    }

    fn modified(&self, _: &str) -> Option<u64> {
        None
    }
}

fn read(line: &str) -> Result<Line, Usage> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&args, &Shelf)
}

fn one(line: &str) -> Options {
    read(line).unwrap().operations.remove(0)
}

#[test]
fn options_cluster_and_values_may_be_glued() {
    let line = read("-svo out -XPOST -da=b http://web/ -d c --max-time 1.5").unwrap();
    assert!(line.global.silent && line.global.verbose);
    let o = &line.operations[0];
    assert_eq!(o.outputs, [Output::File("out".into())]);
    assert_eq!(o.method.as_deref(), Some("POST"));
    assert_eq!(o.body.as_deref(), Some(b"a=b&c".as_slice()));
    assert_eq!(o.urls, ["http://web/"]);
    assert_eq!(o.max_time, Some(Duration::from_millis(1500)));
    let o = one("--resolve web:80:10.0.0.2,[::1] -d @f --data-binary @f u");
    assert_eq!(o.resolve[0].addresses.len(), 2);
    assert_eq!(o.body.as_deref(), Some(b"file&file\n".as_slice()));
    let o = one("--connect-to a:1:[::1]:2 -b a=1 -b b=2 -b jar -r 5 u");
    assert_eq!((o.connect_to[0].to_host.as_str(), o.connect_to[0].to_port), ("::1", Some(2)));
    assert_eq!(o.cookie.as_deref(), Some("a=1;b=2"));
    assert_eq!(o.cookie_files, ["jar"]);
    assert_eq!(o.range.as_deref(), Some("5-"));
}

#[test]
fn a_file_gives_options_and_next_begins_anew() {
    let line = read("-K rc u --next -I v").unwrap();
    assert_eq!(line.operations[0].user_agent.as_deref(), Some("rc"));
    assert_eq!(line.operations[0].body.as_deref(), Some(b"x".as_slice()));
    assert!(line.operations[1].head && line.operations[1].body.is_none());
    assert_eq!(read("-K loop u").unwrap_err().code, 26);
}

#[test]
fn wrong_lines_are_answered_in_curls_words() {
    for (line, message) in [
        ("", ""),
        ("-s", "no URL specified!"),
        ("--foo", "option --foo: is unknown"),
        ("-sQ", "option -sQ: is unknown"),
        ("--data=x u", "option --data=x: is unknown"),
        ("-m", "option -m: requires parameter"),
        ("-m abc u", "option -m: expected a proper numerical parameter"),
        ("--da x", "option --da: is ambiguous"),
        ("--no-max-time u", "option --no-max-time: used '--no-' for option that isn't a boolean"),
        ("--retry -1 u", "option --retry: expected a positive numerical parameter"),
        ("-Ji -O u", "showing headers and --remote-header-name cannot be combined"),
    ] {
        assert_eq!(read(line).unwrap_err().text, message, "{line}");
    }
}

#[test]
fn the_table_is_sorted_and_letters_are_unique() {
    assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    let mut letters: Vec<char> = TABLE.iter().map(|r| r.1).filter(|c| *c != '\0').collect();
    letters.sort_unstable();
    let count = letters.len();
    letters.dedup();
    assert_eq!(letters.len(), count);
}

proptest::proptest! {
    #[test]
    fn any_line_is_read_without_panic(words: Vec<proptest::sample::Index>, extra in "\\PC{0,12}") {
        let args: Vec<String> = words.iter().map(|w| {
            let at = w.index(TABLE.len() + 2);
            match TABLE.get(at) {
                Some(row) => format!("--{}", row.0),
                None => extra.clone(),
            }
        }).collect();
        let _ = parse(&args, &Shelf);
    }
}
