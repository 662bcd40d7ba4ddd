//! Links, rules and programs of a running lab change through its control API.

use netarium_server::api::edits::{
    DefaultEdit, KillEdit, KilledView, RuleEdit, RulesView, SavedView, StartEdit, StartedView,
};
use netarium_server::api::links::{LinkEdit, LinkView, MirrorView, PartitionView, SwitchView};
use netarium_server::client::{Client, ClientError, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Up, soon};

async fn send(client: &Client, method: Method, path: &str, body: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_value(body).unwrap();
    client.send(method, &format!("/api/v1{path}"), Some(&body)).await.unwrap().to_vec()
}

async fn refused(client: &Client, path: &str, body: &impl Serialize) -> (u16, String) {
    let body = serde_json::to_value(body).unwrap();
    match client.send(Method::POST, &format!("/api/v1{path}"), Some(&body)).await.unwrap_err() {
        ClientError::Refused { status, message } => (status, message),
        other => panic!("{other}"),
    }
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> T {
    serde_json::from_slice(&client.get(&format!("/api/v1{path}")).await.unwrap()).unwrap()
}

fn state(state: &str) -> LinkEdit {
    LinkEdit { state: Some(state.to_owned()), ..LinkEdit::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_wire_stops_a_real_client_and_a_mended_one_lets_it_finish() {
    let up = Up::to(7).await;
    let client = up.client();
    let mut stream = up.connect().await;
    stream.write_all(b"one").await.unwrap();
    let mut back = [0; 3];
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    let cut = send(&client, Method::POST, "/links/server.lan", &state("down")).await;
    let cut: LinkView = serde_json::from_slice(&cut).unwrap();
    assert_eq!(cut.state, "down");
    stream.write_all(b"two").await.unwrap();
    // Until something was dropped at the wire, and while it is cut, nothing comes back.
    soon("a drop", async {
        loop {
            let links: Vec<LinkView> = get(&client, "/links").await;
            let link = links.into_iter().find(|l| l.name == "server.lan").unwrap();
            if link.up.dropped_down + link.down.dropped_down > 0 {
                break;
            }
        }
    })
    .await;
    assert!(stream.try_read(&mut back).is_err(), "nothing came through");
    send(&client, Method::POST, "/links/server.lan", &state("up")).await;
    soon("the echo by retransmission", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"two");
    let slow = LinkEdit {
        delay: Some("5ms".to_owned()),
        loss: Some("1%".to_owned()),
        rate: Some("10Mbit".to_owned()),
        direction: Some("up".to_owned()),
        ..LinkEdit::default()
    };
    let link = send(&client, Method::POST, "/links/server.lan", &slow).await;
    let link: LinkView = serde_json::from_slice(&link).unwrap();
    let shown = |w: &netarium_server::api::links::WireView| {
        (w.delay.clone(), w.rate.clone(), w.loss.clone())
    };
    assert_eq!(shown(&link.up), ("5ms".to_owned(), "10Mbit".to_owned(), "1%".to_owned()));
    assert_eq!(shown(&link.down), ("10us".to_owned(), "none".to_owned(), "0%".to_owned()));

    let saved: SavedView = get(&client, "/saved").await;
    assert!(saved.text.contains("10Mbit") && saved.changes.len() == 1, "{saved:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_goes_keeps_new_clients_out() {
    let up = Up::to(7).await;
    let client = up.client();
    send(&client, Method::PUT, "/hosts/server/rules", &DefaultEdit { deny: true }).await;
    let allow =
        RuleEdit { rule: "allow tcp/7".to_owned(), name: Some("echo".to_owned()), before: None };
    send(&client, Method::POST, "/hosts/server/rules", &allow).await;
    let mut stream = up.connect().await;
    let mut back = [0; 3];
    stream.write_all(b"one").await.unwrap();
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    send(&client, Method::DELETE, "/hosts/server/rules?rule=allow%20tcp%2F7", &()).await;
    let rules: RulesView = get(&client, "/hosts/server/rules").await;
    assert_eq!((rules.default.as_str(), rules.rules.len()), ("deny", 0));
    // Whoever is in stays in; whoever comes now is dropped, and that is counted.
    stream.write_all(b"two").await.unwrap();
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    let _late = up.connect().await;
    soon("a drop at the server", async {
        loop {
            let stats: serde_json::Value = get(&client, "/stats").await;
            let drops = stats["drops"].as_array().unwrap();
            if drops.iter().any(|d| d["place"] == "server" && d["reason"] == "filter-drop") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_start_and_end() {
    let up = Up::to(77).await;
    let client = up.client();
    let argv = vec!["echo".to_owned(), "77".to_owned()];
    let started = send(&client, Method::POST, "/hosts/server/start", &StartEdit { argv }).await;
    let started: StartedView = serde_json::from_slice(&started).unwrap();
    let mut stream = up.connect().await;
    stream.write_all(b"one").await.unwrap();
    let mut back = [0; 3];
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    let saved: SavedView = get(&client, "/saved").await;
    assert_eq!(saved.changes, ["server: + program echo 77"]);
    let kill = |process: &str| KillEdit { process: process.to_owned(), signal: 9 };
    let killed =
        send(&client, Method::POST, "/hosts/server/kill", &kill(&started.pid.to_string())).await;
    let killed: KilledView = serde_json::from_slice(&killed).unwrap();
    assert_eq!(killed.pids, [started.pid]);
    assert!(soon("the end", stream.read(&mut back)).await.map_or(true, |n| n == 0));
    send(&client, Method::POST, "/hosts/server/kill", &kill("slam")).await;
    let saved: SavedView = get(&client, "/saved").await;
    assert_eq!(saved.changes, ["server: - program slam 10"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said() {
    let up = Up::to(7).await;
    let client = up.client();
    let (status, why) = refused(&client, "/links/web.lan", &state("down")).await;
    let known = "the lab has no link `web.lan`; its links: gateway.lan, server.lan, wall.lan";
    assert_eq!((status, why.as_str()), (404, known));
    let (status, why) = refused(&client, "/links/server.lan", &state("sideways")).await;
    assert_eq!((status, why.as_str()), (400, "`sideways` is not up or down"));
    let fast = LinkEdit { rate: Some("fast".to_owned()), ..state("down") };
    let (status, why) = refused(&client, "/links/server.lan", &fast).await;
    assert!(status == 400 && why.starts_with("`fast` is not a rate"), "{why}");
    let links: Vec<LinkView> = get(&client, "/links").await;
    assert!(links.iter().all(|l| l.state == "up"), "nothing of a bad request is done");
    let forward = serde_json::json!({"from": "tcp/80", "to": "10.0.0.1:80"});
    let (status, why) = refused(&client, "/hosts/server/forwards", &forward).await;
    let not = "server: it is no router that translates addresses";
    assert_eq!((status, why.as_str()), (409, not));
    let nobody = KillEdit { process: "nobody".to_owned(), signal: 9 };
    let (status, why) = refused(&client, "/hosts/server/kill", &nobody).await;
    assert_eq!((status, why.as_str()), (409, "server: no process `nobody`"));
    let (status, _) = refused(&client, "/hosts/nowhere/kill", &nobody).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_edited_enters_the_lab_at_once() {
    let (up, folder) = Up::with_folder(7).await;
    let client = up.client();
    let mut events = client.stream("/api/v1/events").await.unwrap();
    std::fs::write(folder.path().join("page.html"), "edited").unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(r#""file""#) {
        seen.extend_from_slice(&soon("the edit", events.next()).await.unwrap().unwrap());
    }
}
