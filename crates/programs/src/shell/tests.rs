//! Parsing: what is complete, what is open, what is wrong.

use super::parser::{ParseError, line};

fn open(text: &str) -> bool {
    matches!(line(text), Err((e, _)) if e.is_open())
}

#[test]
fn what_is_open_waits_for_more() {
    for text in [
        "if true\n",
        "if true; then\n",
        "for i in 1 2; do\n",
        "echo 'a\n",
        "echo \"a\n",
        "a |\n",
        "a &&\n",
        "(a\n",
        "echo $(a\n",
        "cat <<X\nbody\n",
        "f() {\n",
        "case x in\n",
        "while :; do :;\n",
    ] {
        assert!(open(text), "{text:?} {:?}", line(text).err());
    }
}

#[test]
fn lines_end_where_they_end() {
    for (text, len) in [
        ("a\nb\n", 2),
        ("a; b\nc", 5),
        ("\n\n a &\nb", 7),
        ("if a\nthen b\nfi\nc", 15),
        ("cat <<X; b\n1\nX\nc", 15),
        ("a # b\nc", 6),
        ("a", 1),
    ] {
        assert_eq!(line(text).unwrap().unwrap().1, len, "{text:?}");
    }
    assert_eq!(line(" # nothing\n"), Ok(None));
}

#[test]
fn mistakes_are_told_as_dash_tells_them() {
    for (text, expect) in [
        (")", "Syntax error: \")\" unexpected"),
        ("fi", "Syntax error: \"fi\" unexpected"),
        ("a | | b", "Syntax error: \"|\" unexpected"),
        ("if a; fi", "Syntax error: \"fi\" unexpected (expecting \"then\")"),
        ("for 1 in a", "Syntax error: Bad for loop variable"),
        ("a &&", "Syntax error: end of file unexpected"),
        ("while a; do b", "Syntax error: end of file unexpected (expecting \"done\")"),
        ("echo 'a", "Syntax error: Unterminated quoted string"),
        ("a > ", "Syntax error: end of file unexpected"),
        ("${a b}", "Syntax error: Bad substitution"),
    ] {
        let (e, _) = line(text).unwrap_err();
        assert_eq!(e.text(), expect, "{text}");
    }
    let deep = "( ".repeat(10_000);
    assert_eq!(line(&deep).unwrap_err().0, ParseError::Deep);
    let deep = "$(".repeat(10_000);
    assert_eq!(line(&deep).unwrap_err().0, ParseError::Deep);
    let deep = "$((".repeat(1_000);
    assert!(line(&deep).is_err());
    let deep = "${a:-".repeat(10_000);
    assert!(line(&deep).is_err());
}
