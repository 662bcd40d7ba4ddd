//! Windows' `tasklist` and `taskkill`.

use std::fmt::Write as _;

use netarium_world::process::{LocalBoxFuture, Process, ProcessInfo, signal};

const TASKLIST: &str = "
TASKLIST [/SVC | /V] [/FI filter] [/FO format] [/NH]

Description:
    This tool displays a list of currently running processes.

Parameter List:
   /SVC                      Displays services hosted in each process.

   /V                        Displays verbose task information.

   /FI      filter           Displays a set of tasks that match the
                             given criteria specified by the filter.

   /FO      format           Specifies the output format.
                             Valid values: \"TABLE\", \"LIST\", \"CSV\".

   /NH                       Specifies that the \"Column Header\" should
                             not be displayed in the output.
                             Valid only for \"TABLE\" and \"CSV\" formats.

   /?                        Displays this help message.

Filters:
    Filter Name     Valid Operators           Valid Value(s)
    -----------     ---------------           --------------------------
    STATUS          eq, ne                    RUNNING | SUSPENDED
    IMAGENAME       eq, ne                    Image name
    PID             eq, ne, gt, lt, ge, le    PID value

Examples:
    TASKLIST
    TASKLIST /V /FO CSV
    TASKLIST /SVC /FO LIST
    TASKLIST /FI \"PID gt 1000\"
    TASKLIST /FI \"IMAGENAME eq httpd.exe\"
";

const TASKKILL: &str = "
TASKKILL { /PID processid | /IM imagename } [/T] [/F]

Description:
    This tool is used to terminate tasks by process id (PID) or image name.

Parameter List:
    /PID  processid            Specifies the PID of the process to be terminated.

    /IM   imagename            Specifies the image name of the process
                               to be terminated.

    /T                         Terminates the specified process and any
                               child processes which were started by it.

    /F                         Specifies to forcefully terminate the process(es).

    /?                         Displays this help message.

Examples:
    TASKKILL /IM httpd.exe
    TASKKILL /PID 1230 /PID 1241 /T
    TASKKILL /F /IM nc.exe
";

/// A word as an option: upper case, and `-` is as good as `/`.
fn switch(word: &str) -> String {
    let upper = word.to_ascii_uppercase();
    upper.strip_prefix('-').map_or_else(|| upper.clone(), |name| format!("/{name}"))
}

/// A process as Windows lists it.
fn image(p: &ProcessInfo) -> String {
    format!("{}.exe", p.name.rsplit('/').next().unwrap_or(&p.name))
}

/// A condition of `/FI`: `PID eq 100`, `IMAGENAME eq httpd.exe`.
fn condition(text: &str) -> Result<impl Fn(&ProcessInfo) -> bool + use<>, String> {
    let bad = "ERROR: The search filter cannot be recognized.\n";
    let mut words = text.split_whitespace();
    let (Some(key), Some(op), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad.to_owned());
    };
    let (key, op) = (key.to_ascii_uppercase(), op.to_ascii_lowercase());
    let value = value.to_ascii_lowercase();
    let number = value.parse::<u32>().ok();
    let known = match key.as_str() {
        "PID" => number.is_some() && matches!(op.as_str(), "eq" | "ne" | "gt" | "lt" | "ge" | "le"),
        "IMAGENAME" | "STATUS" => matches!(op.as_str(), "eq" | "ne"),
        _ => false,
    };
    if !known {
        return Err(bad.to_owned());
    }
    Ok(move |p: &ProcessInfo| {
        let (have, wanted) = (p.pid.0, number.unwrap_or(0));
        let same = match key.as_str() {
            "PID" => have == wanted,
            "STATUS" => value == if p.stopped { "suspended" } else { "running" },
            _ => match value.strip_suffix('*') {
                Some(start) => image(p).to_ascii_lowercase().starts_with(start),
                None => image(p).eq_ignore_ascii_case(&value),
            },
        };
        match op.as_str() {
            "eq" => same,
            "ne" => !same,
            "gt" => have > wanted,
            "lt" => have < wanted,
            "ge" => have >= wanted,
            _ => have <= wanted,
        }
    })
}

/// How the list is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Table,
    List,
    Csv,
}

/// Which columns it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    Usual,
    /// `/SVC`.
    Services,
    /// `/V`.
    Verbose,
}

/// A column: its title, its width in a table, and whether it stands to the right there.
type Column = (&'static str, usize, bool);

const NAMES: [Column; 2] = [("Image Name", 25, false), ("PID", 8, true)];
const USUAL: [Column; 3] =
    [("Session Name", 16, false), ("Session#", 11, true), ("Mem Usage", 12, true)];
const SERVICES: [Column; 1] = [("Services", 44, false)];
const VERBOSE: [Column; 4] = [
    ("Status", 15, false),
    ("User Name", 50, false),
    ("CPU Time", 12, true),
    ("Window Title", 72, false),
];

impl Columns {
    fn all(self) -> Vec<Column> {
        let more: &[&[Column]] = match self {
            Columns::Usual => &[&USUAL],
            Columns::Services => &[&SERVICES],
            Columns::Verbose => &[&USUAL, &VERBOSE],
        };
        [&NAMES[..]].iter().chain(more).flat_map(|c| c.iter().copied()).collect()
    }

    /// What stands in them for a process. Nobody measures memory and processor time here.
    fn cells(self, p: &ProcessInfo) -> Vec<String> {
        let mut cells = vec![image(p), p.pid.to_string()];
        if self == Columns::Services {
            let name = p.name.rsplit('/').next().unwrap_or(&p.name);
            cells.push(if p.daemon { name } else { "N/A" }.to_owned());
            return cells;
        }
        let (session, number) = if p.session { ("Console", "1") } else { ("Services", "0") };
        cells.extend([session, number, "0 K"].map(str::to_owned));
        if self == Columns::Verbose {
            let status = if p.stopped { "Suspended" } else { "Running" };
            let user = "NT AUTHORITY\\SYSTEM";
            cells.extend([status, user, "0:00:00", "N/A"].map(str::to_owned));
        }
        cells
    }
}

/// What `tasklist` is asked for.
struct Wish {
    format: Format,
    columns: Columns,
    header: bool,
}

/// Reads the words behind the program's name, and takes out of `rows` what a filter does not let
/// pass. `None`: the help is asked for.
fn read(args: &[String], rows: &mut Vec<ProcessInfo>) -> Result<Option<Wish>, String> {
    const HINT: &str = "Type \"TASKLIST /?\" for usage.\n";
    let mut wish = Wish { format: Format::Table, columns: Columns::Usual, header: true };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let name = switch(word);
        let mut value = || {
            let missing = || {
                format!(
                    "ERROR: Invalid syntax. Value expected for '{}'.\n{HINT}",
                    word.to_lowercase()
                )
            };
            words.next().ok_or_else(missing)
        };
        match name.as_str() {
            "/?" => return Ok(None),
            "/FI" => rows.retain(condition(value()?)?),
            "/FO" => {
                let value = value()?;
                wish.format = match value.to_ascii_uppercase().as_str() {
                    "TABLE" => Format::Table,
                    "LIST" => Format::List,
                    "CSV" => Format::Csv,
                    _ => {
                        return Err(format!(
                            "ERROR: Invalid syntax. '{value}' value is not allowed for '{}' option.\n{HINT}",
                            word.to_lowercase()
                        ));
                    }
                };
            }
            "/NH" => wish.header = false,
            "/V" | "/SVC" if wish.columns != Columns::Usual => {
                return Err(format!(
                    "ERROR: Invalid syntax. /V and /SVC options cannot be specified together.\n{HINT}"
                ));
            }
            "/V" => wish.columns = Columns::Verbose,
            "/SVC" => wish.columns = Columns::Services,
            _ => return Err(format!("ERROR: Invalid argument/option - '{word}'.\n{HINT}")),
        }
    }
    if !wish.header && wish.format == Format::List {
        return Err(format!(
            "ERROR: Invalid syntax. /NH option is allowed only for \"TABLE\" and \"CSV\" formats.\n{HINT}"
        ));
    }
    Ok(Some(wish))
}

/// `tasklist [/SVC|/V] [/FI "PID eq N"] [/FO TABLE|LIST|CSV] [/NH]`, as Windows prints it.
pub(crate) fn tasklist(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let (args, mut rows) = (process.args(), process.processes());
        match read(args.get(1..).unwrap_or_default(), &mut rows) {
            Ok(Some(wish)) if !rows.is_empty() => process.print(&tasks(&rows, &wish)).await,
            Ok(Some(_)) => {
                let text = "INFO: No tasks are running which match the specified criteria.\n";
                process.print(text).await;
            }
            Ok(None) => process.print(TASKLIST).await,
            Err(why) => {
                process.eprint(&why).await;
                return 1;
            }
        }
        0
    })
}

fn tasks(rows: &[ProcessInfo], wish: &Wish) -> String {
    let columns = wish.columns.all();
    let quoted = |cells: &mut dyn Iterator<Item = &str>| {
        cells.map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(",") + "\n"
    };
    let mut out = if wish.format == Format::Csv { String::new() } else { "\n".to_owned() };
    match wish.format {
        Format::Table if wish.header => {
            out += &row(&columns, columns.iter().map(|c| c.0));
            let rules: Vec<String> = columns.iter().map(|c| "=".repeat(c.1)).collect();
            out += &row(&columns, rules.iter().map(String::as_str));
        }
        Format::Csv if wish.header => out += &quoted(&mut columns.iter().map(|c| c.0)),
        _ => {}
    }
    let title = columns.iter().map(|c| c.0.len()).max().unwrap_or(0) + 1;
    for (n, p) in rows.iter().enumerate() {
        let cells = wish.columns.cells(p);
        match wish.format {
            Format::Table => out += &row(&columns, cells.iter().map(String::as_str)),
            Format::Csv => out += &quoted(&mut cells.iter().map(String::as_str)),
            Format::List => {
                out += if n > 0 { "\n" } else { "" };
                for (column, cell) in columns.iter().zip(&cells) {
                    let _ = writeln!(out, "{:<title$} {cell}", format!("{}:", column.0));
                }
            }
        }
    }
    out
}

/// A row of a table; nothing is cut off at its end.
fn row<'a>(columns: &[Column], cells: impl Iterator<Item = &'a str>) -> String {
    let cells = columns.iter().zip(cells).map(|(&(_, width, right), cell)| {
        if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    });
    let line = cells.collect::<Vec<_>>().join(" ");
    format!("{}\n", line.trim_end())
}

/// `taskkill [/F] [/T] /PID N… | /IM NAME…`, in Windows' words.
pub(crate) fn taskkill(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let (mut force, mut tree, mut wanted) = (false, false, Vec::new());
        let mut words = args.iter().skip(1);
        while let Some(word) = words.next() {
            match switch(word).as_str() {
                "/?" => {
                    process.print(TASKKILL).await;
                    return 0;
                }
                "/F" => force = true,
                "/T" => tree = true,
                key @ ("/PID" | "/IM") => {
                    wanted.push((key == "/PID", words.next().cloned().unwrap_or_default()));
                }
                _ => {
                    let text = format!(
                        "ERROR: Invalid argument/option - '{word}'.\nType \"TASKKILL /?\" for usage.\n"
                    );
                    process.eprint(&text).await;
                    return 1;
                }
            }
        }
        if wanted.is_empty() {
            let text = "ERROR: Invalid syntax. Neither /FI nor /PID nor /IM were specified.\nType \"TASKKILL /?\" for usage.\n";
            process.eprint(text).await;
            return 1;
        }
        let all = process.processes();
        let number = if force { signal::KILL } else { signal::TERM };
        let mut code = 0;
        for (by_pid, word) in wanted {
            let fits = |p: &&ProcessInfo| {
                if by_pid {
                    p.pid.to_string() == word
                } else {
                    image(p).eq_ignore_ascii_case(&word) || p.name == word
                }
            };
            let found: Vec<&ProcessInfo> = all.iter().filter(fits).collect();
            if found.is_empty() {
                process.eprint(&format!("ERROR: The process \"{word}\" not found.\n")).await;
                code = 128;
            }
            for p in found {
                if tree {
                    for child in all.iter().filter(|c| c.ppid == p.pid) {
                        process.kill(child.pid, number);
                    }
                }
                process.kill(p.pid, number);
                let who = match by_pid {
                    true => format!("process with PID {}", p.pid),
                    false => format!("process \"{word}\" with PID {}", p.pid),
                };
                let text = match force {
                    true => format!("SUCCESS: The {who} has been terminated.\n"),
                    false => format!("SUCCESS: Sent termination signal to the {who}.\n"),
                };
                process.print(&text).await;
            }
        }
        code
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::{Instant, Pid};

    fn process(pid: u32, name: &str) -> ProcessInfo {
        ProcessInfo {
            pid: Pid(pid),
            ppid: Pid(1),
            name: name.into(),
            command: name.into(),
            started: Instant::ZERO,
            daemon: true,
            group: Pid(pid),
            stopped: false,
            session: false,
        }
    }

    /// What `tasklist` prints about one process.
    fn list(line: &str) -> String {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let mut rows = vec![process(1234, "httpd")];
        match read(&args, &mut rows) {
            Ok(Some(wish)) => tasks(&rows, &wish),
            Ok(None) => TASKLIST.to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn tasklist_is_windows() {
        insta::assert_snapshot!(list(""), @r"

        Image Name                     PID Session Name        Session#    Mem Usage
        ========================= ======== ================ =========== ============
        httpd.exe                     1234 Services                   0          0 K
        ");
        let keep = |text: &str| condition(text).map(|f| f(&process(1234, "httpd")));
        assert_eq!(keep("PID eq 1234"), Ok(true));
        assert_eq!(keep("pid ne 1234"), Ok(false));
        assert_eq!(keep("IMAGENAME eq HTTPD.EXE"), Ok(true));
        assert_eq!(keep("imagename eq http*"), Ok(true));
        assert!(keep("PID eq x").is_err() && keep("PID").is_err() && keep("FOO eq 1").is_err());
    }

    #[test]
    fn columns_and_formats_of_tasklist() {
        insta::assert_snapshot!(list("/svc"), @r"

        Image Name                     PID Services
        ========================= ======== ============================================
        httpd.exe                     1234 httpd
        ");
        insta::assert_snapshot!(list("-v -fo list"), @r"

        Image Name:   httpd.exe
        PID:          1234
        Session Name: Services
        Session#:     0
        Mem Usage:    0 K
        Status:       Running
        User Name:    NT AUTHORITY\SYSTEM
        CPU Time:     0:00:00
        Window Title: N/A
        ");
        insta::assert_snapshot!(list("/fo csv /nh"), @r#""httpd.exe","1234","Services","0","0 K""#);
        assert!(list("/?").starts_with("\nTASKLIST ["));
        let hint = "Type \"TASKLIST /?\" for usage.\n";
        for (line, why) in [
            ("/FO XML", "Invalid syntax. 'XML' value is not allowed for '/fo' option."),
            ("/FO", "Invalid syntax. Value expected for '/fo'."),
            ("/V /SVC", "Invalid syntax. /V and /SVC options cannot be specified together."),
            ("/X", "Invalid argument/option - '/X'."),
        ] {
            assert_eq!(list(line), format!("ERROR: {why}\n{hint}"), "{line}");
        }
        assert_eq!(
            tasks(
                &[],
                &read(&["-fi".into(), "PID eq 1".into()], &mut Vec::new()).unwrap().unwrap()
            )
            .lines()
            .count(),
            3
        );
    }
}
