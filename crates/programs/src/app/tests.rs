//! Route tables: what is understood, what is refused, and templates.

use serde_json::json;

use super::config::parse;

fn read(path: &str) -> Result<String, String> {
    match path {
        "page.html" => Ok("<p>{{ params.id }} {{ query.q }}".to_owned()),
        _ => Err("No such file or directory".to_owned()),
    }
}

#[test]
fn a_table_is_understood() {
    let table = parse(
        "[pool]\nworkers = 4\nqueue = 2\nretry_after = \"3s\"\n\
         [sessions]\nlimit = 10\nlifetime = \"10m\"\n\
         [stores.dishes]\nitems = [{ name = \"bibimbap\", price = 9000 }]\n\
         [[route]]\npath = \"menu/<int:id>/\"\ntemplate = \"@page.html\"\n\
         [[route]]\npath = \"dishes/\"\nstore = \"dishes\"\npool = false\n\
         [[route]]\npath = \"menu/<int:id>/\"\nmethods = [\"POST\"]\necho = true\nsession = \"start\"\n\
         [[route]]\npath = \"teapot\"\nstatus = 418\n",
        &read,
    )
    .unwrap();
    assert_eq!(table.fitting("/menu/3/").count(), 2);
    assert_eq!(table.allow("/menu/3/"), "GET, HEAD, POST, OPTIONS");
    assert!(table.routes[0].pooled && !table.routes[1].pooled);
    let context = json!({ "params": { "id": "3" }, "query": { "q": "<b>" } });
    let page = table.templates.render("route1.html", &context).unwrap();
    assert_eq!(page, "<p>3 &lt;b&gt;", "values are escaped");
    let missing = table.templates.render("route1.html", &json!({ "params": {}, "query": {} }));
    assert!(missing.unwrap_err().contains("undefined"), "a missing name is an error");
}

/// RFC 3986 §4.2: what begins with two slashes is the name of another host.
#[test]
fn a_slash_is_appended_on_this_host() {
    let table = parse("[[route]]\npath = \"<str:a>/<str:b>/\"\ntext = \"x\"\n", &read).unwrap();
    for (path, to) in
        [("/evil.example/x", "/evil.example/x/"), ("//evil.example/x?q=1", "/evil.example/x/?q=1")]
    {
        let (head, ()) = http::Request::get(path).body(()).unwrap().into_parts();
        let Some(Err(failure)) = table.admit(&head, "/evil.example/x") else { panic!("{path}") };
        assert_eq!(failure.fields[0].1, to, "{path}");
    }
}

#[test]
fn what_is_wrong_is_said_where() {
    for (text, expect) in [
        ("", "at least one [[route]]"),
        ("x = 1", "unknown field `x`"),
        ("[[route]]\npath = 1\n", "line 2"),
        ("[[route]]\npath = \"a\"\n", "route at line 1: expected one of text"),
        ("[[route]]\npath = \"a\"\ntext = \"x\"\necho = true\n", "expected one of text"),
        ("\n[[route]]\npath = \"<x\"\ntext = \"x\"\n", "route at line 2: '<x': '<' without '>'"),
        ("[[route]]\npath = \"a\"\nstatus = 100\n", "expected a status from 200 to 599, got 100"),
        ("[[route]]\npath = \"a\"\nstore = \"x\"\n", "there is no [stores.x]"),
        ("[[route]]\npath = \"a\"\ntext = \"x\"\nsession = \"start\"\n", "there is no [sessions]"),
        ("[[route]]\npath = \"a\"\ntext = \"x\"\npool = true\n", "there is no [pool]"),
        ("[[route]]\npath = \"a\"\ntemplate = \"@none\"\n", "none: No such file or directory"),
        ("[[route]]\npath = \"a\"\ntemplate = \"{% if %}\"\n", "template: "),
        ("[[route]]\npath = \"a\"\ntext = \"x\"\nmethods = [\"BREW\"]\n", "got 'BREW'"),
        ("[[route]]\npath = \"a\"\ntext = \"x\"\ndelay = \"soon\"\n", "delay: "),
        (
            "[[route]]\npath = \"a\"\ntext = \"x\"\nheaders = { \"a b\" = \"c\" }\n",
            "is no header name",
        ),
        (
            "[pool]\nworkers = 0\n[[route]]\npath = \"a\"\ntext = \"x\"\n",
            "pool.workers: expected 1 to 10000, got 0",
        ),
        (
            "[sessions]\ncookie = \"a b\"\n[[route]]\npath = \"a\"\ntext = \"x\"\n",
            "is no cookie name",
        ),
    ] {
        let why = parse(text, &read).unwrap_err();
        assert!(why.contains(expect), "{text:?}: {why}");
    }
}

#[test]
fn a_template_that_does_not_end_is_an_error() {
    let text = "[[route]]\npath = \"a\"\ntemplate = \"{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}\"\n";
    let table = parse(text, &read).unwrap();
    assert!(table.templates.render("route1.html", &json!({})).is_err());
}
