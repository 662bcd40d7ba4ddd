//! What `--help` and `--version` of the GNU tools say: the first lines are theirs, the options are
//! those that are taken here.

use netarium_world::process::Process;

use crate::getopt::{Long, OptError, Takes};

/// Stands for `--help` among a program's long options; no short option has it.
pub(crate) const HELP: Long = ("help", Takes::Nothing, crate::getopt::HELP);
/// Stands for `--version`.
pub(crate) const VERSION: Long = ("version", Takes::Nothing, crate::getopt::VERSION);

/// The last options of every program.
const BOTH: &str = "      --help        display this help and exit
      --version     output version information and exit
";

/// A program, what follows its name in the line of usage, what it does, and its options.
type Page = (&'static str, &'static [&'static str], &'static str, &'static str);

/// Sorted by name.
const PAGES: &[Page] = &[
    (
        "cat",
        &["[OPTION]... [FILE]..."],
        "Concatenate FILE(s) to standard output.\n\n\
         With no FILE, or when FILE is -, read standard input.\n\n",
        "  -A, --show-all           equivalent to -vET
  -b, --number-nonblank    number nonempty output lines, overrides -n
  -e                       equivalent to -vE
  -E, --show-ends          display $ at end of each line
  -n, --number             number all output lines
  -s, --squeeze-blank      suppress repeated empty output lines
  -t                       equivalent to -vT
  -T, --show-tabs          display TAB characters as ^I
  -u                       (ignored)
  -v, --show-nonprinting   use ^ and M- notation, except for LFD and TAB
",
    ),
    (
        "cp",
        &["[OPTION]... SOURCE DEST", "[OPTION]... SOURCE... DIRECTORY"],
        "Copy SOURCE to DEST, or multiple SOURCE(s) to DIRECTORY.\n\n",
        "  -a                           same as -r
  -f, --force                  (ignored)
  -p                           (ignored)
  -R, -r, --recursive          copy directories recursively
  -v, --verbose                (ignored)
",
    ),
    (
        "cut",
        &["OPTION... [FILE]..."],
        "Print selected parts of lines from each FILE to standard output.\n\n\
         With no FILE, or when FILE is -, read standard input.\n\n",
        "  -b, --bytes=LIST        same as -c
  -c, --characters=LIST   select only these characters
  -d, --delimiter=DELIM   use DELIM instead of TAB for field delimiter
  -f, --fields=LIST       select only these fields;  also print any line
                            that contains no delimiter character, unless
                            the -s option is specified
  -s, --only-delimited    do not print lines not containing delimiters
",
    ),
    (
        "date",
        &["[OPTION]... [+FORMAT]"],
        "Display date and time in the given FORMAT.\n\n",
        "  -d @SECONDS                display the time so many seconds after 1970
  -I[FMT]                    output date/time in ISO 8601 format;
                               FMT is 'seconds' or nothing
  -R                         output date and time in RFC 5322 format
  -u, --utc, --universal     (ignored: the hosts are in UTC)
",
    ),
    (
        "env",
        &["[OPTION]... [-] [NAME=VALUE]... [COMMAND [ARG]...]"],
        "Set each NAME to VALUE in the environment and run COMMAND.\n\n",
        "  -i                   start with an empty environment
  -u NAME              remove variable from the environment
",
    ),
    (
        "grep",
        &["[OPTION]... PATTERNS [FILE]..."],
        "Search for PATTERNS in each FILE.\n\
         Example: grep -i 'hello world' menu.h main.c\n\
         PATTERNS can contain multiple patterns separated by newlines.\n\n",
        "Pattern selection and interpretation:
  -E, --extended-regexp     PATTERNS are extended regular expressions
  -F, --fixed-strings       PATTERNS are strings
  -G, --basic-regexp        PATTERNS are basic regular expressions
  -e, --regexp=PATTERNS     use PATTERNS for matching
  -f, --file=FILE           take PATTERNS from FILE
  -i, --ignore-case         ignore case distinctions in patterns and data
  -w, --word-regexp         match only whole words
  -x, --line-regexp         match only whole lines

Miscellaneous:
  -s, --no-messages         suppress error messages
  -v, --invert-match        select non-matching lines

Output control:
  -m, --max-count=NUM       stop after NUM selected lines
  -n, --line-number         print line number with output lines
  -H, --with-filename       print file name with output lines
  -h, --no-filename         suppress the file name prefix on output
  -o, --only-matching       show only nonempty parts of lines that match
  -q, --quiet, --silent     suppress all normal output
  -r, --recursive           search the files in directories
  -L, --files-without-match  print only names of FILEs with no selected lines
  -l, --files-with-matches  print only names of FILEs with selected lines
  -c, --count               print only a count of selected lines per FILE

Context control:
  -B, --before-context=NUM  print NUM lines of leading context
  -A, --after-context=NUM   print NUM lines of trailing context
  -C, --context=NUM         print NUM lines of output context

",
    ),
    (
        "head",
        &["[OPTION]... [FILE]..."],
        "Print the first 10 lines of each FILE to standard output.\n\
         With more than one FILE, precede each with a header giving the file name.\n\n\
         With no FILE, or when FILE is -, read standard input.\n\n",
        "  -c, --bytes=[-]NUM       print the first NUM bytes of each file;
                             with the leading '-', print all but the last
                             NUM bytes of each file
  -n, --lines=[-]NUM       print the first NUM lines instead of the first 10;
                             with the leading '-', print all but the last
                             NUM lines of each file
  -q, --quiet, --silent    never print headers giving file names
  -v, --verbose            always print headers giving file names
",
    ),
    (
        "id",
        &["[OPTION]... [USER]..."],
        "Print user and group information for the current process.\n\n",
        "  -g, --group    print only the effective group ID
  -G, --groups   print all group IDs
  -n, --name     print a name instead of a number, for -ugG
  -u, --user     print only the effective user ID
",
    ),
    (
        "ls",
        &["[OPTION]... [FILE]..."],
        "List information about the FILEs (the current directory by default).\n\n",
        "  -a, --all                  do not ignore entries starting with .
  -A, --almost-all           do not list implied . and ..
  -d, --directory            list directories themselves, not their contents
  -F, --classify             append indicator (/) to directories
  -G, -n                     (ignored)
  -h, --human-readable       with -l, print sizes like 1K 234M 2G
  -l                         use a long listing format
  -m                         fill width with a comma separated list of entries
  -r, --reverse              reverse order while sorting
  -R, --recursive            list subdirectories recursively
  -S                         sort by file size, largest first
  -t                         sort by time, newest first
  -1                         list one file per line
",
    ),
    (
        "mkdir",
        &["[OPTION]... DIRECTORY..."],
        "Create the DIRECTORY(ies), if they do not already exist.\n\n",
        "  -p, --parents     no error if existing, make parent directories as needed
  -v, --verbose     (ignored)
",
    ),
    (
        "mv",
        &["[OPTION]... SOURCE DEST", "[OPTION]... SOURCE... DIRECTORY"],
        "Rename SOURCE to DEST, or move SOURCE(s) to DIRECTORY.\n\n",
        "  -f, --force                  (ignored)
  -v, --verbose                (ignored)
",
    ),
    (
        "printenv",
        &["[OPTION]... [VARIABLE]..."],
        "Print the values of the specified environment VARIABLE(s).\n\
         If no VARIABLE is specified, print name and value pairs for them all.\n\n",
        "",
    ),
    ("pwd", &["[OPTION]..."], "Print the full filename of the current working directory.\n\n", ""),
    (
        "rm",
        &["[OPTION]... [FILE]..."],
        "Remove (unlink) the FILE(s).\n\n",
        "  -f, --force           ignore nonexistent files and arguments
  -i                    (ignored)
  -r, -R, --recursive   remove directories and their contents recursively
  -v, --verbose         (ignored)
",
    ),
    (
        "rmdir",
        &["[OPTION]... DIRECTORY..."],
        "Remove the DIRECTORY(ies), if they are empty.\n\n",
        "  -p, --parents     (ignored)
  -v, --verbose     (ignored)
",
    ),
    (
        "seq",
        &["[OPTION]... LAST", "[OPTION]... FIRST LAST", "[OPTION]... FIRST INCREMENT LAST"],
        "Print whole numbers from FIRST to LAST, in steps of INCREMENT.\n\n",
        "",
    ),
    (
        "sleep",
        &["NUMBER[SUFFIX]...", "OPTION"],
        "Pause for NUMBER seconds.  SUFFIX may be 's' for seconds (the default),\n\
         'm' for minutes, 'h' for hours or 'd' for days.  NUMBER need not be an\n\
         integer.  Given two or more arguments, pause for the amount of time\n\
         specified by the sum of their values.\n\n",
        "",
    ),
    (
        "sort",
        &["[OPTION]... [FILE]..."],
        "Write sorted concatenation of all FILE(s) to standard output.\n\n\
         With no FILE, or when FILE is -, read standard input.\n\n",
        "  -b, --ignore-leading-blanks  (ignored)
  -f, --ignore-case           fold lower case to upper case characters
  -k, --key=KEYDEF            sort via a key; KEYDEF gives location and type
  -n, --numeric-sort          compare according to string numerical value
  -o, --output=FILE           write result to FILE instead of standard output
  -r, --reverse               reverse the result of comparisons
  -s, --stable                stabilize sort by disabling last-resort comparison
  -t, --field-separator=SEP   use SEP instead of non-blank to blank transition
  -u, --unique                output only the first of an equal run
",
    ),
    (
        "tail",
        &["[OPTION]... [FILE]..."],
        "Print the last 10 lines of each FILE to standard output.\n\
         With more than one FILE, precede each with a header giving the file name.\n\n\
         With no FILE, or when FILE is -, read standard input.\n\n",
        "  -c, --bytes=[+]NUM       output the last NUM bytes; or use -c +NUM to
                             output starting with byte NUM of each file
  -f, --follow             output appended data as the file grows
  -F                       the same, also of a file that is not there yet
  -n, --lines=[+]NUM       output the last NUM lines, instead of the last 10;
                             or use -n +NUM to output starting with line NUM
  -q, --quiet, --silent    never output headers giving file names
  -s, --sleep-interval=N   with -f, sleep for approximately N seconds
                             (default 1.0) between iterations
  -v, --verbose            always output headers giving file names
",
    ),
    (
        "tee",
        &["[OPTION]... [FILE]..."],
        "Copy standard input to each FILE, and also to standard output.\n\n",
        "  -a, --append              append to the given FILEs, do not overwrite
  -i, --ignore-interrupts   (ignored)
",
    ),
    (
        "touch",
        &["[OPTION]... FILE..."],
        "Update the access and modification times of each FILE to the current time.\n\n\
         A FILE argument that does not exist is created empty.\n\n",
        "  -a, -c, -m             (ignored)
",
    ),
    (
        "uname",
        &["[OPTION]..."],
        "Print certain system information.  With no OPTION, same as -s.\n\n",
        "  -a                       print all information, in the following order
  -s                       print the kernel name
  -n                       print the network node hostname
  -r                       print the kernel release
  -v                       print the kernel version
  -m                       print the machine hardware name
  -o                       print the operating system
",
    ),
    (
        "uniq",
        &["[OPTION]... [INPUT]"],
        "Filter adjacent matching lines from INPUT (or standard input),\n\
         writing to standard output.\n\n\
         With no options, matching lines are merged to the first occurrence.\n\n",
        "  -c, --count           prefix lines by the number of occurrences
  -d, --repeated        only print duplicate lines, one for each group
  -i, --ignore-case     ignore differences in case when comparing
  -u, --unique          only print unique lines
",
    ),
    (
        "wc",
        &["[OPTION]... [FILE]..."],
        "Print newline, word, and byte counts for each FILE, and a total line if\n\
         more than one FILE is specified.\n\n\
         With no FILE, or when FILE is -, read standard input.\n\n",
        "  -c, --bytes            print the byte counts
  -m, --chars            print the character counts
  -l, --lines            print the newline counts
  -w, --words            print the word counts
",
    ),
    (
        "whoami",
        &["[OPTION]..."],
        "Print the user name associated with the current effective user ID.\n\
         Same as id -un.\n\n",
        "",
    ),
];

/// What a program's `--help` prints.
fn page(name: &str) -> String {
    let Ok(at) = PAGES.binary_search_by(|p| p.0.cmp(name)) else {
        return format!("Usage: {name} [OPTION]...\n\n{BOTH}");
    };
    let (_, forms, purpose, options) = PAGES[at];
    let lines = forms.iter().enumerate().map(|(n, form)| {
        let head = if n == 0 { "Usage:" } else { "  or: " };
        format!("{head} {name} {form}\n")
    });
    format!("{}{purpose}{options}{BOTH}", lines.collect::<String>())
}

fn version(name: &str) -> String {
    format!("{name} (netarium) {}\n", env!("CARGO_PKG_VERSION"))
}

/// Says what GNU's tools say about options that could not be read; answers `--help` and
/// `--version`, which end the reading. Gives the exit code; `code` is that of a wrong option.
pub(crate) async fn refuse(process: &Process, name: &str, error: &OptError, code: i32) -> i32 {
    match error {
        OptError::Help => process.print(&page(name)).await,
        OptError::Version => process.print(&version(name)).await,
        wrong => return super::input::usage(process, name, &wrong.gnu(), code).await,
    }
    0
}

/// Answers `--help` and `--version` of a program that reads its words itself. True when it did.
pub(crate) async fn answered(process: &Process, name: &str) -> bool {
    let args = process.args();
    let words = args.iter().skip(1).take_while(|w| *w != "--");
    for word in words.filter(|w| w.len() > 3) {
        if "--help".starts_with(word.as_str()) {
            process.print(&page(name)).await;
            return true;
        }
        if "--version".starts_with(word.as_str()) {
            process.print(&version(name)).await;
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_and_begin_as_gnus() {
        assert!(PAGES.is_sorted_by_key(|p| p.0));
        let first = |name: &str| page(name).lines().next().map(str::to_owned);
        for (name, _, purpose, options) in PAGES {
            assert!(page(name).ends_with(BOTH), "{name}");
            assert!(purpose.ends_with("\n\n") && !page(name).contains("\n\n\n"), "{name}");
            assert!(options.is_empty() || options.ends_with('\n'), "{name}");
        }
        assert_eq!(first("cat").as_deref(), Some("Usage: cat [OPTION]... [FILE]..."));
        assert_eq!(first("cp").as_deref(), Some("Usage: cp [OPTION]... SOURCE DEST"));
        assert!(page("seq").contains("\n  or:  seq [OPTION]... FIRST LAST\n"));
    }
}
