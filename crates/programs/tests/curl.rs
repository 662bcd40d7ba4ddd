//! `curl` against `httpd`, through real stacks in virtual time.

mod common;

use common::{BIG, PAGE, Shell, lab, web};

#[test]
fn a_page_arrives_as_curl_shows_it() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "curl -v http://web/");
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out, PAGE);
    insta::assert_snapshot!(said.err.replace("\r\n", "␍\n"));
}

#[test]
fn several_urls_share_a_connection() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "curl -v http://web/a.txt http://web/docs/ http://web/none");
    assert_eq!((said.code, &said.out[..10]), (0, "hello\ndocs"));
    let count = |what: &str| said.err.matches(what).count();
    assert_eq!(count("  Trying "), 1);
    assert_eq!(count("* Re-using existing connection #0 with host web"), 2);
    assert_eq!(count("* Connection #0 to host web left intact"), 3);
    assert!(said.err.contains("< HTTP/1.1 404 Not Found\r\n"));
}

#[test]
fn large_bodies_arrive_whole() {
    let mut shell = Shell::new(web());
    let said =
        shell.run("pc", "curl -s -o copy -w %{http_code}␣%{size_download}\\n http://web/big");
    assert_eq!((said.code, said.out.as_str()), (0, format!("200 {BIG}\n").as_str()));
    let copy = shell.run("pc", "cat copy");
    let original = shell.run("web", "cat htdocs/big");
    assert_eq!(copy, original);
    assert_eq!(shell.run("pc", "curl -s -o /dev/null http://web/big").code, 0);
}

#[test]
fn nobody_listens_there() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "curl -v http://192.168.17.17:81/");
    assert_eq!((said.code, said.out.as_str()), (7, ""));
    insta::assert_snapshot!(said.err, @r"
    *   Trying 192.168.17.17:81...
    * connect to 192.168.17.17 port 81 failed: Connection refused
    * Failed to connect to 192.168.17.17 port 81 after 0 ms: Couldn't connect to server
    * Closing connection 0
    curl: (7) Failed to connect to 192.168.17.17 port 81 after 0 ms: Couldn't connect to server
    ");
    assert_eq!(shell.run("pc", "curl -s http://web:81/").err, "");
}

#[test]
fn no_way_there() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "curl -v http://203.0.113.1/");
    assert_eq!(said.code, 7);
    insta::assert_snapshot!(said.err, @r"
    *   Trying 203.0.113.1:80...
    * Immediate connect fail for 203.0.113.1: Network is unreachable
    * Failed to connect to 203.0.113.1 port 80 after 0 ms: Couldn't connect to server
    * Closing connection 0
    curl: (7) Failed to connect to 203.0.113.1 port 80 after 0 ms: Couldn't connect to server
    ");
    // The next hop does not answer ARP: the kernel says so after its tries.
    let said = shell.run("pc", "curl -sS http://172.16.0.1/");
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(said.err.contains("Couldn't connect to server"), "{}", said.err);
}

#[test]
fn time_outs_say_what_was_waited_for() {
    let mut shell = Shell::new(lab(&["sink --listen 90"]));
    let said = shell.run("pc", "curl -sSv -m 1.5 http://web:90/");
    assert_eq!(said.code, 28);
    assert!(
        said.err.ends_with(
            "* Operation timed out after 1500 milliseconds with 0 bytes received\n\
             * Closing connection 0\n\
             curl: (28) Operation timed out after 1500 milliseconds with 0 bytes received\n"
        ),
        "{}",
        said.err
    );
    let said = shell.run("pc", "curl -sSv -m 0.5 http://172.16.0.1/");
    assert_eq!(said.code, 28);
    assert!(said.err.contains("(28) Connection timed out after 500 milliseconds"), "{}", said.err);
    let said = shell.run("pc", "curl -sSv --connect-timeout 0.25 http://172.16.0.2/");
    assert_eq!(said.code, 28);
    insta::assert_snapshot!(said.err, @r"
    *   Trying 172.16.0.2:80...
    * ipv4 connect timeout after 250ms, move on!
    * Failed to connect to 172.16.0.2 port 80 after 250 ms: Timeout was reached
    * Closing connection 0
    curl: (28) Failed to connect to 172.16.0.2 port 80 after 250 ms: Timeout was reached
    ");
}

#[test]
fn names_schemes_and_urls_that_lead_nowhere() {
    let mut shell = Shell::new(web());
    for (line, code, err) in [
        ("curl -sS http://nosuch/", 6, "curl: (6) Could not resolve host: nosuch\n"),
        (
            "curl -sS http://web:99999/",
            3,
            "curl: (3) URL using bad/illegal format or missing URL\n",
        ),
        ("curl file:///x", 1, "curl: (1) Protocol \"file\" not supported or disabled in libcurl\n"),
        ("curl ftp://web/", 1, "curl: (1) Protocol \"ftp\" not supported or disabled in libcurl\n"),
        (
            "curl --foo",
            2,
            "curl: option --foo: is unknown\n\
             curl: try 'curl --help' or 'curl --manual' for more information\n",
        ),
        ("curl", 2, "curl: try 'curl --help' or 'curl --manual' for more information\n"),
        ("curl -sSf http://web/none", 22, "curl: (22) The requested URL returned error: 404\n"),
        ("curl -O http://web/", 23, "curl: (23) Remote file name has no length!\n"),
    ] {
        let said = shell.run("pc", line);
        assert_eq!((said.code, said.err.as_str()), (code, err), "{line}");
        assert_eq!(said.out, "", "{line}");
    }
    let said = shell.run("pc", "curl https://web/");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no TLS in the lab yet"), "{}", said.err);
}

#[test]
fn methods_bodies_and_headers() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "curl -i -d a=b http://web/");
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("HTTP/1.1 405 Method Not Allowed\r\nDate: "), "{}", said.out);
    assert!(said.out.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{}", said.out);
    let said = shell.run("pc", "curl -I http://web/a.txt");
    assert!(said.out.starts_with("HTTP/1.1 200 OK\r\n"), "{}", said.out);
    assert!(said.out.contains("Content-Length: 6\r\n"), "{}", said.out);
    assert!(said.out.ends_with("\r\n\r\n"), "{}", said.out);
    let said = shell.run("pc", "curl -s -X BREW http://web/ -w %{http_code} -o /dev/null");
    assert_eq!(said.out, "501");
    // A large body that the server does not want must not hide its answer.
    shell.run("pc", "curl -s -o big http://web/big");
    let said =
        shell.run("pc", "curl -s --data-binary @big -o /dev/null -w %{http_code} http://web/");
    assert_eq!((said.code, said.out.as_str()), (0, "405"));
}

#[test]
fn redirects_are_followed_when_asked() {
    let mut shell = Shell::new(web());
    let said =
        shell.run("pc", "curl -s http://web/docs?x=1 -o /dev/null -w %{http_code}␣%{redirect_url}");
    assert_eq!(said.out, "301 http://web/docs/?x=1");
    let said = shell.run("pc", "curl -sL http://web/docs -w |%{num_redirects}␣%{url_effective}");
    assert_eq!(said.out, "docs|1 http://web/docs/");
}

#[test]
fn timings_are_virtual_and_repeat() {
    let line = "curl -s -o /dev/null -w %{time_connect}␣%{time_total}␣%{remote_ip} http://web/";
    let first = Shell::new(web()).run("pc", line);
    let again = Shell::new(web()).run("pc", line);
    assert_eq!(first, again);
    assert!(first.out.ends_with(" 192.168.17.17"), "{}", first.out);
}
