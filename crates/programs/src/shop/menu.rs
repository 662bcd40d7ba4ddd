//! What is sold, and who may sign in: `shop.json`.

use netarium_world::process::Process;
use serde::{Deserialize, Serialize};

/// Dishes at most.
const DISHES_MAX: usize = 200;

/// The menu.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Menu {
    pub(super) dishes: Vec<Dish>,
    #[serde(default)]
    users: Vec<User>,
}

/// A dish.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dish {
    pub(super) id: u32,
    pub(super) name: Names,
    /// Won.
    pub(super) price: u32,
    /// A colour for its picture.
    #[serde(default)]
    colour: String,
}

/// A name in both languages.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) en: String,
    pub(super) ko: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    password: String,
}

impl Menu {
    /// Reads a menu of the host.
    pub(super) fn read(process: Process, path: &str) -> Result<Menu, String> {
        let bytes = process.read_file(path).map_err(|e| e.to_string())?;
        Menu::parse(&bytes)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Menu, String> {
        let menu: Menu = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if menu.dishes.len() > DISHES_MAX {
            return Err(format!("more than {DISHES_MAX} dishes"));
        }
        Ok(menu)
    }

    /// The dish of a number.
    pub(super) fn dish(&self, id: u64) -> Option<&Dish> {
        self.dishes.iter().find(|d| u64::from(d.id) == id)
    }

    /// Whether this is somebody's name and password.
    pub(super) fn knows(&self, name: &str, password: &str) -> bool {
        self.users.iter().any(|u| u.name == name && u.password == password)
    }
}
