//! Configurations, what they mean, and what is said about wrong ones. The messages are those that
//! Apache 2.4.71 gives for the same lines.

use super::*;

fn load(conf: &str) -> Result<Config, String> {
    let text = conf.to_owned();
    let host = Host {
        read: &move |_| Ok(text.clone()),
        expand: &|_| Vec::new(),
        is_dir: &|path| !path.contains("nowhere"),
        routes: &|_| Err("none".to_owned()),
    };
    let sources = Sources { file: Some("httpd.conf".to_owned()), ..Sources::default() };
    sources.load(&host, None).map_err(|e| e.0)
}

#[test]
fn lines_of_stock_files_are_understood() {
    let stock = "<Directory htdocs>\nAllowOverride None\nRequire all granted\n</Directory>\nStartServers 2\n\
                 HostnameLookups Off\nTypesConfig conf/mime.types\nAddDefaultCharset UTF-8";
    assert!(load(stock).is_ok());
    let allowed = load("<Directory htdocs>\nAllowOverride All\n</Directory>").unwrap_err();
    assert!(
        allowed.ends_with("only None is supported here, files .htaccess are not read"),
        "{allowed}"
    );
}

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    for (conf, expect) in [
        (
            "Listn 80",
            "Invalid command 'Listn', perhaps misspelled or defined by a module not included in the server configuration",
        ),
        (
            "<Foo x>\n</Foo>",
            "Invalid command '<Foo', perhaps misspelled or defined by a module not included in the server configuration",
        ),
        ("Listen", "Listen requires 1 or 2 arguments."),
        ("Listen 99999", "Invalid address or port"),
        ("Listen abc", "Port must be specified"),
        ("Listen 1.2.3.4:x", "Port must be specified"),
        ("DocumentRoot nowhere", "DocumentRoot 'nowhere' is not a directory, or is not readable"),
        ("KeepAlive maybe", "KeepAlive must be On or Off"),
        ("KeepAliveTimeout x", "KeepAliveTimeout has wrong format"),
        ("Require all granted", "Require not allowed here"),
        ("Redirect 200 /a /b", "Redirect URL not valid for this status"),
        ("Redirect /a b", "Redirect to non-URL"),
        ("ErrorDocument 700 x", "Unsupported HTTP response code 700"),
        (
            "ServerTokens x",
            "ServerTokens takes 1 argument: 'Prod(uctOnly)', 'Major', 'Minor', 'Min(imal)', 'OS', or 'Full'",
        ),
        (
            "LogLevel x",
            "Log level keyword must be one of emerg/alert/crit/error/warn/notice/info/debug/trace1/.../trace8",
        ),
        ("Options Foo", "Illegal option Foo"),
        (
            "Options Indexes +FollowSymLinks",
            "Either all Options must start with + or -, or no Option may.",
        ),
        (
            "AddType text/x",
            "AddType requires at least two arguments, a mime type followed by one or more file extensions",
        ),
        ("AllowOverride None", "AllowOverride not allowed here"),
        ("LimitRequestLine -1", "LimitRequestLine \"-1\" must be a non-negative integer"),
        ("RequestReadTimeout header=x", "RequestReadTimeout: header=x: Value 'x' not numerical"),
        ("ServerName a b", "ServerName takes one argument, The hostname and port of the server"),
        ("ListenBacklog x", "ListenBacklog must be > 0"),
    ] {
        let expect = format!("AH00526: Syntax error on line 1 of httpd.conf:\n{expect}");
        assert_eq!(load(conf).err(), Some(expect), "{conf}");
    }
    let inside = load("<VirtualHost *:80>\nListen 81\n</VirtualHost>").unwrap_err();
    assert_eq!(
        inside,
        "AH00526: Syntax error on line 2 of httpd.conf:\nListen cannot occur within <VirtualHost> section"
    );
    for bad in
        ["Require foo", "Require ip 300.1", "Require all maybe", "Require ip 10.0.0.0/255.0.255.0"]
    {
        assert!(load(&format!("<Location />\n{bad}\n</Location>")).is_err(), "{bad}");
    }
    for bad in [
        "MaxRequestWorkers 0",
        "Header frob X",
        "Header set X %t",
        "Header set X",
        "AllowEncodedSlashes x",
        "Redirect gone /a /b",
        "LogFormat %z x",
        "Listen 80\nListen 80",
    ] {
        assert!(load(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_virtual_host_has_what_it_inherits_and_what_it_says() {
    let c = load(
        "Listen 80\nListen 127.0.0.1:8080\nMaxRequestWorkers 3\nListenBacklog 5\nTimeout 7\n\
         DocumentRoot main\nErrorDocument 404 /gone.html\nServerTokens Prod\nKeepAliveTimeout 500ms\n\
         RequestReadTimeout header=5-10,MinRate=100 body=0\n\
         <VirtualHost *:80>\nServerName a.lab\nServerAlias aa.lab *.x.lab\nDocumentRoot a\n</VirtualHost>\n\
         <VirtualHost *:80>\nServerName b.lab:80\nTimeout 9\n<Location /x>\nRequire ip 10.0\n</Location>\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:8080>\nServerName c.lab\n</VirtualHost>\n",
    )
    .unwrap();
    assert_eq!(c.listen, ["0.0.0.0:80".parse().unwrap(), "127.0.0.1:8080".parse().unwrap()]);
    assert_eq!((c.workers, c.backlog), (3, 5));
    let site = |local: &str, name: &str| {
        let site = c.site(local.parse().unwrap(), name);
        site.name.as_ref().map_or("main".to_owned(), |n| n.host.clone())
    };
    for (local, name, expect) in [
        ("10.0.0.1:80", "a.lab", "a.lab"),
        ("10.0.0.1:80", "AA.lab", "a.lab"),
        ("10.0.0.1:80", "y.x.lab", "a.lab"),
        ("10.0.0.1:80", "b.lab", "b.lab"),
        ("10.0.0.1:80", "other", "a.lab"),
        ("127.0.0.1:8080", "b.lab", "c.lab"),
        ("10.0.0.1:8080", "b.lab", "main"),
    ] {
        assert_eq!(site(local, name), expect, "{local} {name}");
    }
    let (a, b) = (&c.hosts[0].site, &c.hosts[1].site);
    assert_eq!((a.root.as_str(), b.root.as_str()), ("a", "main"));
    assert_eq!((a.timing.timeout.as_secs(), b.timing.timeout.as_secs()), (7, 9));
    assert_eq!(a.timing.keep_alive_timeout.as_millis(), 500);
    assert_eq!(a.timing.head.most.map(Duration::as_secs), Some(10));
    assert_eq!(a.timing.body.first, None);
    assert_eq!(a.base.error(404), Some(&ErrorDocument::Path("/gone.html".into())));
    assert!(a.server.is_some() && c.hosts[0].at.line == 11);
    assert!(b.sections.iter().any(|s| s.0 == Scope::Location("/x".into())));
    assert!(!a.sections.iter().any(|s| s.0 == Scope::Location("/x".into())));
}

#[test]
fn a_hosts_own_redirect_comes_first() {
    let c = load("Redirect /a /main\n<VirtualHost *>\nRedirect /a /own\n</VirtualHost>").unwrap();
    let to: Vec<&str> = c.hosts[0].site.redirects.iter().map(|r| r.to.as_str()).collect();
    assert_eq!(to, ["/own", "/main"]);
}

#[test]
fn a_logging_host_has_its_own_logs() {
    let c = load(
        "CustomLog logs/main combined\nCustomLog logs/too \"%h\"\n\
         <VirtualHost *>\nServerName a\nCustomLog logs/a common\n</VirtualHost>\n<VirtualHost *>\nServerName b\n</VirtualHost>",
    )
    .unwrap();
    let logs = |site: &Site| site.access_logs.iter().map(|l| l.0.to_string()).collect::<Vec<_>>();
    assert_eq!(logs(&c.main), ["logs/main", "logs/too"]);
    assert_eq!(logs(&c.hosts[0].site), ["logs/a"]);
    assert_eq!(logs(&c.hosts[1].site), ["logs/main", "logs/too"]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(lines in proptest::collection::vec(
        proptest::prop_oneof![
            proptest::sample::select(vec![
                "<VirtualHost *:80>", "</VirtualHost>", "<Location /a>", "</Location>", "Listen 80", "Redirect /a /b",
                "Require ip 10.0.0.0/8", "RequestReadTimeout header=20-40,MinRate=500", "KeepAliveTimeout 5",
                "LogFormat \"%h %{X}i\" x", "CustomLog l x", "Header set X y", "ErrorDocument 404 /x", "\\",
                "Options +Indexes", "AddType a/b .c", "LimitRequestBody 5", "ServerName a:b:c", "<IfDefine !X>", "</IfDefine>",
            ]).prop_map(str::to_owned),
            "\\PC{0,30}",
        ], 0..12))
    {
        let _ = load(&lines.join("\n"));
    }
}

use proptest::strategy::Strategy as _;
