//! `httpd.conf` and `-k` on a running host.

mod common;

use common::{Shell, lab, lab_with, statuses};
use netarium_world::Input;

const CONF: &str = "Listen 80\nListen 127.0.0.1:8080\nServerName web\nDocumentRoot htdocs\n\
    <VirtualHost *:80>\nServerName a.lab\nServerAlias *.a.lab\n</VirtualHost>\n\
    <VirtualHost *:80>\nServerName b.lab\nDocumentRoot htdocs/docs\n</VirtualHost>\n";

fn shell() -> Shell {
    Shell::new(lab_with(&["httpd -f httpd.conf"], &[("httpd.conf", CONF)]))
}

fn write(shell: &mut Shell, path: &str, text: &str) {
    let bytes = Some(text.as_bytes().to_vec());
    shell.world.apply(Input::FileWrite { path: path.to_owned(), bytes });
}

#[test]
fn one_address_many_sites() {
    let mut shell = shell();
    for (host, expect) in [("a.lab", "hello\n"), ("x.a.lab:80", "hello\n"), ("other", "hello\n")] {
        let said = shell.run("pc", &format!("curl -s -H Host:␣{host} http://web/a.txt"));
        assert_eq!(said.out, expect, "{host}");
    }
    assert_eq!(shell.run("pc", "curl -s -H Host:␣B.lab http://web/").out, "docs");
    let said =
        shell.run("pc", "curl -s -o /dev/null -w %{http_code} -H Host:␣b.lab http://web/a.txt");
    assert_eq!(said.out, "404");
}

#[test]
fn addresses_answer_as_they_are_bound() {
    let mut shell = shell();
    for (host, url, code) in [
        ("web", "http://127.0.0.1/a.txt", 0),
        ("web", "http://192.168.17.17/a.txt", 0),
        ("web", "http://127.0.0.1:8080/a.txt", 0),
        ("web", "http://192.168.17.17:8080/a.txt", 7),
        ("pc", "http://web/a.txt", 0),
        ("pc", "http://web:8080/a.txt", 7),
    ] {
        assert_eq!(shell.run(host, &format!("curl -s {url}")).code, code, "{host} {url}");
    }
    let table = shell.run("web", "netstat -ano").out;
    for local in ["0.0.0.0:80", "127.0.0.1:8080"] {
        assert!(table.lines().any(|l| l.contains(local) && l.contains("LISTENING")), "{table}");
    }
    // One single address.
    let mut shell = Shell::new(lab(&["httpd --root htdocs --listen 192.168.17.17:80"]));
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").code, 0);
    assert_eq!(shell.run("web", "curl -s http://127.0.0.1/a.txt").code, 7);
    assert_eq!(shell.run("web", "httpd --root htdocs --listen 192.168.17.99:80").code, 1);
}

#[test]
fn the_file_is_checked_and_shown() {
    let mut shell = shell();
    let said = shell.run("web", "httpd -t -f httpd.conf");
    assert_eq!((said.code, said.err.as_str()), (0, "Syntax OK\n"));
    let said = shell.run("web", "httpd -t -f httpd.conf -c Listn␣81");
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "AH00526: Syntax error on line 1 of -C/-c directives:\nInvalid command 'Listn', perhaps misspelled \
         or defined by a module not included in the server configuration\n"
    );
    let said = shell.run("web", "httpd -t -f none.conf");
    assert_eq!(
        (said.code, said.err.as_str()),
        (1, "httpd: Could not open configuration file none.conf: No such file or directory\n")
    );
    let said = shell.run("web", "httpd -S -f httpd.conf");
    insta::assert_snapshot!(said.out, @r#"
    VirtualHost configuration:
    *:80                   is a NameVirtualHost
             default server a.lab (httpd.conf:5)
             port 80 namevhost a.lab (httpd.conf:5)
                     wild alias *.a.lab
             port 80 namevhost b.lab (httpd.conf:9)
    ServerRoot: ""
    Main DocumentRoot: "htdocs"
    Main ErrorLog: "/var/log/httpd/error_log"
    PidFile: "/run/httpd/httpd.pid"
    Define: DUMP_VHOSTS
    Define: DUMP_RUN_CFG
    "#);
    assert!(shell.run("web", "httpd -v").out.starts_with("Server version: Apache/2.4"));
    assert!(shell.run("web", "httpd -L").out.contains("DocumentRoot\n"));
}

#[test]
fn an_edit_counts_after_a_restart() {
    let mut shell = shell();
    write(&mut shell, "httpd.conf", &CONF.replace("Listen 80\n", "Listen 8000\n"));
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").code, 0, "not yet");
    assert_eq!(shell.run("web", "httpd -k restart -f httpd.conf").code, 0);
    shell.wait(10);
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").code, 7);
    assert_eq!(shell.run("pc", "curl -s http://web:8000/a.txt").out, "hello\n");
    // A mistake is found before anything is stopped.
    write(&mut shell, "httpd.conf", "Listen 80\nDocumentRot htdocs\n");
    let said = shell.run("web", "httpd -k restart -f httpd.conf");
    assert!(
        said.code == 1 && said.err.starts_with("AH00526: Syntax error on line 2 of httpd.conf:\n"),
        "{said:?}"
    );
    assert_eq!(shell.run("pc", "curl -s http://web:8000/a.txt").code, 0);
    let log = shell.run("web", "cat /var/log/httpd/error_log").out;
    assert!(log.contains("AH00493: SIGHUP received.  Attempting to restart"), "{log}");
}

#[test]
fn a_graceful_restart_lets_requests_end_and_a_hard_one_does_not() {
    let routes = "[[route]]\npath = \"slow\"\ndelay = \"2s\"\ntext = \"done\"\n";
    let conf = format!("{CONF}RouteTable r.toml\n");
    for (word, code) in [("graceful", 0), ("restart", 52)] {
        let files = [("httpd.conf", conf.as_str()), ("r.toml", routes)];
        let mut shell = Shell::new(lab_with(&["httpd -f httpd.conf"], &files));
        let slow = shell.start("pc", "curl -sS http://127.0.0.1/");
        shell.finish(slow, "nothing listens there");
        let slow = shell.start("pc", "curl -s http://web/slow");
        shell.wait(100);
        assert_eq!(shell.run("web", &format!("httpd -k {word} -f httpd.conf")).code, 0);
        assert_eq!(
            shell.run("pc", "curl -s http://web/a.txt").out,
            "hello\n",
            "new ones are served"
        );
        assert_eq!(shell.finish(slow, "curl").code, code, "{word}");
    }
}

#[test]
fn servers_are_started_and_stopped_by_hand() {
    let mut shell = Shell::new(lab_with(
        &[],
        &[("httpd.conf", CONF), ("nowhere.conf", "DocumentRoot htdocs\n")],
    ));
    let said = shell.run("web", "httpd -k stop");
    assert_eq!((said.code, said.out.as_str()), (0, "httpd (no pid file) not running\n"));
    assert_eq!(shell.run("web", "httpd -k start").code, 0);
    assert_eq!(
        shell.run("pc", "curl -s http://web/a.txt").out,
        "hello\n",
        "the command ended, the server runs"
    );
    let again = shell.run("web", "httpd -k start");
    assert!(again.code == 0 && again.out.ends_with(") already running\n"), "{again:?}");
    let pid = shell.run("web", "cat /run/httpd/httpd.pid").out;
    assert!(again.out.contains(&format!("(pid {})", pid.trim())));
    assert_eq!(shell.run("web", "httpd -k graceful-stop").code, 0);
    shell.wait(10);
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").code, 7);
    // A port that is taken is told where the command was given.
    assert_eq!(shell.run("web", "httpd -k restart").err, "httpd not running, trying to start\n");
    let taken = shell.run("web", "httpd -C PidFile␣/other.pid -k start");
    assert_eq!(taken.code, 1);
    assert!(
        taken.err.starts_with(
            "(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:80\n"
        ),
        "{taken:?}"
    );
    // A file that says nowhere where to listen is no default: as Apache has it.
    assert_eq!(shell.run("web", "httpd -t -f nowhere.conf").err, "Syntax OK\n");
    let nowhere = shell.run("web", "httpd -f nowhere.conf");
    assert_eq!(
        (nowhere.code, nowhere.err.as_str()),
        (1, "no listening sockets available, shutting down\nAH00015: Unable to open logs\n")
    );
}

#[test]
fn logs_go_where_they_are_told_and_are_bounded() {
    let conf = "Listen 80\nDocumentRoot htdocs\nErrorLog logs/e\nLogFormat \"%h %>s %{X-Id}i\" mine\nCustomLog logs/a mine\n";
    let mut shell = Shell::new(lab_with(&["httpd -f c"], &[("c", conf)]));
    shell.run("pc", "curl -s -H X-Id:␣7 http://web/a.txt");
    shell.run("pc", "curl -s http://web/empty/");
    shell.wait(1);
    assert_eq!(shell.run("web", "cat logs/a").out, "192.168.17.20 200 7\n192.168.17.20 403 -\n");
    let errors = shell.run("web", "cat logs/e").out;
    let last = errors.lines().last().unwrap();
    assert!(
        last.starts_with("[Sun Nov 22 14:14:17.")
            && last.contains("] [autoindex:error] [pid 100] [client 192.168.17.20:"),
        "{last}"
    );
    assert!(last.ends_with("AH01276: Cannot serve directory htdocs/empty/: No matching DirectoryIndex (index.html) found, and server-generated directory index forbidden by Options directive"), "{last}");
    let many =
        format!("GET /a.txt HTTP/1.1\r\nHost: a\r\nX-Id: {}\r\n\r\n", "x".repeat(8_000)).repeat(30);
    assert_eq!(statuses(&shell.exchange(many.as_bytes())).len(), 30);
    assert!(shell.run("web", "cat logs/a.1").out.len() >= 64 * 1024);
}
