//! What a page or a style sheet refers to: sub-resources and forms.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use url::Url;

/// The most sub-resources of one page.
pub(super) const RESOURCES_MAX: usize = 200;
/// The most forms, and fields of one form.
const FORMS_MAX: usize = 50;
const FIELDS_MAX: usize = 500;

/// What a sub-resource is used as; the value of `Sec-Fetch-Dest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Document,
    Frame,
    Style,
    Script,
    Image,
    Font,
    Media,
}

impl Use {
    pub(super) fn name(self) -> &'static str {
        match self {
            Use::Document => "document",
            Use::Frame => "iframe",
            Use::Style => "style",
            Use::Script => "script",
            Use::Image => "image",
            Use::Font => "font",
            Use::Media => "video",
        }
    }

    /// The value of `Accept`, as Chromium sends it.
    pub(super) fn accept(self) -> &'static str {
        match self {
            Use::Document | Use::Frame => {
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
                 image/apng,*/*;q=0.8"
            }
            Use::Style => "text/css,*/*;q=0.1",
            Use::Image => "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
            Use::Script | Use::Font | Use::Media => "*/*",
        }
    }
}

/// A reference, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) url: Url,
    pub(super) used_as: Use,
}

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) id: Option<String>,
    pub(super) action: Option<String>,
    pub(super) post: bool,
    /// Names and values as they stand in the page.
    pub(super) fields: Vec<(String, String)>,
}

/// What a page says.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) references: Vec<Reference>,
    pub(super) forms: Vec<Form>,
    /// Whether the page names its icon.
    pub(super) icon: bool,
    /// References beyond the limit.
    pub(super) left_out: usize,
}

impl Page {
    /// Reads HTML; `url` is the page's own.
    pub(super) fn parse(html: &[u8], url: &Url) -> Page {
        let mut reader = Reader {
            page: Page::default(),
            base: url.clone(),
            inside: Inside::Nothing,
            form: None,
            area: None,
            option: None,
        };
        let mut emitter = DefaultEmitter::default();
        // What stands in a script or a title is text, whatever it looks like.
        emitter.naively_switch_states(true);
        let mut tokens = Tokenizer::new_with_emitter(html, emitter);
        for Ok(token) in tokens.by_ref() {
            match token {
                Token::StartTag(tag) => reader.start(&tag),
                Token::EndTag(tag) => reader.end(&tag.name),
                Token::String(text) => reader.text(&text),
                Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
        }
        reader.close_form();
        reader.page
    }
}

/// Where the text that comes belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    Title,
    Style,
}

struct Reader {
    page: Page,
    base: Url,
    inside: Inside,
    form: Option<Form>,
    /// A text area: its name and text.
    area: Option<(String, String)>,
    /// The name of the select, and whether it has a value yet.
    option: Option<(String, bool)>,
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

impl Reader {
    fn refer(&mut self, reference: Option<String>, used_as: Use) {
        let reference = reference.filter(|r| !r.trim().is_empty());
        let Some(url) = reference.and_then(|r| self.base.join(r.trim()).ok()) else { return };
        add(&mut self.page, url, used_as);
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let get = |name| attribute(tag, name);
        if let Some(style) = get("style") {
            self.css(style.as_bytes());
        }
        match &tag.name[..] {
            b"base" => {
                if let Some(base) = get("href").and_then(|h| self.base.join(&h).ok()) {
                    self.base = base;
                }
            }
            b"img" => self.refer(get("src"), Use::Image),
            b"script" => self.refer(get("src"), Use::Script),
            b"iframe" | b"frame" => self.refer(get("src"), Use::Frame),
            b"video" | b"audio" | b"source" | b"track" => self.refer(get("src"), Use::Media),
            b"embed" => self.refer(get("src"), Use::Media),
            b"object" => self.refer(get("data"), Use::Media),
            b"link" => self.link(tag),
            b"title" => self.inside = Inside::Title,
            b"style" => self.inside = Inside::Style,
            b"form" => {
                self.close_form();
                let post = get("method").is_some_and(|m| m.eq_ignore_ascii_case("post"));
                self.form =
                    Some(Form { id: get("id"), action: get("action"), post, fields: vec![] });
            }
            b"input" => self.input(tag),
            b"textarea" => {
                self.area = get("name").map(|n| (n, String::new()));
            }
            b"select" => self.option = get("name").map(|n| (n, false)),
            b"option" => self.choose(tag),
            _ => {}
        }
    }

    fn link(&mut self, tag: &StartTag<()>) {
        let rel = attribute(tag, "rel").unwrap_or_default().to_ascii_lowercase();
        let is = |word: &str| rel.split_ascii_whitespace().any(|w| w == word);
        let href = attribute(tag, "href");
        if is("stylesheet") {
            self.refer(href, Use::Style);
        } else if is("icon") {
            self.page.icon = true;
            self.refer(href, Use::Image);
        }
    }

    fn input(&mut self, tag: &StartTag<()>) {
        let kind = attribute(tag, "type").unwrap_or_default().to_ascii_lowercase();
        if kind == "image" {
            self.refer(attribute(tag, "src"), Use::Image);
        }
        let checked = tag.attributes.contains_key(b"checked".as_slice());
        let (Some(form), Some(name)) = (&mut self.form, attribute(tag, "name")) else { return };
        let sent = match kind.as_str() {
            "submit" | "button" | "reset" | "image" | "file" => false,
            "checkbox" | "radio" => checked,
            _ => true,
        };
        if sent && form.fields.len() < FIELDS_MAX {
            let default = if kind == "checkbox" || kind == "radio" { "on" } else { "" };
            let value = attribute(tag, "value").unwrap_or_else(|| default.to_owned());
            form.fields.push((name, value));
        }
    }

    /// The first option of a select counts, unless another is marked.
    fn choose(&mut self, tag: &StartTag<()>) {
        let selected = tag.attributes.contains_key(b"selected".as_slice());
        let value = attribute(tag, "value").unwrap_or_default();
        let (Some(form), Some((name, chosen))) = (&mut self.form, &mut self.option) else { return };
        if *chosen && selected {
            form.fields.retain(|f| f.0 != *name);
        }
        if (!*chosen || selected) && form.fields.len() < FIELDS_MAX {
            form.fields.push((name.clone(), value));
            *chosen = true;
        }
    }

    fn end(&mut self, name: &[u8]) {
        match name {
            b"title" | b"style" => self.inside = Inside::Nothing,
            b"form" => self.close_form(),
            b"select" => self.option = None,
            b"textarea" => {
                if let (Some(form), Some(area)) = (&mut self.form, self.area.take())
                    && form.fields.len() < FIELDS_MAX
                {
                    form.fields.push(area);
                }
            }
            _ => {}
        }
    }

    fn close_form(&mut self) {
        if let Some(form) = self.form.take()
            && self.page.forms.len() < FORMS_MAX
        {
            self.page.forms.push(form);
        }
    }

    fn text(&mut self, text: &[u8]) {
        match self.inside {
            Inside::Title if self.page.title.is_empty() => {
                let text = String::from_utf8_lossy(text);
                self.page.title = text.trim().chars().take(200).collect();
            }
            Inside::Style => self.css(text),
            _ => {}
        }
        if let Some((_, value)) = &mut self.area {
            value.push_str(&String::from_utf8_lossy(text));
        }
    }

    fn css(&mut self, css: &[u8]) {
        for reference in style(css, &self.base) {
            add(&mut self.page, reference.url, reference.used_as);
        }
    }
}

/// Each URL is fetched once, however often it stands in the page.
fn add(page: &mut Page, mut url: Url, used_as: Use) {
    url.set_fragment(None);
    if !matches!(url.scheme(), "http" | "https") || page.references.iter().any(|r| r.url == url) {
        return;
    }
    if page.references.len() >= RESOURCES_MAX {
        page.left_out += 1;
    } else {
        page.references.push(Reference { url, used_as });
    }
}

/// What a style sheet refers to: `url(…)` and `@import`.
pub(super) fn style(css: &[u8], base: &Url) -> Vec<Reference> {
    let text = String::from_utf8_lossy(css);
    let text = without_comments(&text);
    let mut found: Vec<Reference> = Vec::new();
    let mut put = |reference: &str, used_as: Use| {
        let reference = reference.trim().trim_matches(['"', '\'']);
        if reference.is_empty() || reference.starts_with("data:") || found.len() >= RESOURCES_MAX {
            return;
        }
        if let Ok(url) = base.join(reference) {
            found.push(Reference { url, used_as });
        }
    };
    let mut rest = text.as_str();
    while let Some(at) = rest.find("url(") {
        let before = &rest[..at];
        rest = &rest[at + 4..];
        let Some((inside, after)) = rest.split_once(')') else { break };
        let rule = before.rsplit(['{', '}', ';']).next().unwrap_or("");
        let font = before.rsplit('{').nth(1).is_some_and(|r| r.trim_end().ends_with("@font-face"))
            || before
                .rsplit_once('{')
                .is_some_and(|(head, _)| head.trim_end().ends_with("@font-face"));
        let used_as = match (rule.trim_start().starts_with("@import"), font) {
            (true, _) => Use::Style,
            (_, true) => Use::Font,
            _ => Use::Image,
        };
        put(inside, used_as);
        rest = after;
    }
    for import in text.split("@import").skip(1) {
        let word = import.trim_start();
        if let Some(quote) = word.chars().next().filter(|c| matches!(c, '"' | '\''))
            && let Some((name, _)) = word[1..].split_once(quote)
        {
            put(name, Use::Style);
        }
    }
    found
}

fn without_comments(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |r| r.1);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("http://h/a/").expect("a URL")
    }

    #[test]
    fn sub_resources_are_found_once_each() {
        let html = br#"<!DOCTYPE html><title> Shop </title><base href="/b/">
            <link rel="stylesheet" href=s.css><link rel="shortcut icon" href=/i.png>
            <img src=1.png><IMG SRC='1.png'><img src="data:image/png;base64,x">
            <script src=//o/x.js></script><script>var a = "<img src=no.png>";</script>
            <style>body { background: url("bg.png") } @import 'more.css';</style>
            <!-- <img src=hidden.png> --><p style="background:url(p.png)">"#;
        let page = Page::parse(html, &base());
        let all: Vec<&str> = page.references.iter().map(|r| r.url.as_str()).collect();
        assert_eq!(
            all,
            [
                "http://h/b/s.css",
                "http://h/i.png",
                "http://h/b/1.png",
                "http://o/x.js",
                "http://h/b/bg.png",
                "http://h/b/more.css",
                "http://h/b/p.png",
            ]
        );
        assert_eq!((page.title.as_str(), page.icon), ("Shop", true));
    }

    #[test]
    fn forms_have_their_fields() {
        let html = br#"<form id=f method=POST action=/order><input name=dish value=soup>
            <input type=checkbox name=hot checked><input type=checkbox name=cold>
            <input type=submit name=go value=Go><select name=n><option value=1><option value=2 selected></select>
            <textarea name=note>hello</textarea></form><form><input name=q></form>"#;
        let page = Page::parse(html, &base());
        assert_eq!(page.forms.len(), 2);
        let form = &page.forms[0];
        assert!(form.post);
        let fields: Vec<String> = form.fields.iter().map(|f| format!("{}={}", f.0, f.1)).collect();
        assert_eq!(fields, ["dish=soup", "hot=on", "n=2", "note=hello"]);
    }

    #[test]
    fn style_sheets_refer_to_images_fonts_and_sheets() {
        let css = b"@import url(a.css); /* url(no) */ @font-face { src: url(f.woff) } p { background: url( 'x.png' ) }";
        let all: Vec<(String, Use)> =
            style(css, &base()).into_iter().map(|r| (r.url.path().to_owned(), r.used_as)).collect();
        assert_eq!(
            all,
            [
                ("/a/a.css".to_owned(), Use::Style),
                ("/a/f.woff".to_owned(), Use::Font),
                ("/a/x.png".to_owned(), Use::Image),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_page_is_read_without_panic(html in "(<[a-z]{1,8}( src=| href=| style=)?|url\\(|@import|['\"/*{}>]|\\PC){0,40}") {
            let _ = Page::parse(html.as_bytes(), &base());
            let _ = style(html.as_bytes(), &base());
        }
    }
}
