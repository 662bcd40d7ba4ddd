//! Real servers behind the ports of lab hosts.

use std::net::SocketAddr;

use netarium_server::report::Notice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Up, noise, soon};

async fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A client and the real server's end, through the published port and the attached one.
async fn pair(up: &Up, server: &TcpListener) -> (TcpStream, TcpStream) {
    let client = listening(up).await;
    let (accepted, _) = soon("the server's end", server.accept()).await.unwrap();
    (client, accepted)
}

/// Connects once the lab's port listens.
async fn listening(up: &Up) -> TcpStream {
    soon("the port", async {
        loop {
            let open = up.world().query(|world| {
                let id = world.host_id("friend").unwrap();
                let sockets = world.stack(id).unwrap().sockets();
                let name = |pid| world.processes(id).into_iter().find(|p| p.pid == pid);
                sockets.into_iter().find(|s| s.state == "LISTEN").and_then(|s| name(s.pid))
            });
            if let Some(process) = open.await.unwrap() {
                assert_eq!(process.name, "attach");
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    up.connect().await
}

#[tokio::test]
async fn bytes_and_half_closes_go_both_ways() {
    let (listener, address) = server().await;
    let mut up = Up::attached(80, address, true).await;
    let (mut client, mut server) = pair(&up, &listener).await;
    let (there, back) = (noise(3_000_000), noise(2_000_000));
    let (to_send, to_answer) = (there.clone(), back.clone());
    let client = async move {
        let mut got = Vec::new();
        let (mut r, mut w) = client.split();
        let write = async {
            w.write_all(&to_send).await.unwrap();
            w.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(write, r.read_to_end(&mut got));
        read.unwrap();
        got
    };
    let server = async move {
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        server.write_all(&to_answer).await.unwrap();
        server.shutdown().await.unwrap();
        got
    };
    let (answer, question) = soon("both", async { tokio::join!(client, server) }).await;
    assert!(answer == back && question == there);
    let closed = up.notice(|n| match n {
        Notice::Closed { client, sent, received, end, .. }
            if client.program.as_deref() == Some("friend") =>
        {
            Some((sent, received, end.to_string()))
        }
        _ => None,
    });
    // Seen from the server: what it sent goes into the lab.
    assert_eq!(closed.await, (2_000_000, 3_000_000, "closed".to_owned()));
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn resets_pass_in_both_directions() {
    let (listener, address) = server().await;
    let up = Up::attached(80, address, true).await;
    let (mut client, server) = pair(&up, &listener).await;
    server.set_zero_linger().unwrap();
    drop(server);
    let error = soon("the reset", client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let (client, mut server) = pair(&up, &listener).await;
    client.set_zero_linger().unwrap();
    drop(client);
    let error = soon("the reset", server.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn where_no_real_server_listens_the_client_is_reset_and_the_reason_told() {
    let (listener, address) = server().await;
    drop(listener);
    let mut up = Up::attached(80, address, true).await;
    let mut client = listening(&up).await;
    let error = soon("the reset", client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let refused = up.notice(|n| match n {
        Notice::Refused { client, to, reason } if client.program.is_some() => Some((to, reason)),
        _ => None,
    });
    let (to, reason) = refused.await;
    assert!(to == address.to_string() && reason.contains("refused"), "{to}: {reason}");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn without_leave_nothing_listens_there() {
    let (_listener, address) = server().await;
    let mut up = Up::attached(80, address, false).await;
    up.connect_in_vain().await;
    let reason = up.notice(|n| match n {
        Notice::Refused { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason.await, "Connection refused");
    let view = up.lab.view();
    assert!(view.attached.len() == 1 && !view.attached[0].allowed);
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn only_what_the_lab_file_names_is_reached() {
    let (listener, address) = server().await;
    let (other, elsewhere) = server().await;
    let mut up = Up::attached(80, address, true).await;
    drop(listening(&up).await);
    soon("the allowed one", listener.accept()).await.unwrap();
    // A program in the lab that asks for another port, or from another host, is refused.
    for (host, to) in [("friend", elsewhere), ("server", address)] {
        let argv = vec!["attach".to_owned(), "81".to_owned(), to.to_string()];
        let start = netarium_world::Command::Start { host: host.to_owned(), argv };
        up.world().command(start).await.unwrap().unwrap();
        let lab_address = if host == "friend" { "10.0.0.3:81" } else { "10.0.0.1:81" };
        let url = format!("http://{lab_address}/");
        let curl = netarium_world::Command::Start {
            host: "wall".to_owned(),
            argv: vec!["curl".to_owned(), url],
        };
        up.world().command(curl).await.unwrap().unwrap();
        let reason = up.notice(|n| match n {
            Notice::Refused { reason, .. } => Some(reason),
            _ => None,
        });
        let reason = reason.await;
        assert!(reason.contains("is not attached to"), "{reason}");
    }
    assert!(futures_lite_poll(other.accept()).await, "nobody came there");
    up.lab.stop().await.unwrap();
}

/// Whether a future is not ready.
async fn futures_lite_poll<F: Future>(future: F) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}
