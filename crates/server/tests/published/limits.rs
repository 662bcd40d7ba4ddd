//! What published ports refuse, and what they do when they cannot have what they want.

use std::io::ErrorKind;
use std::net::SocketAddr;

use netarium_server::Pace;
use netarium_server::publish::{Limits, Publish, PublishError, Published};
use netarium_server::report::Notice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Up, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_reset_and_counted() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let mut up = Up::to_address("10.0.0.1:7", limits).await;
    let mut first = up.connect().await;
    let _second = up.connect().await;
    for _ in 0..2 {
        up.notice(|n| matches!(n, Notice::Connected { .. }).then_some(())).await;
    }
    assert_eq!(up.connect_in_vain().await.kind(), ErrorKind::ConnectionReset);
    let told = up.notice(|n| match n {
        Notice::OverLimit { limit, connections, .. } => Some((limit, connections)),
        _ => None,
    });
    assert_eq!(told.await, (2, 1));
    // A place that becomes free is used again.
    first.write_all(b"a").await.unwrap();
    assert_eq!(soon("the echo", first.read_u8()).await.unwrap(), b'a');
    drop(first);
    up.notice(|n| matches!(n, Notice::Closed { .. }).then_some(())).await;
    let mut fourth = up.connect().await;
    fourth.write_all(b"b").await.unwrap();
    assert_eq!(soon("the echo", fourth.read_u8()).await.unwrap(), b'b');
}

fn to_lab(listen: SocketAddr) -> Publish {
    let transport = netarium_world::Transport::Tcp;
    Publish { listen, transport, to: "10.0.0.1:80".parse().unwrap(), from: None }
}

#[tokio::test]
async fn a_port_in_use_moves_to_the_next_free_one_and_names_its_holder() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = taken.local_addr().unwrap();
    let port = Published::bind(to_lab(wanted), &Limits::default()).await.unwrap();
    let moved = port.moved().unwrap();
    assert_eq!(moved.wanted, wanted);
    assert_ne!(port.local_addr(), wanted);
    assert!(port.local_addr().ip().is_loopback());
    if cfg!(target_os = "linux") {
        assert_eq!(moved.holder.as_ref().unwrap().pid, std::process::id());
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on_unless_allowed() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let refused = Published::bind(to_lab(everywhere), &Limits::default()).await;
    assert!(matches!(refused, Err(PublishError::NotLoopback(_))));
    let limits = Limits { allow_lan: true, ..Limits::default() };
    assert!(Published::bind(to_lab(everywhere), &limits).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_lab_lets_its_clients_wait() {
    let up = Up::to(7).await;
    up.world().set_pace(Pace::Paused).await.unwrap();
    let before = up.world().query(|w| (w.now(), w.events())).await.unwrap();
    let mut stream = up.connect().await;
    stream.write_all(b"hello").await.unwrap();
    // Questions are answered, and nothing has happened between them.
    assert_eq!(up.world().query(|w| (w.now(), w.events())).await.unwrap(), before);
    up.world().set_pace(Pace::Times(1.0)).await.unwrap();
    let mut got = [0; 5];
    soon("the echo", stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_lab_sleeps() {
    let up = Up::to(7).await;
    let sleeps = up.world().pacing().await.unwrap().sleeps;
    // A second without events costs no wake-up but that of the question itself.
    tokio::time::timeout(std::time::Duration::from_secs(1), std::future::pending::<()>())
        .await
        .unwrap_err();
    let later = up.world().pacing().await.unwrap().sleeps;
    assert!(later - sleeps <= 5, "{} wake-ups in an idle second", later - sleeps);
}
