//! Each built-in lab twice, in two processes, with the same seed: captures and traces must be the
//! same byte by byte. The second process gets another working directory, time zone, language and
//! environment, so that a run that looks at the machine is caught.
//!
//! The comparison within one process and between two threads is a test of the labs themselves.

use std::error::Error;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::repo::Repo;

const SEED: &str = "1";
const VIRTUAL_TIME: &str = "30s";

/// Builds the release binary and compares every lab that it lists.
pub(crate) fn run(repo: &Repo) -> Outcome {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace, so that features are unified as for the tests and nothing builds twice.
    let build = ["build", "--release", "--workspace", "--bins", "--locked", "--quiet"];
    if !Command::new(cargo).args(build).current_dir(&repo.root).status()?.success() {
        return Err("determinism: `netarium` does not build".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let target = repo.root.join(target);
    let binary = target.join("release").join(format!("netarium{}", std::env::consts::EXE_SUFFIX));
    compare_labs(&binary, &target.join("determinism"))
}

/// Compares every lab that `binary` lists, with files under `folder`; returns how many differ.
///
/// # Errors
/// When the binary cannot be run, fails, or lists no lab: an empty comparison proves nothing.
fn compare_labs(binary: &Path, folder: &Path) -> Outcome {
    let labs = list_labs(binary)?;
    if labs.is_empty() {
        return Err(format!("determinism: `{} labs` lists no lab", binary.display()).into());
    }
    let mut differences = 0;
    for lab in &labs {
        let first = Run { folder: folder.join(lab).join("first"), elsewhere: false };
        let second = Run { folder: folder.join(lab).join("second"), elsewhere: true };
        first.start(binary, lab)?;
        second.start(binary, lab)?;
        for (what, file) in [("capture", CAPTURE), ("trace", TRACE)] {
            let outcome = compare_files(&first.folder.join(file), &second.folder.join(file))?;
            println!("determinism: {lab}: {what}: {outcome}");
            differences += usize::from(!outcome.is_same());
        }
    }
    println!("determinism: {} labs, each run twice, {differences} differences", labs.len());
    Ok(differences)
}

/// The labs by name: `netarium labs` prints one per line, its name first.
fn list_labs(binary: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let out = Command::new(binary)
        .arg("labs")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("determinism: cannot run {}: {e}", binary.display()))?;
    if !out.status.success() {
        return Err(format!("determinism: `netarium labs` ended with {}", out.status).into());
    }
    let text = String::from_utf8(out.stdout)?;
    Ok(text.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect())
}

const CAPTURE: &str = "capture.pcapng";
const TRACE: &str = "trace.jsonl";

/// One run of a lab.
struct Run {
    /// Where its files go.
    folder: PathBuf,
    /// In another environment than ours.
    elsewhere: bool,
}

impl Run {
    /// Runs `lab` to its end; what it prints goes into files beside its capture.
    fn start(&self, binary: &Path, lab: &str) -> Result<(), Box<dyn Error>> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        std::fs::create_dir_all(&self.folder)?;
        let stderr = self.folder.join("stderr.txt");
        let mut command = Command::new(binary);
        command.args(["run", lab, "--seed", SEED, "--for", VIRTUAL_TIME]);
        command.arg("--pcap").arg(self.folder.join(CAPTURE));
        command.arg("--trace").arg(self.folder.join(TRACE));
        command.stdin(Stdio::null());
        command.stdout(std::fs::File::create(self.folder.join("stdout.txt"))?);
        command.stderr(std::fs::File::create(&stderr)?);
        if self.elsewhere {
            command.current_dir(&self.folder).env("TZ", "Asia/Seoul").env("LANG", "ko_KR.UTF-8");
            command.env("HOME", &self.folder).env("NETARIUM_DETERMINISM_RUN", "second");
        }
        let status = command.status()?;
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string(&stderr).unwrap_or_default();
        Err(format!("determinism: `netarium run {lab}` ended with {status}:\n{said}").into())
    }
}

/// What the comparison of two files found.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    /// Equal, with this size in bytes and FNV-1a hash.
    Same { size: u64, hash: u64 },
    /// Nothing was written, so nothing was compared.
    Empty,
    /// First different byte (counted from 0; `None` is the end of a file), and both sizes.
    Different { offset: u64, bytes: [Option<u8>; 2], sizes: [u64; 2] },
}

impl Comparison {
    fn is_same(&self) -> bool {
        matches!(self, Comparison::Same { .. })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Comparison::Same { size, hash } => write!(f, "same, {size} bytes, fnv1a {hash:016x}"),
            Comparison::Empty => write!(f, "EMPTY: nothing was compared"),
            Comparison::Different { offset, bytes, sizes } => {
                let show = |b: Option<u8>| b.map_or("end of file".into(), |b| format!("{b:#04x}"));
                let [a, b] = bytes.map(show);
                let [m, n] = sizes;
                write!(f, "DIFFERENT at offset {offset}: {a} against {b}; sizes {m} and {n} bytes")
            }
        }
    }
}

/// Reads both files side by side to the first difference.
fn compare_files(first: &Path, second: &Path) -> Result<Comparison, Box<dyn Error>> {
    let open = |path: &Path| {
        std::fs::File::open(path).map_err(|e| format!("determinism: {}: {e}", path.display()))
    };
    let (a, b) = (open(first)?, open(second)?);
    let sizes = [a.metadata()?.len(), b.metadata()?.len()];
    let mut bytes = [BufReader::new(a).bytes(), BufReader::new(b).bytes()];
    let mut hash = Fnv1a::default();
    for offset in 0.. {
        let [a, b] = &mut bytes;
        match (a.next().transpose()?, b.next().transpose()?) {
            (None, None) if offset == 0 => return Ok(Comparison::Empty),
            (None, None) => return Ok(Comparison::Same { size: offset, hash: hash.0 }),
            (Some(a), Some(b)) if a == b => hash.add(a),
            (a, b) => return Ok(Comparison::Different { offset, bytes: [a, b], sizes }),
        }
    }
    Err(io::Error::other("a file without end").into())
}

/// A name for the bytes, to compare between machines by eye; sameness is proven byte by byte.
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Fnv1a(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fresh folder for one test, below the target folder.
    fn folder(test: &str) -> PathBuf {
        let exe = std::env::current_exe().expect("a test has a path");
        let folder = exe.with_file_name(format!("determinism-{test}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("can write beside the test");
        folder
    }

    fn compare(test: &str, a: &[u8], b: &[u8]) -> Comparison {
        let folder = folder(test);
        let paths = [folder.join("a"), folder.join("b")];
        std::fs::write(&paths[0], a).expect("can write");
        std::fs::write(&paths[1], b).expect("can write");
        compare_files(&paths[0], &paths[1]).expect("can read")
    }

    #[test]
    fn equal_files_are_the_same_with_size_and_hash() {
        let same = compare("same", b"foobar", b"foobar");
        // The published test vector of FNV-1a, 64 bits.
        assert_eq!(same, Comparison::Same { size: 6, hash: 0x8594_4171_f739_67e8 });
        assert!(same.is_same());
    }

    #[test]
    fn the_first_difference_is_named() {
        let long = vec![7u8; 100_000];
        let mut other = long.clone();
        other[70_001] = 9;
        other[80_000] = 1;
        let sizes = [100_000, 100_000];
        let want = Comparison::Different { offset: 70_001, bytes: [Some(7), Some(9)], sizes };
        let found = compare("different", &long, &other);
        assert_eq!(found, want);
        assert!(found.to_string().contains("offset 70001: 0x07 against 0x09"), "{found}");
        let found = compare("shorter", b"abc", b"ab");
        let want = Comparison::Different { offset: 2, bytes: [Some(b'c'), None], sizes: [3, 2] };
        assert_eq!(found, want);
        assert!(!found.is_same());
    }

    #[test]
    fn empty_files_prove_nothing() {
        assert_eq!(compare("empty", b"", b""), Comparison::Empty);
        assert!(!Comparison::Empty.is_same());
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let gone = folder("missing").join("gone.pcapng");
        let why = compare_files(&gone, &gone).expect_err("is not there").to_string();
        assert!(why.contains("gone.pcapng"), "{why}");
    }

    /// A stand-in for the binary, written in sh: `$3` … are `--seed 1 --for 30s --pcap F --trace F`.
    #[cfg(unix)]
    fn stand_in(folder: &Path, labs: &str, run: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let script = folder.join("netarium");
        let body = format!(
            "#!/bin/sh\nif [ \"$1\" = labs ]; then printf '{labs}'; exit 0; fi\n\
             [ \"$1 $3 $5 $7 $9\" = 'run --seed --for --pcap --trace' ] || exit 3\n\
             shift 7; pcap=$1; trace=$3\n{run}\n"
        );
        std::fs::write(&script, body).expect("can write");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&script, executable).expect("can make it executable");
        // A process that another test forks meanwhile may hold the file open for writing a while.
        let busy = std::io::ErrorKind::ExecutableFileBusy;
        let probe = || Command::new(&script).arg("labs").output();
        while probe().is_err_and(|e| e.kind() == busy) {}
        script
    }

    #[cfg(unix)]
    fn outcome(test: &str, labs: &str, run: &str) -> Result<usize, String> {
        let folder = folder(test);
        let binary = stand_in(&folder, labs, run);
        compare_labs(&binary, &folder.join("files")).map_err(|e| e.to_string())
    }

    #[cfg(unix)]
    #[test]
    fn labs_that_run_alike_pass_and_labs_that_look_at_the_machine_do_not() {
        let labs = "course\\tThe whole network\\nnat  Two firewalls\\n";
        let write = "echo packets >\"$pcap\"; echo events >\"$trace\"";
        assert_eq!(outcome("alike", labs, write), Ok(0));
        let home = "echo packets >\"$pcap\"; echo \"$HOME\" >\"$trace\"";
        assert_eq!(outcome("home", labs, home), Ok(2));
        let clock = "pwd >\"$pcap\"; echo events >\"$trace\"";
        assert_eq!(outcome("clock", labs, clock), Ok(2));
        let nothing = ": >\"$pcap\"; : >\"$trace\"";
        assert_eq!(outcome("nothing", labs, nothing), Ok(4));
    }

    #[cfg(unix)]
    #[test]
    fn no_labs_a_failing_run_and_a_missing_file_are_errors() {
        let no_labs = outcome("no-labs", "", ":").expect_err("nothing was compared");
        assert!(no_labs.contains("lists no lab"), "{no_labs}");
        let failing = outcome("failing", "course\\n", "echo why >&2; exit 7");
        let failing = failing.expect_err("the run failed");
        assert!(failing.contains("run course") && failing.contains("why"), "{failing}");
        let silent = outcome("silent", "course\\n", "echo x >\"$pcap\"");
        assert!(silent.expect_err("no trace").contains(TRACE));
    }
}
