//! Each real client's own address in the lab.

use netarium_server::api::connections::ConnectionsView;
use tokio::io::AsyncReadExt;

use crate::support::{Up, soon};
use crate::tools::said;

async fn who(up: &Up) -> String {
    let mut text = String::new();
    let mut stream = up.connect().await;
    soon("an answer", stream.read_to_string(&mut text)).await.unwrap();
    text
}

#[tokio::test]
async fn different_programs_have_different_addresses() {
    let up = Up::to(11).await;
    // The first client has the gateway's own.
    assert_eq!(who(&up).await, "10.0.0.254");
    assert_eq!(who(&up).await, "10.0.0.254");
    let port = up.doors[0].view.listen.port().to_string();
    let Some(nc) = said("nc", &["-N", "127.0.0.1", &port], b"").await else { return };
    if cfg!(target_os = "linux") {
        assert_eq!(nc, "10.0.0.253");
        // The same program again is the same client.
        assert_eq!(said("nc", &["-N", "127.0.0.1", &port], b"").await.unwrap(), "10.0.0.253");
        let view = up.client().get("/api/v1/connections").await.unwrap();
        let view: ConnectionsView = serde_json::from_slice(&view).unwrap();
        let labels: Vec<_> = view.clients.iter().map(|c| c.label.as_str()).collect();
        assert!(labels.len() == 2 && labels[1].starts_with("nc"), "{labels:?}");
    }
    assert_eq!(who(&up).await, "10.0.0.254");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn open_connections_are_listed_with_their_clients() {
    let up = Up::to(9).await;
    let stream = up.connect().await;
    let real = stream.local_addr().unwrap().to_string();
    let view = soon("the connection", async {
        loop {
            let view = up.client().get("/api/v1/connections").await.unwrap();
            let view: ConnectionsView = serde_json::from_slice(&view).unwrap();
            if view.connections.iter().any(|c| c.state == "ESTABLISHED") {
                return view;
            }
        }
    })
    .await;
    let one = &view.connections[0];
    assert_eq!((one.proto.as_str(), one.host.as_str()), ("tcp", "gateway"));
    assert_eq!(one.remote, "10.0.0.1:9");
    assert!(one.client.starts_with(&real), "{one:?}");
    drop(stream);
    up.lab.stop().await.unwrap();
}
