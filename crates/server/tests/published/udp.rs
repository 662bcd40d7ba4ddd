//! Published UDP ports.

use netarium_server::publish::Limits;
use netarium_server::report::Notice;
use tokio::net::UdpSocket;

use crate::support::{Up, noise, soon};
use crate::tools::{real, said};

async fn client(up: &Up) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(up.doors[0].view.listen).await.unwrap();
    socket
}

async fn ask(socket: &UdpSocket, bytes: &[u8]) -> Vec<u8> {
    socket.send(bytes).await.unwrap();
    let mut buffer = vec![0; 70_000];
    let n = soon("an answer", socket.recv(&mut buffer)).await.unwrap();
    buffer.truncate(n);
    buffer
}

#[tokio::test]
async fn datagrams_of_all_sizes_come_back_whole() {
    let up = Up::datagrams_to(7, Limits::default()).await;
    assert!(up.doors[0].view.udp);
    let socket = client(&up).await;
    for len in [0, 1, 1472, 1473, 20_000, 65_000, 65_507] {
        let bytes = noise(len);
        assert!(ask(&socket, &bytes).await == bytes, "{len}");
    }
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn each_real_client_has_a_port_of_its_own_in_the_lab() {
    let up = Up::datagrams_to(11, Limits::default()).await;
    let (one, two) = (client(&up).await, client(&up).await);
    let first = ask(&one, b"?").await;
    let second = ask(&two, b"?").await;
    assert_ne!(first, second);
    assert_eq!(ask(&one, b"?").await, first, "and keeps it");
    let here = String::from_utf8(first).unwrap();
    assert!(here.starts_with("10.0.0.254:"), "{here}");
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn the_client_that_was_silent_for_the_longest_makes_room() {
    let limits = Limits { flows: 2, ..Limits::default() };
    let mut up = Up::datagrams_to(11, limits).await;
    let clients = [client(&up).await, client(&up).await, client(&up).await];
    let mut seen = Vec::new();
    for socket in &clients {
        seen.push(ask(socket, b"?").await);
    }
    up.notice(|n| matches!(n, Notice::FlowsEvicted { limit: 2, flows: 1, .. }).then_some(())).await;
    assert_eq!(ask(&clients[2], b"?").await, seen[2], "the latest is known still");
    let open = up.world().query(|world| world.connections().len()).await.unwrap();
    assert_eq!(open, 2);
    // The first is a new client now.
    assert_ne!(ask(&clients[0], b"?").await, seen[0]);
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_storm_of_datagrams_does_no_harm() {
    let up = Up::datagrams_to(7, Limits::default()).await;
    let socket = client(&up).await;
    for _ in 0..20_000 {
        let _ = socket.try_send(&[1; 1000]);
    }
    // Lost ones are lost; the port goes on.
    let mut buffer = vec![0; 2000];
    soon("the end of the storm", async {
        loop {
            let _ = socket.send(b"still there?").await;
            if socket.recv(&mut buffer).await.unwrap() == 12 {
                return;
            }
        }
    })
    .await;
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn the_real_dig_asks_a_name_server_in_the_lab() {
    let up = Up::datagrams_to(53, Limits::default()).await;
    let port = up.doors[0].view.listen.port().to_string();
    let args = ["@127.0.0.1", "-p", &port, "+noedns", "+tries=1", "www.shop.lab"];
    if let Some(text) = said("dig", &args, b"").await {
        assert!(text.contains("status: NOERROR") && text.contains("192.0.2.7"), "{text}");
        assert!(
            text.contains("127.0.0.1"),
            "the answer comes from where the question went: {text}"
        );
    }
    up.lab.stop().await.unwrap();
}

#[tokio::test]
async fn real_netcat_and_python_get_their_echo() {
    let up = Up::datagrams_to(7, Limits::default()).await;
    let port = up.doors[0].view.listen.port().to_string();
    if let Some(text) = said("nc", &["-u", "-W", "1", "127.0.0.1", &port], b"by netcat").await {
        assert_eq!(text, "by netcat");
    }
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(30)\n\
         for n in (1, 5000, 60000):\n    s.sendto(bytes(n), ('127.0.0.1', {port}))\n    \
         b, a = s.recvfrom(70000)\n    assert b == bytes(n) and a == ('127.0.0.1', {port}), (n, len(b), a)\n"
    );
    if let Some(output) = real("python3", &["-c", &script], b"").await {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    up.lab.stop().await.unwrap();
}
