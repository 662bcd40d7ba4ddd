//! Programs in a world at full speed, and the main job: a page through a NAT router and a firewall.

use netarium::{ExecError, Lab, Streams};

#[test]
fn a_page_arrives_through_the_router_and_not_around_it() {
    let mut world = Lab::builtin("course").unwrap().build(1).unwrap();
    let page = world.exec("friend", "curl -v http://10.0.0.2:65535/").unwrap();
    assert_eq!(page.code, 0, "{}", page.stderr_text());
    assert!(page.stderr_text().contains("< HTTP/1.1 200 OK"), "{}", page.stderr_text());
    // No route to the inside, nothing on the next port: curl's exit code 7 for both.
    for url in ["http://192.168.17.17/", "http://10.0.0.2:65534/"] {
        assert_eq!(world.exec("friend", &format!("curl {url}")).unwrap().code, 7, "{url}");
    }
    for own in ["http://192.168.17.17/", "http://127.0.0.1/"] {
        assert_eq!(world.exec("web", &format!("curl {own}")).unwrap().code, 0, "{own}");
    }
}

#[test]
fn a_firewall_without_its_rule_means_a_time_out_and_a_counted_drop() {
    let built_in = netarium::lab::builtin("course").unwrap();
    let rule = r#"firewall.inbound = [{ allow = "tcp/80", name = "web server (tcp/80)" }]"#;
    assert!(built_in.toml.contains(rule));
    let text = built_in.toml.replace(rule, "firewall.inbound = []");
    let mut world = Lab::load("lab.toml", &text, &built_in.files()).unwrap().build(1).unwrap();
    let page = world.exec("friend", "curl http://10.0.0.2:65535/").unwrap();
    assert_eq!(page.code, 28, "{}", page.stderr_text());
    let drops: u64 = world
        .inner()
        .tracer()
        .drops()
        .filter(|(_, reason, _)| reason.name().contains("filter"))
        .map(|d| d.2)
        .sum();
    assert!(drops > 0);
}

#[test]
fn what_cannot_run_says_why() {
    let mut world = Lab::builtin("two-hosts").unwrap().build(1).unwrap();
    assert!(matches!(world.exec("client", "curl 'x"), Err(ExecError::BadCommand(_))));
    assert!(matches!(world.exec("client", ""), Err(ExecError::BadCommand(_))));
    assert!(matches!(world.exec("nobody", "true"), Err(ExecError::Refused(_))));
    assert_eq!(world.exec("client", "no-such-program").unwrap().code, 127);
    // A server runs for ever; that is noticed.
    assert!(matches!(world.exec("client", "httpd"), Err(ExecError::Endless(_))));
    assert_eq!(world.exec("client", "true").unwrap().code, 0);
}

#[test]
fn standard_input_comes_in_pieces_as_the_program_takes_it() {
    struct Pipe(usize, Vec<u8>);
    impl Streams for Pipe {
        fn stdout(&mut self, bytes: &[u8]) {
            self.1.extend_from_slice(bytes);
        }
        fn stderr(&mut self, _: &[u8]) {}
        fn has_stdin(&self) -> bool {
            true
        }
        fn stdin(&mut self, most: usize) -> Vec<u8> {
            let n = self.0.min(most).min(10_000);
            self.0 -= n;
            vec![b'x'; n]
        }
    }
    let mut world = Lab::builtin("two-hosts").unwrap().build(1).unwrap();
    let mut pipe = Pipe(300_000, Vec::new());
    let exit = world.exec_with("client", &["cat".to_owned()], &mut pipe).unwrap();
    assert_eq!((exit.code, pipe.1.len()), (0, 300_000));
}

#[test]
fn captures_hold_whole_frames() {
    let mut world = Lab::builtin("two-hosts").unwrap().build(1).unwrap();
    let capture = world.capture();
    world.exec("client", "curl -s http://server/").unwrap();
    let bytes = world.end_capture(capture);
    assert!(bytes.windows(15).any(|w| w == b"HTTP/1.1 200 OK"));
}
