//! Bytes arrive, all of them, in order, and never more of them in memory than the windows allow.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Up, noise, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_megabytes_pass_both_ways_unchanged() {
    let up = Up::to(7).await;
    let stream = up.connect().await;
    let sent = noise(10_000_000);
    let (mut from, mut into) = stream.into_split();
    let copy = sent.clone();
    let writer = tokio::spawn(async move {
        into.write_all(&copy).await.unwrap();
        into.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    soon("the echo", from.read_to_end(&mut got)).await.unwrap();
    writer.await.unwrap();
    assert!(got == sent, "{} of {} bytes came back, or changed", got.len(), sent.len());
    up.no_sockets_remain("server").await;
    up.no_sockets_remain("gateway").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once_keep_their_bytes_apart() {
    let up = std::sync::Arc::new(Up::to(7).await);
    let mut clients = tokio::task::JoinSet::new();
    for i in 0..64u32 {
        let up = std::sync::Arc::clone(&up);
        clients.spawn(async move {
            let mut stream = up.connect().await;
            let sent: Vec<u8> = noise(10_000 + i as usize).iter().map(|b| b ^ i as u8).collect();
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            assert!(got == sent, "connection {i}");
        });
    }
    soon("all echoes", async {
        while let Some(done) = clients.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

/// Writes until nothing more is taken, and gives how much was.
async fn fill(stream: &tokio::net::TcpStream) -> usize {
    let piece = vec![7; 64 * 1024];
    let mut total = 0;
    loop {
        // Full means: not writable for a whole second in which the lab had nothing else to do.
        let ready = tokio::time::timeout(std::time::Duration::from_secs(1), stream.writable());
        if ready.await.is_err() {
            return total;
        }
        match stream.try_write(&piece) {
            Ok(n) => total += n,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => panic!("{e}"),
        }
        assert!(total < 64 * 1024 * 1024, "nothing stops the sender");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lab_server_that_does_not_read_stops_the_client() {
    let up = Up::to(9).await;
    let stream = up.connect().await;
    let total = soon("back-pressure", fill(&stream)).await;
    assert!(total > 100_000, "{total}");
    // Kernel buffers of a loopback connection take several megabytes; the lab's part is bounded.
    let held = up.world().query(|world| {
        let server = world.host_id("server").unwrap();
        let sockets = world.stack(server).unwrap().sockets();
        sockets.iter().map(|s| u64::from(s.recv_queue)).sum::<u64>()
    });
    assert!(held.await.unwrap() < 16 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_stops_the_lab_and_loses_nothing() {
    let up = Up::to(7).await;
    let stream = up.connect().await;
    // The echo server stops reading when nobody takes its echo.
    let total = soon("back-pressure", fill(&stream)).await;
    let (mut from, mut into) = stream.into_split();
    into.shutdown().await.unwrap();
    let mut got = Vec::new();
    soon("the echo", from.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got.len(), total);
    assert!(got.iter().all(|&b| b == 7));
}
