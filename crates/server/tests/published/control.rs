//! The control API: who may use it, and what it gives.

use netarium_server::api::session::{FromClient, Start};
use netarium_server::api::view::LabView;
use netarium_server::client::{Client, ClientError, SessionEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Up, noise, other_token, soon};

/// A raw request's answer.
async fn answer(port: u16, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{head}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Who is reset for what was not read has read what there was.
    let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Its status.
async fn status(port: u16, head: &str) -> String {
    let answer = answer(port, head, "").await;
    answer.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_web_pages_are_kept_out() {
    let up = Up::to(7).await;
    let info = up.lab.info().clone();
    let (port, token) = (info.port, info.token);
    let get = "GET /api/v1/lab HTTP/1.1";
    let host = format!("Host: 127.0.0.1:{port}");
    let auth = format!("Authorization: Bearer {token}");
    assert_eq!(status(port, &format!("{get}\r\n{host}\r\n{auth}")).await, "200");
    assert_eq!(status(port, &format!("{get}\r\n{host}")).await, "401");
    let wrong = format!("Authorization: Bearer {}", other_token());
    assert_eq!(status(port, &format!("{get}\r\n{host}\r\n{wrong}")).await, "401");
    let rebound = format!("Host: evil.example:{port}");
    assert_eq!(status(port, &format!("{get}\r\n{rebound}\r\n{auth}")).await, "403");
    let cross = "Origin: http://evil.example";
    assert_eq!(status(port, &format!("{get}\r\n{host}\r\n{auth}\r\n{cross}")).await, "403");
    // The same for the WebSocket, which browsers let any page open.
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let exec = format!("GET /api/v1/exec HTTP/1.1\r\n{host}\r\n{upgrade}\r\n{cross}");
    assert_eq!(status(port, &format!("{exec}\r\n{auth}")).await, "403");
    assert_eq!(status(port, "GET /nothing HTTP/1.1\r\nHost: x").await, "403");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_json_and_bodies_need_no_type() {
    let up = Up::to(7).await;
    let info = up.lab.info().clone();
    let ask = async |line: &str, more: &str, body: &str| {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\n{more}\
             Content-Length: {}",
            info.port,
            info.token,
            body.len()
        );
        let answer = answer(info.port, &head, body).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: application/json\r\n"), "{line}: {answer}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let why = body["error"].as_str().unwrap_or_default().to_owned();
        (head[9..12].to_owned(), why)
    };
    let pace = "POST /api/v1/pace";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for more in ["", form] {
        assert_eq!(ask(pace, more, "{\"speed\": 1}").await.0, "200", "{more}");
    }
    let long = format!("{{\"speed\": {}1}}", " ".repeat(64 * 1024));
    for (line, body, status, text) in [
        (pace, "{", "400", "EOF while parsing"),
        (pace, "", "400", "EOF while parsing"),
        (pace, "{\"speed\": \"fast\"}", "400", "a speed is 0 (paused), 0.001 to 1000, or \"max\""),
        (pace, "{\"sped\": 1}", "400", "unknown field `sped`"),
        (pace, &long, "413", "length limit"),
        ("GET /api/v1/why", "", "400", "id"),
        ("GET /api/v1/why?id=x", "", "400", "invalid digit"),
        ("GET /api/v1/exec", "", "400", "upgrade"),
        ("GET /api/v1/hosts/%ff/sockets", "", "400", "UTF-8"),
        ("GET /api/v1/nothing", "", "404", "there is no such path"),
        ("GET /", "", "404", "there is no such path"),
        ("PUT /api/v1/pace", "", "405", "another method"),
        ("POST /api/v1/past/nothing", "", "404", "there is no such path"),
    ] {
        let (got, why) = ask(line, "", body).await;
        assert!(got == status && why.contains(text), "{line} {}: {got} {why}", body.len());
    }
    up.lab.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lab_describes_itself() {
    let up = Up::to(7).await;
    let client = up.client();
    let lab: LabView = serde_json::from_slice(&client.get("/api/v1/lab").await.unwrap()).unwrap();
    assert_eq!(&lab, up.lab.view());
    assert_eq!(lab.links, ["friend.lan", "gateway.lan", "server.lan", "wall.lan"]);
    assert_eq!(lab.published[0].listen, up.doors[0].view.listen);

    let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
    let processes = text(client.get("/api/v1/hosts/server/processes").await.unwrap());
    assert!(processes.contains(r#""command":"echo 7""#), "{processes}");
    let sockets = text(client.get("/api/v1/hosts/server/sockets").await.unwrap());
    assert!(sockets.contains(r#""state":"LISTEN""#), "{sockets}");
    let missing = client.get("/api/v1/hosts/nobody/sockets").await.unwrap_err();
    assert!(matches!(missing, ClientError::Refused { status: 404, .. }), "{missing}");
    let stats = text(client.get("/api/v1/stats").await.unwrap());
    assert!(stats.contains("\"drops\""), "{stats}");
}

async fn run(client: &Client, argv: &[&str], input: &[u8]) -> Result<(i32, Vec<u8>), ClientError> {
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    let start = Start { host: "server".to_owned(), argv, stdin: true, credit: 10_000 };
    let mut session = client.exec(&start).await?;
    let (mut rest, mut output, mut eof) = (input, Vec::new(), false);
    loop {
        match session.next().await? {
            SessionEvent::Credit(_) if eof => {}
            SessionEvent::Credit(n) => {
                let (now, later) = rest.split_at(rest.len().min(n as usize));
                session.input(now).await?;
                rest = later;
                if rest.is_empty() {
                    eof = true;
                    session.say(&FromClient::Eof(true)).await?;
                }
            }
            SessionEvent::Stdout(data) => {
                session.say(&FromClient::Credit(data.len() as u32)).await?;
                output.extend_from_slice(&data);
            }
            SessionEvent::Stderr(data) => output.extend_from_slice(&data),
            SessionEvent::Exit { code, .. } => return Ok((code, output)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_carries_both_streams_and_the_exit_code() {
    let up = Up::to(7).await;
    let client = up.client();
    let input = noise(1_000_000);
    let (code, output) = soon("the session", run(&client, &["cat"], &input)).await.unwrap();
    assert_eq!(code, 7);
    assert!(output == input, "{} bytes came back", output.len());
    let (code, _) = soon("the session", run(&client, &["nonsense"], b"")).await.unwrap();
    assert_eq!(code, 127);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captures_and_events_stream_while_the_lab_runs() {
    let up = Up::to(7).await;
    let client = up.client();
    let mut capture = client.stream("/api/v1/capture?link=server.lan").await.unwrap();
    let mut events = client.stream("/api/v1/events").await.unwrap();
    let mut stream = up.connect().await;
    stream.write_all(b"needle in a frame").await.unwrap();

    let mut seen = Vec::new();
    while !seen.windows(17).any(|w| w == b"needle in a frame") {
        seen.extend_from_slice(&soon("a frame", capture.next()).await.unwrap().unwrap());
    }
    assert_eq!(seen[..4], 0x0a0d_0d0a_u32.to_le_bytes());
    let mut lines = Vec::new();
    while !String::from_utf8_lossy(&lines).contains("frame.sent") {
        lines.extend_from_slice(&soon("an event", events.next()).await.unwrap().unwrap());
    }
    let first = lines.split(|&b| b == b'\n').next().unwrap();
    let event: serde_json::Value = serde_json::from_slice(first).unwrap();
    assert!(event["id"].is_u64(), "{event}");

    let unknown = client.stream("/api/v1/capture?link=no.such").await.unwrap_err();
    assert!(unknown.to_string().contains("server.lan"), "{unknown}");
    let nonsense = client.stream("/api/v1/capture?ends=neither").await.unwrap_err();
    assert!(matches!(nonsense, ClientError::Refused { status: 400, .. }), "{nonsense}");
}
