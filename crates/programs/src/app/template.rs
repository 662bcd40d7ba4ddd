//! Templates: minijinja's, with a limit on the work that one may make.

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// Steps that rendering may take: a loop that does not end is an error instead.
const FUEL: u64 = 200_000;
/// The longest page, bytes.
const PAGE_MAX: usize = 4 * 1024 * 1024;

/// The templates of a route table.
#[derive(Debug)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    pub(super) fn new() -> Templates {
        let mut environment = Environment::new();
        // A name that is not there is a mistake of the author: an error, not an empty text.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        Templates(environment)
    }

    /// Adds one; what its name ends in decides how values are escaped.
    pub(super) fn add(&mut self, name: &str, text: String) -> Result<(), String> {
        self.0.add_template_owned(name.to_owned(), text).map_err(|e| e.to_string())
    }

    /// Renders one.
    pub(super) fn render(&self, name: &str, context: &Value) -> Result<String, String> {
        let page = self.0.get_template(name).and_then(|t| t.render(context));
        let page = page.map_err(|e| e.to_string())?;
        if page.len() > PAGE_MAX {
            return Err(format!("the page has more than {PAGE_MAX} bytes"));
        }
        Ok(page)
    }
}
