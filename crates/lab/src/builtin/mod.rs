//! The labs that come with the program.

use bytes::Bytes;

use crate::error::LabErrors;
use crate::files::Files;
use crate::model::Lab;

/// A lab that comes with the program.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Its title in English.
    pub title: &'static str,
    /// Its title in Korean.
    pub title_ko: &'static str,
    /// The text of its lab file.
    pub toml: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

impl BuiltIn {
    /// The files of its folder, without the lab file.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        for (path, contents) in self.files {
            // A test puts every file of every lab in its place.
            let _ = files.insert(path, Bytes::from_static(contents));
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

macro_rules! lab_file {
    ($path:literal) => {
        include_bytes!(concat!("../../labs/", $path)).as_slice()
    };
}

const LABS: &[BuiltIn] = &[
    BuiltIn {
        name: "course",
        title: "The class network",
        title_ko: "수업 네트워크",
        toml: include_str!("../../labs/course/lab.toml"),
        files: &[
            ("htdocs/favicon.ico", lab_file!("course/htdocs/favicon.ico")),
            ("htdocs/favicon.svg", lab_file!("course/htdocs/favicon.svg")),
            ("htdocs/index.html", lab_file!("course/htdocs/index.html")),
            ("htdocs/menu/index.html", lab_file!("course/htdocs/menu/index.html")),
            ("htdocs/network.svg", lab_file!("course/htdocs/network.svg")),
        ],
    },
    BuiltIn {
        name: "dns",
        title: "Names: from the root down",
        title_ko: "이름 찾기: 루트부터 차례로",
        toml: include_str!("../../labs/dns/lab.toml"),
        files: &[
            ("htdocs/index.html", lab_file!("dns/htdocs/index.html")),
            ("zones/10.0.0.zone", lab_file!("dns/zones/10.0.0.zone")),
            ("zones/lab.zone", lab_file!("dns/zones/lab.zone")),
            ("zones/root.hints", lab_file!("dns/zones/root.hints")),
            ("zones/root.zone", lab_file!("dns/zones/root.zone")),
            ("zones/shop.lab.zone", lab_file!("dns/zones/shop.lab.zone")),
        ],
    },
    BuiltIn {
        name: "two-firewalls",
        title: "Two firewalls",
        title_ko: "방화벽 두 개",
        toml: include_str!("../../labs/two-firewalls/lab.toml"),
        files: &[("htdocs/index.html", lab_file!("two-firewalls/htdocs/index.html"))],
    },
    BuiltIn {
        name: "two-hosts",
        title: "Two hosts on one switch",
        title_ko: "스위치 하나에 호스트 둘",
        toml: include_str!("../../labs/two-hosts/lab.toml"),
        files: &[("htdocs/index.html", lab_file!("two-hosts/htdocs/index.html"))],
    },
];

/// All built-in labs, by name.
pub fn builtins() -> &'static [BuiltIn] {
    LABS
}

/// The built-in lab of this name.
pub fn builtin(name: &str) -> Option<&'static BuiltIn> {
    LABS.iter().find(|lab| lab.name == name)
}
