//! A Rust file as the rules see it.
//!
//! Names and attributes come from the token stream, so that what stands inside macro calls is seen
//! and what stands in comments and strings is not; functions and test modules come from the syntax
//! tree. Left out: names that a macro pastes together, and functions inside macro calls.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A parsed Rust file.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Every path that occurs (`std::thread::spawn`, a lone `foo`), with `use` trees spelled out.
    pub(crate) names: Vec<Name>,
    /// Every attribute, also those inside macro calls.
    pub(crate) attributes: Vec<Attribute>,
    /// Every function and method with a body, nested ones too.
    pub(crate) functions: Vec<Function>,
    /// The file modules it declares.
    pub(crate) modules: Vec<Module>,
    /// Lines of the modules that only tests compile.
    test_lines: Vec<RangeInclusive<usize>>,
    /// The whole file is test code.
    pub(crate) is_test: bool,
}

/// A path in the code.
pub(crate) struct Name {
    /// Parts joined by `::`, without generics and without a leading `::`.
    pub(crate) path: String,
    pub(crate) line: usize,
    /// Followed by `!`: a macro call.
    pub(crate) is_macro: bool,
}

/// An attribute without its `#[` and `]`.
pub(crate) struct Attribute {
    pub(crate) tokens: TokenStream,
    pub(crate) line: usize,
}

/// A function with a body.
pub(crate) struct Function {
    /// Modules, type or trait, outer functions and its own name, joined by `::`.
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of its signature to the line of its closing brace.
    pub(crate) lines: usize,
}

/// `mod name;`.
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) is_test: bool,
}

impl Source {
    /// Parses `text`.
    ///
    /// # Errors
    /// The parser's message and the line when this is not Rust.
    pub(crate) fn parse(path: &str, text: String) -> Result<Source, (usize, String)> {
        let at = |e: syn::Error| (e.span().start().line, e.to_string());
        let file = syn::parse_file(&text).map_err(at)?;
        let tokens: TokenStream = text
            .parse()
            .map_err(|e: proc_macro2::LexError| (e.span().start().line, e.to_string()))?;
        let mut seen = Tokens::default();
        seen.stream(tokens, "");
        let mut tree = Tree::default();
        tree.visit_file(&file);
        Ok(Source {
            path: path.to_owned(),
            text,
            names: seen.names,
            attributes: seen.attributes,
            functions: tree.functions,
            modules: tree.modules,
            test_lines: tree.test_lines,
            is_test: is_test_path(path),
        })
    }

    /// Whether only tests compile this line.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// How many lines it has without the test modules inside it.
    pub(crate) fn production_lines(&self) -> usize {
        let tests: usize = self.test_lines.iter().map(|l| l.end() - l.start() + 1).sum();
        self.text.lines().count() - tests
    }

    /// The paths that `mod name;` in this file can stand for.
    pub(crate) fn files_of(&self, module: &str) -> [String; 2] {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let base = match file {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        [format!("{base}/{module}.rs"), format!("{base}/{module}/mod.rs")]
    }
}

/// Whether Cargo builds this file for tests, benchmarks or examples only.
fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz_targets"))
}

/// Collects names and attributes from tokens.
#[derive(Default)]
struct Tokens {
    names: Vec<Name>,
    attributes: Vec<Attribute>,
}

impl Tokens {
    /// Walks `stream`; `prefix` stands before each path in it (inside the braces of a `use`).
    fn stream(&mut self, stream: TokenStream, prefix: &str) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut i = 0;
        while i < tokens.len() {
            match &tokens[i] {
                TokenTree::Ident(_) => i = self.path(&tokens, i, prefix),
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Bracket && follows_hash(&tokens[..i]) {
                        self.attribute(group);
                    }
                    self.stream(group.stream(), "");
                    i += 1;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => i += 1,
            }
        }
    }

    /// Takes the path that starts at `tokens[i]` and returns the index after it.
    fn path(&mut self, tokens: &[TokenTree], mut i: usize, prefix: &str) -> usize {
        let line = tokens[i].span().start().line;
        let mut path = prefix.to_owned();
        loop {
            path += &tokens[i].to_string();
            i += 1;
            if !(is_punct(tokens.get(i), ':') && is_punct(tokens.get(i + 1), ':')) {
                break;
            }
            match tokens.get(i + 2) {
                Some(TokenTree::Ident(_)) => i += 2,
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.stream(group.stream(), &format!("{path}::"));
                    i += 3;
                    break;
                }
                _ => break,
            }
            path += "::";
        }
        let is_macro = is_punct(tokens.get(i), '!') && !is_punct(tokens.get(i + 1), '=');
        self.names.push(Name { path, line, is_macro });
        i
    }

    fn attribute(&mut self, group: &Group) {
        let line = group.span().start().line;
        self.attributes.push(Attribute { tokens: group.stream(), line });
    }
}

/// Whether these tokens end in `#` or `#!`.
fn follows_hash(before: &[TokenTree]) -> bool {
    let hash = if is_punct(before.last(), '!') { before.len() - 1 } else { before.len() };
    hash.checked_sub(1).is_some_and(|i| is_punct(before.get(i), '#'))
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == c)
}

/// Collects functions and modules from the syntax tree.
#[derive(Default)]
struct Tree {
    functions: Vec<Function>,
    modules: Vec<Module>,
    test_lines: Vec<RangeInclusive<usize>>,
    /// The names of what we are inside of.
    scope: Vec<String>,
}

impl Tree {
    fn inside(&mut self, name: String, walk: impl FnOnce(&mut Tree)) {
        self.scope.push(name);
        walk(self);
        self.scope.pop();
    }

    /// Notes a function whose signature and body have these spans.
    fn function(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let line = sig.span().start().line;
        let lines = block.span().end().line + 1 - line;
        let mut name = self.scope.join("::");
        if !name.is_empty() {
            name += "::";
        }
        self.functions.push(Function { name: name + &sig.ident.to_string(), line, lines });
    }
}

impl<'ast> Visit<'ast> for Tree {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        self.inside(item.sig.ident.to_string(), |tree| visit::visit_item_fn(tree, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        self.inside(item.sig.ident.to_string(), |tree| visit::visit_impl_item_fn(tree, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        self.inside(item.sig.ident.to_string(), |tree| visit::visit_trait_item_fn(tree, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.inside(type_name(&item.self_ty), |tree| visit::visit_item_impl(tree, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.inside(item.ident.to_string(), |tree| visit::visit_item_trait(tree, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let (start, end) = (item.span().start().line, item.span().end().line);
        let is_test = item.attrs.iter().any(is_cfg_test);
        if item.content.is_none() {
            let line = item.ident.span().start().line;
            self.modules.push(Module { name: item.ident.to_string(), line, is_test });
        } else if is_test && !self.test_lines.iter().any(|lines| lines.contains(&start)) {
            self.test_lines.push(start..=end);
        }
        self.inside(item.ident.to_string(), |tree| visit::visit_item_mod(tree, item));
    }
}

/// The last name of a type's path: enough to tell two methods of a file apart.
fn type_name(ty: &syn::Type) -> String {
    match ty {
        syn::Type::Path(path) => {
            path.path.segments.last().map_or_else(|| "_".into(), |s| s.ident.to_string())
        }
        syn::Type::Reference(reference) => type_name(&reference.elem),
        _ => "_".into(),
    }
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_cfg_test(attr: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attr.meta else { return false };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        Source::parse("crates/x/src/lib.rs", text.to_owned()).expect("is Rust")
    }

    fn paths(text: &str) -> Vec<String> {
        parse(text).names.into_iter().map(|n| n.path).collect()
    }

    #[test]
    fn names_come_from_code_use_trees_and_macro_calls_but_not_from_comments_or_strings() {
        let seen = paths(
            "// std::comment\nuse std::{thread::{self, sleep}, fs};\n\
             fn f() { m!(a::b(\"std::string\")); }",
        );
        for path in ["std::thread::self", "std::thread::sleep", "std::fs", "a::b"] {
            assert!(seen.iter().any(|s| s == path), "{path} in {seen:?}");
        }
        assert!(!seen.iter().any(|s| s.contains("comment") || s.contains("string")), "{seen:?}");
    }

    #[test]
    fn a_macro_call_is_told_from_a_comparison() {
        let source = parse("fn f() { if a != b { todo!() } }");
        let macros: Vec<&str> =
            source.names.iter().filter(|n| n.is_macro).map(|n| n.path.as_str()).collect();
        assert_eq!(macros, ["todo"]);
    }

    #[test]
    fn functions_are_measured_without_attributes_and_with_what_they_contain() {
        let source = parse(
            "/// Doc.\n#[inline]\nfn outer() {\n    fn inner() {\n    }\n}\n\
             impl A { fn method(&self) {} }\ntrait T { fn none(); fn some() {\n} }",
        );
        let found: Vec<_> =
            source.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        let want =
            [("outer", 3, 4), ("outer::inner", 4, 2), ("A::method", 7, 1), ("T::some", 8, 2)];
        assert_eq!(found, want);
    }

    #[test]
    fn test_modules_do_not_count_as_production() {
        let source = parse("fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n");
        assert_eq!(source.production_lines(), 1);
        assert!(source.is_test_line(4));
        assert!(!source.is_test_line(1));
    }

    #[test]
    fn attributes_are_found_inside_macro_calls() {
        let source = parse("#![allow(x)]\nm! { #[ignore] fn f() {} }\nstruct S { a: [u8; 3] }");
        let found: Vec<_> = source.attributes.iter().map(|a| a.tokens.to_string()).collect();
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_module_is_looked_for_where_cargo_looks() {
        let at = |path: &str| {
            Source::parse(path, String::new()).expect("is Rust").files_of("b")[0].clone()
        };
        assert_eq!(at("crates/x/src/lib.rs"), "crates/x/src/b.rs");
        assert_eq!(at("crates/x/src/a/mod.rs"), "crates/x/src/a/b.rs");
        assert_eq!(at("crates/x/src/a.rs"), "crates/x/src/a/b.rs");
    }
}
