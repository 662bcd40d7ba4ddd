//! Half-close, reset, refusal: each end passes as what it is.

use std::io::ErrorKind;

use netarium_server::publish::Limits;
use netarium_server::report::{End, Notice};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Up, soon};

fn closed(notice: Notice) -> Option<(End, u64, u64)> {
    match notice {
        Notice::Closed { end, sent, received, .. } => Some((end, sent, received)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_labs_half_close_lets_the_client_go_on_sending() {
    let mut up = Up::to(8).await;
    let mut stream = up.connect().await;
    let mut got = Vec::new();
    soon("the lab's end", stream.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"bye");
    // Our half is still open: the lab reads what we send after its end.
    stream.write_all(&[1; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(up.notice(closed).await, (End::Closed, 100_000, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_half_close_lets_the_lab_go_on_sending() {
    let mut up = Up::to(7).await;
    let mut stream = up.connect().await;
    stream.write_all(&[1; 300_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = Vec::new();
    soon("the echo", stream.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got.len(), 300_000);
    assert_eq!(up.notice(closed).await, (End::Closed, 300_000, 300_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_labs_reset_is_a_reset() {
    let mut up = Up::to(10).await;
    let mut stream = up.connect().await;
    stream.write_all(b"x").await.unwrap();
    let mut got = Vec::new();
    let error = soon("the reset", stream.read_to_end(&mut got)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(matches!(up.notice(closed).await.0, End::ResetByLab(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_reset_leaves_no_socket_in_the_lab() {
    // `silent` never reads nor writes: only the reset itself can tell that the client has gone.
    let mut up = Up::to(9).await;
    let stream = up.connect().await;
    up.notice(|n| matches!(n, Notice::Connected { .. }).then_some(())).await;
    assert_eq!(up.live_sockets("server").await, 1);
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_eq!(up.notice(closed).await.0, End::ResetByClient);
    up.no_sockets_remain("gateway").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_killed_in_the_middle_leaves_no_socket_in_the_lab() {
    let mut up = Up::to(7).await;
    let mut stream = up.connect().await;
    stream.write_all(&[1; 500_000]).await.unwrap();
    // Closing with unread bytes is what happens to the socket of a killed program.
    stream.readable().await.unwrap();
    drop(stream);
    assert_eq!(up.notice(closed).await.0, End::ResetByClient);
    up.no_sockets_remain("gateway").await;
    up.no_sockets_remain("server").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_is_reset() {
    let mut up = Up::to(4242).await;
    assert_eq!(up.connect_in_vain().await.kind(), ErrorKind::ConnectionReset);
    let reason = up.notice(|n| match n {
        Notice::Refused { reason, .. } => Some(reason),
        _ => None,
    });
    assert!(reason.await.to_lowercase().contains("refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_connection_is_reset_in_the_end() {
    // The firewall of `wall` drops every SYN. A fast clock makes the time-out short.
    let mut up = Up::to_address("10.0.0.2:80", Limits::default()).await;
    up.world().set_pace(netarium_server::Pace::Times(1000.0)).await.unwrap();
    assert_eq!(up.connect_in_vain().await.kind(), ErrorKind::ConnectionReset);
    up.notice(|n| matches!(n, Notice::Refused { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_labs_end_resets_what_still_runs_and_removes_the_runtime_file() {
    let up = Up::to(9).await;
    let mut stream = up.connect().await;
    stream.write_all(b"x").await.unwrap();
    let file = up.runtime_dir.path().join("run/doors.json");
    assert!(file.exists());
    let Up { lab, notices: _notices, runtime_dir: _dir, .. } = up;
    soon("the end", lab.stop()).await.unwrap();
    assert!(soon("the reset", stream.read_u8()).await.is_err());
    assert!(!file.exists());
}
