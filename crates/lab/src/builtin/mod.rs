//! The labs that come with the program.

use std::sync::LazyLock;

use bytes::Bytes;
use include_dir::{Dir, DirEntry, include_dir};

use crate::error::LabErrors;
use crate::files::Files;
use crate::model::{Lab, Title};

/// `labs/`: a folder for each, with its `lab.toml`.
static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/labs");

static LABS: LazyLock<Vec<BuiltIn>> = LazyLock::new(|| {
    let mut labs: Vec<BuiltIn> = FOLDER.dirs().filter_map(BuiltIn::new).collect();
    labs.sort_by_key(|lab| lab.name);
    labs
});

/// What a lab has from another one: the lab, a folder of it, and the lab whose files are there.
const SHARED: [(&str, &str, &str); 1] = [("course", "shop", "shop")];

/// A lab that comes with the program.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// What people read.
    pub title: Title,
    /// The text of its lab file.
    pub toml: &'static str,
    folder: &'static Dir<'static>,
}

impl BuiltIn {
    fn new(folder: &'static Dir<'static>) -> Option<BuiltIn> {
        let name = folder.path().to_str()?;
        let toml = folder.get_file(folder.path().join("lab.toml"))?.contents_utf8()?;
        Some(BuiltIn { name, title: title(toml), toml, folder })
    }

    /// The files of its folder, without the lab file. The lab `course` has a folder `shop` with those
    /// of the lab `shop`.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        put(self.folder, self.folder, "", &mut files);
        for (_, place, from) in SHARED.iter().filter(|(lab, ..)| *lab == self.name) {
            if let Some(folder) = FOLDER.get_dir(from) {
                put(folder, folder, &format!("{place}/"), &mut files);
            }
        }
        files
    }

    /// The lab, validated.
    ///
    /// # Errors
    /// Only when `known_programs` lacks a program that the lab starts.
    pub fn load(&self, known_programs: &[&str]) -> Result<Lab, LabErrors> {
        let file_name = format!("{}/lab.toml", self.name);
        Lab::from_parts(&file_name, self.toml, &self.files(), known_programs)
    }
}

fn put(of: &Dir<'static>, root: &Dir<'static>, place: &str, files: &mut Files) {
    for entry in of.entries() {
        match entry {
            DirEntry::Dir(dir) => put(dir, root, place, files),
            DirEntry::File(file) => {
                let Ok(path) = file.path().strip_prefix(root.path()) else { continue };
                // Paths have `/` between their parts on every system.
                let path = path.to_string_lossy().replace('\\', "/");
                if path != "lab.toml" {
                    // A test puts every file of every lab in its place.
                    let _ = files
                        .insert(&format!("{place}{path}"), Bytes::from_static(file.contents()));
                }
            }
        }
    }
}

/// The title, without the checks: a test loads every lab.
fn title(toml: &str) -> Title {
    let Ok(table) = toml.parse::<toml::Table>() else { return Title::default() };
    let title = table.get("lab").and_then(|lab| lab.get("title"));
    let text = |language: &str| {
        let text = title.and_then(|t| t.get(language).or(t.is_str().then_some(t)));
        text.and_then(toml::Value::as_str).map(str::to_owned)
    };
    Title { en: text("en"), ko: text("ko") }
}

/// All built-in labs, by name.
pub fn builtins() -> &'static [BuiltIn] {
    &LABS
}

/// The built-in lab of this name.
pub fn builtin(name: &str) -> Option<&'static BuiltIn> {
    LABS.iter().find(|lab| lab.name == name)
}
