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
async fn wires_partitions_and_switches_are_changed_and_shown() {
    let up = Up::to(7).await;
    let client = up.client();
    let text = |t: &str| Some(t.to_owned());
    let faults = LinkEdit {
        jitter: text("1us normal"),
        loss_burst: text("p 1% r 50%"),
        drop_nth: text("100000,every 200000"),
        drop_match: text("udp port 9"),
        duplicate: text("1%"),
        reorder: text("1% by 1us"),
        corrupt: text("0.1%"),
        queue_bytes: text("100000"),
        mtu: text("9000"),
        direction: text("down"),
        ..LinkEdit::default()
    };
    let link = send(&client, Method::POST, "/links/server.lan", &faults).await;
    let link: LinkView = serde_json::from_slice(&link).unwrap();
    assert_eq!(link.up.faults(), "");
    assert_eq!(
        link.down.faults(),
        "queue-bytes 100000, loss-burst p 1% r 50%, drop-nth 100000,every 200000, \
         drop-match udp port 9, duplicate 1%, reorder 1% by 1us, corrupt 0.1%, jitter 1us normal, \
         mtu 9000"
    );
    for (edit, why) in [
        (LinkEdit { mtu: text("67"), ..LinkEdit::default() }, "`67` is not"),
        (LinkEdit { drop_match: text("tpc"), ..LinkEdit::default() }, "`tpc` is no word of it"),
        (LinkEdit::default(), "give state, in_flight or a setting"),
    ] {
        let (status, message) = refused(&client, "/links/server.lan", &edit).await;
        assert!(status == 400 && message.contains(why), "{status} {message}");
    }
    let none = LinkEdit {
        jitter: text("none"),
        loss_burst: text("none"),
        duplicate: text("0"),
        corrupt: text("0"),
        reorder: text("none"),
        ..LinkEdit::default()
    };
    send(&client, Method::POST, "/links/server.lan", &none).await;
    parted(&up, &client).await;
    switched(&client).await;
}

/// A partition stops a real client; its end lets it go on.
async fn parted(up: &Up, client: &Client) {
    let mut stream = up.connect().await;
    let mut back = [0; 3];
    stream.write_all(b"one").await.unwrap();
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    let split = PartitionView {
        name: "split".to_owned(),
        sides: vec![vec!["server".to_owned()], vec!["gateway".to_owned()]],
        in_flight: true,
    };
    let all = send(client, Method::POST, "/partitions", &split).await;
    let all: Vec<PartitionView> = serde_json::from_slice(&all).unwrap();
    assert_eq!((all.len(), &all[0].sides), (1, &split.sides));
    assert_eq!(refused(client, "/partitions", &split).await.0, 409);
    stream.write_all(b"two").await.unwrap();
    soon("a drop", async {
        loop {
            let links: Vec<LinkView> = get(client, "/links").await;
            if links.iter().any(|l| l.up.dropped_partition + l.down.dropped_partition > 0) {
                break;
            }
        }
    })
    .await;
    assert!(stream.try_read(&mut back).is_err(), "nothing came through");
    send(client, Method::DELETE, "/partitions?name=split", &()).await;
    soon("the echo by retransmission", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"two");
}

async fn switched(client: &Client) {
    let table: SwitchView = get(client, "/switches/lan/table").await;
    let limits = (table.kind.as_str(), table.limit, table.ageing.as_str());
    assert_eq!(limits, ("switch", 8_192, "300s"));
    let links: Vec<&str> = table.entries.iter().map(|e| e.link.as_str()).collect();
    assert!(links.contains(&"server.lan") && links.contains(&"gateway.lan"), "{table:?}");
    let mirror = Some(MirrorView { to: "server.lan".to_owned(), from: Vec::new() });
    let table = send(client, Method::PUT, "/switches/lan/mirror", &mirror).await;
    let table: SwitchView = serde_json::from_slice(&table).unwrap();
    assert_eq!(table.mirror, mirror);
    let saved: SavedView = get(client, "/saved").await;
    assert!(saved.text.contains("mirror = { to = \"server.lan\" }"), "{}", saved.text);
    let off: Option<MirrorView> = None;
    send(client, Method::PUT, "/switches/lan/mirror", &off).await;
    match client.get("/api/v1/switches/nowhere/table").await.unwrap_err() {
        ClientError::Refused { status: 404, message } => assert!(message.contains("lan")),
        other => panic!("{other}"),
    }
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
    let known =
        "the lab has no link `web.lan`; its links: friend.lan, gateway.lan, server.lan, wall.lan";
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
