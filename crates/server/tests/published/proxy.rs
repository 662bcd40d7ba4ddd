//! The proxy: SOCKS5 and HTTP.

use std::net::SocketAddr;

use netarium_server::api::connections::ProxyWanted;
use netarium_server::api::view::ProxyView;
use netarium_server::client::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Up, soon};
use crate::tools::{real, said};

fn listen(up: &Up) -> SocketAddr {
    up.lab.view().proxy.as_ref().unwrap().listen
}

/// Sends bytes and reads until the end.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_all(stream).await
}

/// The same for a client that says nothing more.
async fn last_words(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(stream).await
}

async fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // Who is reset has read what there was.
    let _ = soon("the end", stream.read_to_end(&mut all)).await;
    all
}

fn socks(command: u8, kind: &[u8], port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 5, command, 0];
    bytes.extend_from_slice(kind);
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes
}

fn name(host: &str) -> Vec<u8> {
    let mut bytes = vec![3, host.len() as u8];
    bytes.extend_from_slice(host.as_bytes());
    bytes
}

#[tokio::test]
async fn socks_replies_say_what_happened() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    let address = [1, 10, 0, 0, 1];
    for (request, code, what) in [
        (socks(1, &address, 11), 0, "an address"),
        (socks(1, &name("server"), 11), 0, "a name of the lab"),
        (socks(1, &name("10.0.0.1"), 11), 0, "an address as a name"),
        (socks(1, &address, 99), 5, "a closed port"),
        (socks(1, &[1, 10, 0, 0, 99], 80), 4, "nobody's address"),
        (socks(1, &[1, 192, 0, 2, 1], 80), 3, "no route"),
        (socks(1, &[&[4][..], &[0x20, 1, 0xd, 0xb8], &[0; 12]].concat(), 80), 3, "IPv6"),
        (socks(1, &name("example.com"), 80), 4, "a name of elsewhere"),
        (socks(1, &name(""), 80), 4, "no name"),
        (socks(2, &address, 80), 7, "BIND"),
        (socks(3, &address, 80), 7, "UDP ASSOCIATE"),
        (socks(1, &[9, 9], 80), 8, "an unknown kind of address"),
    ] {
        let answer = exchange(at, &request).await;
        assert_eq!(answer.get(..4), Some(&[5, 0, 5, code][..]), "{what}: {answer:?}");
        if code == 0 {
            assert_eq!(&answer[12..], b"10.0.0.254", "{what}");
        }
    }
    // Nothing of this machine is reached: 127.0.0.1 is the lab's gateway itself.
    let real = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = real.local_addr().unwrap().port();
    let answer = exchange(at, &socks(1, &[1, 127, 0, 0, 1], port)).await;
    assert_eq!(answer[3], 5, "{answer:?}");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_proxy_protocol_is_refused() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    for (bytes, what) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], "TLS"),
        (b"\x04\x01\x00\x50\x0a\x00\x00\x01\x00", "SOCKS4"),
        (b"\x05\x01\x01", "no method in common"),
        (b"\x05\x01\x00\x04", "another version"),
        (b"", "nothing"),
    ] {
        let answer = last_words(at, bytes).await;
        assert!(answer.len() <= 2, "{what}: {answer:?}");
    }
    // What a page of another site could send: requests as to a server.
    let own = format!("curl -x http://{at} ");
    for (request, why) in [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1:1080\r\nOrigin: http://evil.example\r\n\r\n", &*own),
        ("POST /http://server/ HTTP/1.1\r\nHost: server\r\nContent-Length: 1\r\n\r\nx", &own),
        ("GET https://server/ HTTP/1.1\r\nHost: server\r\n\r\n", "For https use CONNECT"),
        ("OPTIONS * HTTP/1.1\r\nHost: server\r\n\r\n", &own),
        ("CONNECT http://server:80/ HTTP/1.1\r\nHost: server\r\n\r\n", "takes HOST:PORT"),
        ("CONNECT server HTTP/1.1\r\nHost: server\r\n\r\n", "CONNECT needs a host and a port"),
        ("GET http://server:99999/ HTTP/1.1\r\nHost: server\r\n\r\n", "not 99999"),
        ("GET http://server:x/ HTTP/1.1\r\nHost: server\r\n\r\n", "not x"),
        ("GET http://server/ HTTP/1.1\r\n\r\n", "This one has none"),
        ("GET http://server/ HTTP/1.1\r\nHost: server\r\nHost: server\r\n\r\n", "more than one"),
    ] {
        let answer = String::from_utf8(exchange(at, request.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(why), "{request}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    let none = up.world().query(|world| world.connections().len()).await.unwrap();
    assert_eq!(none, 0, "nothing was opened in the lab");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn whatever_bytes_come_the_proxy_lives() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    let noise = crate::support::noise(40_000);
    let beginnings: [&[u8]; 6] =
        [b"", b"\x05", b"\x05\x01\x00", b"\x05\x02\x00\x02", b"GET http://", b"CONNECT "];
    let tries = noise.chunks(200).enumerate().map(|(n, bytes)| {
        let bytes = [beginnings[n % beginnings.len()], bytes].concat();
        async move { last_words(at, &bytes).await.len() }
    });
    for one in tries {
        one.await;
    }
    assert_eq!(exchange(at, &socks(1, &name("server"), 11)).await[3], 0);
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn requests_in_absolute_form_reach_the_lab_as_a_server_expects_them() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    let request = "GET http://server:80/x?y=1 HTTP/1.1\r\nHost: wrong\r\nProxy-Connection: keep-alive\r\n\
                   Connection: X-Mine\r\nX-Mine: 1\r\nX-Kept: 2\r\n\r\n";
    // Two on one connection: the lab's side is kept, too.
    let twice = [request, &request.replace("X-Mine\r\n", "close, X-Mine\r\n")].concat();
    let answer = String::from_utf8(exchange(at, twice.as_bytes()).await).unwrap();
    let seen: Vec<&str> = answer.split("HTTP/1.1 200 OK\r\n").collect();
    assert_eq!(seen.len(), 3, "{answer}");
    for one in &seen[1..] {
        let (head, body) = one.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("via: 1.1 netarium") || head.contains("Via: 1.1 netarium"), "{head}");
        assert!(!head.to_lowercase().contains("keep-alive: timeout"), "{head}");
        assert!(body.contains("GET /x?y=1 HTTP/1.1\r\n"), "{body}");
        let lower = body.to_lowercase();
        assert!(lower.contains("host: server:80\r\n") && lower.contains("x-kept: 2"), "{body}");
        assert!(!lower.contains("x-mine") && !lower.contains("proxy-"), "{body}");
    }
    let peers: Vec<_> = seen[1..].iter().map(|s| s.split("\r\n\r\n").nth(1).unwrap()).collect();
    let peer = |body: &str| body.lines().next().unwrap().to_owned();
    assert_eq!(peer(peers[0]), peer(peers[1]), "one connection in the lab");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn options_and_trace_go_as_far_as_they_may() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    let ask = |method: &str, left: u32| {
        let request = format!(
            "{method} http://me:secret@server/x HTTP/1.1\r\nHost: server\r\nMax-Forwards: {left}\r\n\
             Cookie: secret\r\nAuthorization: secret\r\nProxy-Authorization: secret\r\n\
             Connection: close\r\n\r\n"
        );
        async move { String::from_utf8(exchange(at, request.as_bytes()).await).unwrap() }
    };
    let options = ask("OPTIONS", 0).await.to_lowercase();
    assert!(
        options.starts_with("http/1.1 200") && options.contains("\r\nallow: get, "),
        "{options}"
    );
    let trace = ask("TRACE", 0).await;
    assert!(trace.starts_with("HTTP/1.1 200") && trace.contains("message/http"), "{trace}");
    assert!(trace.contains("\r\n\r\nTRACE http://server/x HTTP/1.1\r\n"), "{trace}");
    assert!(!trace.contains("secret"), "{trace}");
    let none = up.world().query(|world| world.connections().len()).await.unwrap();
    assert_eq!(none, 0, "nothing was opened in the lab");
    for method in ["OPTIONS", "TRACE"] {
        let answer = ask(method, 1).await.to_lowercase();
        assert!(answer.contains(&format!("{method} /x http/1.1").to_lowercase()), "{answer}");
        assert!(answer.contains("max-forwards: 0\r\n"), "{answer}");
    }
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn http_failures_are_pages_with_a_status() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    for (target, status, text) in [
        ("http://server:99/", "502", "Connection refused"),
        ("http://10.0.0.99/", "502", "No route to host"),
        ("http://example.com/", "502", "example.com"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(exchange(at, request.as_bytes()).await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {answer}");
        assert!(answer.contains(text) && answer.contains("text/html"), "{answer}");
    }
    let request = "CONNECT server:99 HTTP/1.1\r\nHost: server:99\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(exchange(at, request.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_user_name_or_the_lab_chooses_the_host() {
    let up = Up::with_proxy(Some("friend")).await;
    let at = listen(&up);
    let answer = exchange(at, &socks(1, &name("server"), 11)).await;
    assert_eq!(&answer[12..], b"10.0.0.3");
    let with_user = |user: &str| {
        let mut bytes = vec![5, 2, 0, 2, 1, user.len() as u8];
        bytes.extend_from_slice(user.as_bytes());
        bytes.extend([1, b'x', 5, 1, 0]);
        bytes.extend(name("server"));
        bytes.extend(11u16.to_be_bytes());
        bytes
    };
    let answer = exchange(at, &with_user("wall")).await;
    assert_eq!(answer[..4], [5, 2, 1, 0]);
    assert_eq!(&answer[14..], b"10.0.0.2");
    assert_eq!(exchange(at, &with_user("nobody")).await, [5, 2, 1, 1]);

    // The control API opens one for any host, and knows those that are open.
    let ask = |host: &str| {
        let (client, wanted) = (up.client(), ProxyWanted { from: Some(host.to_owned()) });
        async move { client.call::<ProxyView>(Method::POST, "/api/v1/proxies", Some(&wanted)).await }
    };
    assert_eq!(ask("friend").await.unwrap().listen, at);
    let wall = ask("wall").await.unwrap().listen;
    assert!(wall != at && wall.ip().is_loopback());
    assert_eq!(ask("wall").await.unwrap().listen, wall);
    assert_eq!(&exchange(wall, &socks(1, &name("server"), 11)).await[12..], b"10.0.0.2");
    assert!(ask("nobody").await.is_err());
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn real_clients_see_the_labs_names() {
    let up = Up::with_proxy(None).await;
    let at = listen(&up);
    let curl = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|a| a.replace("PROXY", &at.to_string())).collect();
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            real("curl", &args, b"").await
        }
    };
    for proxy in ["socks5h://PROXY", "http://PROXY"] {
        for extra in [&["-s"][..], &["-s", "-p"]] {
            let args = [extra, &["-x", proxy, "http://server/hello"]].concat();
            let Some(out) = curl(&args).await else { return };
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(
                text.contains("GET /hello HTTP/1.1") && text.contains("Host: server"),
                "{text}"
            );
        }
    }
    // An address, with SOCKS that gets no names.
    let out = curl(&["-s", "-x", "socks5://PROXY", "http://10.0.0.1/"]).await.unwrap();
    assert!(out.status.success());
    // curl's exit codes: 97 for a proxy that could not, 56 for a CONNECT that was refused.
    let out = curl(&["-s", "-x", "socks5h://PROXY", "http://example.com/"]).await.unwrap();
    assert_eq!(out.status.code(), Some(97));
    let out = curl(&["-s", "-p", "-x", "http://PROXY", "http://server:99/"]).await.unwrap();
    assert_eq!(out.status.code(), Some(56));
    let out = curl(&["-s", "-x", "http://wall@PROXY", "http://server/"]).await.unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.starts_with("10.0.0.2:"), "{text}");

    let script = format!(
        "import urllib.request as u\no = u.build_opener(u.ProxyHandler({{'http': 'http://{at}'}}))\n\
         t = o.open('http://server/py', timeout=60).read().decode()\nassert 'GET /py HTTP/1.1' in t, t\n"
    );
    if let Some(output) = real("python3", &["-c", &script], b"").await {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let env = format!("http_proxy=http://{at}");
    if let Some(text) = said("env", &[&env, "wget", "-qO-", "http://server/w"], b"").await {
        assert!(text.is_empty() || text.contains("GET /w HTTP/1.1"), "{text}");
    }
    up.lab.stop().await.unwrap();
}
