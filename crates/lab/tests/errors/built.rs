//! Errors of built labs name the path of the key.

use netarium_lab::{LabBuilder, Place};

#[test]
fn built_errors_name_paths() {
    let errors = LabBuilder::new("first")
        .network("home", "192.168.17.0/24")
        .network("home", "192.168.18.0/24")
        .host("web", |h| h.on("home", "192.168.17.300").program("htpd"))
        .host("pc", |h| h.on("hmoe", "192.168.17.20").link("home", |l| l.loss(2.0)))
        .file("../secret", "x")
        .build(&["httpd"])
        .unwrap_err();
    insta::assert_snapshot!("built", errors.to_string());
    assert!(errors.errors().iter().any(|e| e.place == Place::Key("hosts.pc.networks.hmoe".into())));
}
