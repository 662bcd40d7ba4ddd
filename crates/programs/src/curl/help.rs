//! `--help` and `--manual`.

const SHORT: &str = include_str!("help.txt");
const ALL: &str = include_str!("help_all.txt");
/// A category a line: its name, what it is about, and its options.
const CATEGORIES: &str = include_str!("help_categories.txt");

/// What `--help` prints, with the word behind it: a category, `category` for a list of them, `all`.
pub(super) fn page(category: Option<&str>) -> String {
    let usage = ALL.split_inclusive('\n').next().unwrap_or_default();
    match category {
        None => SHORT.to_owned(),
        Some("all") => ALL.to_owned(),
        Some("category") => format!("{usage}{}", list()),
        Some(name) => match of(name) {
            Some(options) => format!("{usage}{options}"),
            None => format!(
                "{usage}Invalid category provided, here is a list of all categories:\n\n{}",
                list()
            ),
        },
    }
}

/// Name, purpose and options of each category.
fn categories() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    CATEGORIES.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ": ");
        Some((parts.next()?, parts.next()?, parts.next()?))
    })
}

fn list() -> String {
    categories().map(|(name, purpose, _)| format!(" {name:<11} {purpose}\n")).collect()
}

/// The options of a category, as they stand among all.
fn of(category: &str) -> Option<String> {
    let (name, purpose, options) =
        categories().find(|(name, ..)| name.eq_ignore_ascii_case(category))?;
    let wanted = |line: &&str| {
        let long = line.split("--").nth(1).and_then(|l| l.split_whitespace().next());
        long.is_some_and(|l| options.split(' ').any(|o| o == l))
    };
    let lines: String = ALL.split_inclusive('\n').filter(wanted).collect();
    Some(format!("{name}: {purpose}\n{lines}"))
}

/// What `--manual` prints.
pub(super) fn manual() -> String {
    let mut options = String::new();
    for line in ALL.lines().skip(1) {
        options.push_str(&format!("      {line}\n"));
    }
    format!("{HEAD}{options}{TAIL}")
}

const HEAD: &str = "\
NAME
       curl - transfer a URL

SYNOPSIS
       curl [options / URLs]

DESCRIPTION
       curl transfers data from or to a server of the lab, over HTTP. It behaves
       and speaks as curl 7.88 does; other protocols and TLS are not there.

URL
       A URL without a scheme is one of http://. Parts of URLs can be written in
       braces and brackets; each of what they stand for is fetched:

         http://web/{one,two,three}.html
         http://web/file[001-100:10].txt

OUTPUT
       Data goes to standard output, unless -o, --output or -O, --remote-name
       says otherwise. With several URLs, each needs an option of its own.

PROGRESS METER
       The progress meter is shown when the data does not go to standard output.
       -#, --progress-bar shows a bar instead, -s, --silent nothing.

OPTIONS
";

const TAIL: &str = "
EXIT CODES
       1      Unsupported protocol.
       2      Failed to initialize: the command line is wrong.
       3      URL malformed.
       5      Could not resolve proxy.
       6      Could not resolve host.
       7      Failed to connect to host.
       22     HTTP page not retrieved (-f, --fail).
       23     Write error.
       26     Read error.
       28     Operation timeout.
       33     HTTP range error.
       45     Interface error.
       47     Too many redirects.
       52     The server did not reply anything.
       56     Failure in receiving network data.
       61     Unrecognized transfer encoding.
       63     Maximum file size exceeded.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_a_category_is_one() {
        for (name, _, options) in categories() {
            let shown = page(Some(name));
            assert_eq!(shown.lines().count(), options.split(' ').count() + 2, "{name}");
        }
        assert!(page(Some("HTTP")).starts_with("Usage: curl [options...] <url>\nhttp: "));
        assert!(page(Some("nothing")).contains("\nInvalid category provided, here is a list"));
        assert!(page(Some("category")).contains("\n auth        Different types of auth"));
        assert!(manual().contains("\n       -M, --manual             Display the full manual\n"));
    }
}
