//! Pausing, stepping, breakpoints and observers, with real clients connected.

use netarium_server::Pace;
use netarium_server::api::pacing::{
    BreakWanted, PaceChange, PaceView, Speed, StepView, StepWanted, Word,
};
use netarium_server::client::{Client, ClientError, Method};
use netarium_server::report::Notice;
use netarium_server::stops::{Breakpoint, Unit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Up, noise, soon};

async fn pace(client: &Client, change: PaceChange) -> Result<PaceView, ClientError> {
    client.call(Method::POST, "/api/v1/pace", Some(&change)).await
}

async fn paused(client: &Client, paused: bool) -> PaceView {
    pace(client, PaceChange { speed: None, paused: Some(paused) }).await.unwrap()
}

async fn step(client: &Client, wanted: &StepWanted) -> Result<StepView, ClientError> {
    soon("a step", client.call(Method::POST, "/api/v1/step", Some(wanted))).await
}

fn packets(count: u64) -> StepWanted {
    StepWanted { unit: Unit::Packet, count, until: None }
}

fn until(condition: &str) -> StepWanted {
    StepWanted { unit: Unit::Event, count: 1, until: Some(condition.to_owned()) }
}

async fn echoes(stream: &mut tokio::net::TcpStream, text: &[u8]) {
    let mut back = vec![0; text.len()];
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_paused_lab_waits_and_completes() {
    let up = Up::to(7).await;
    let client = up.client();
    let mut early = up.connect().await;
    early.write_all(b"before").await.unwrap();
    echoes(&mut early, b"before").await;

    let stood = paused(&client, true).await;
    assert!(stood.paused && stood.speed == Speed::Times(1.0));
    // One that is connected, and one that comes while nothing moves.
    let mut late = up.connect().await;
    early.write_all(b"first half, ").await.unwrap();
    late.write_all(b"late").await.unwrap();
    let still = soon("the pace", client.get("/api/v1/pace")).await.unwrap();
    let still: PaceView = serde_json::from_slice(&still).unwrap();
    assert_eq!((still.now, still.events), (stood.now, stood.events));
    let nothing = std::future::poll_fn(|cx| {
        let mut one = [0];
        let mut one = tokio::io::ReadBuf::new(&mut one);
        std::task::Poll::Ready(early.poll_peek(cx, &mut one).is_pending())
    });
    assert!(nothing.await);

    assert!(!paused(&client, false).await.paused);
    early.write_all(b"second half").await.unwrap();
    echoes(&mut early, b"first half, second half").await;
    echoes(&mut late, b"late").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_are_exact_and_let_in_what_waits() {
    let up = Up::to(7).await;
    let client = up.client();
    paused(&client, true).await;
    let mut stream = up.connect().await;
    stream.write_all(b"by steps").await.unwrap();
    let one = step(&client, &packets(1)).await;
    // The connection may still be under way from the door; nothing else has anything to send.
    let mut arrived = one.unwrap().taken;
    while arrived < 3 {
        let view = step(&client, &packets(1)).await.unwrap();
        assert!(view.taken <= 1 && view.pace.paused);
        let seen = |e: &&serde_json::Value| e["event"] == "frame.delivered";
        assert_eq!(view.happened.iter().filter(seen).count() as u64, view.taken);
        arrived += view.taken;
    }
    let before = paused(&client, true).await;
    let none = StepWanted { unit: Unit::Event, count: 0, until: None };
    assert!(matches!(step(&client, &none).await, Err(ClientError::Refused { status: 400, .. })));
    let after = paused(&client, true).await;
    assert_eq!((before.now, before.events), (after.now, after.events));
    paused(&client, false).await;
    echoes(&mut stream, b"by steps").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breakpoint_pauses_says_where_and_the_client_completes() {
    let mut up = Up::to(7).await;
    let client = up.client();
    let wanted = BreakWanted { when: "tcp.state == ESTABLISHED && host == server".to_owned() };
    let added: Breakpoint =
        client.call(Method::POST, "/api/v1/breakpoints", Some(&wanted)).await.unwrap();
    let mut stream = up.connect().await;
    stream.write_all(b"stop and go").await.unwrap();
    let told = up.notice(|n| match n {
        Notice::Stopped(stopped) => Some(stopped),
        _ => None,
    });
    let told = told.await;
    assert_eq!((told.breakpoint, told.place.as_str()), (Some(added.id), "server"));
    let view: PaceView =
        serde_json::from_slice(&client.get("/api/v1/pace").await.unwrap()).unwrap();
    assert!(view.paused && view.stopped.as_ref() == Some(&told));

    // Why it happened leads back to the real client.
    let why = client.get(&format!("/api/v1/why?id={}", told.id)).await.unwrap();
    let why: Vec<serde_json::Value> = serde_json::from_slice(&why).unwrap();
    assert_eq!(why[0]["event"], "tcp.state");
    assert_eq!(why.last().unwrap()["event"], "input", "{why:?}");
    let unknown = client.get("/api/v1/why?id=999999999").await.unwrap_err();
    assert!(matches!(unknown, ClientError::Refused { status: 404, .. }), "{unknown}");

    let none: Option<&()> = None;
    let cleared: serde_json::Value =
        client.call(Method::DELETE, "/api/v1/breakpoints", none).await.unwrap();
    assert_eq!(cleared["cleared"], 1);
    paused(&client, false).await;
    echoes(&mut stream, b"stop and go").await;
    let wrong = BreakWanted { when: "tcp.stat == ESTABLISHED".to_owned() };
    let wrong: Result<Breakpoint, _> =
        client.call(Method::POST, "/api/v1/breakpoints", Some(&wrong)).await;
    assert!(wrong.unwrap_err().to_string().contains("did you mean `tcp.state`?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_runs_on_to_its_condition_or_until_somebody_pauses() {
    let up = Up::to(7).await;
    let client = up.client();
    paused(&client, true).await;
    let mut stream = up.connect().await;
    stream.write_all(b"x").await.unwrap();
    let wanted = until("call == recv && host == server");
    let view = step(&client, &wanted).await.unwrap();
    assert_eq!(view.taken, 1);
    let stopped = view.pace.stopped.unwrap();
    assert!(view.pace.paused && stopped.breakpoint.is_none());
    let event = view.happened.iter().find(|e| e["id"] == stopped.id.0).unwrap();
    assert_eq!((&event["call"], &event["place"]), (&"recv".into(), &"server".into()));

    // One that never comes ends with the next pause.
    let (waiting, other) = (up.client(), up.client());
    let never = until("tcp.state == CLOSED && host == wall");
    let (never, ()) = tokio::join!(step(&waiting, &never), async {
        loop {
            let now: PaceView =
                serde_json::from_slice(&other.get("/api/v1/pace").await.unwrap()).unwrap();
            if !now.paused {
                break;
            }
        }
        assert!(paused(&other, true).await.paused);
    });
    assert_eq!(never.unwrap().taken, 0);
    paused(&client, false).await;
    echoes(&mut stream, b"x").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_speed_keeps_time_while_a_client_is_connected() {
    let up = Up::to(7).await;
    let client = up.client();
    let mut stream = up.connect().await;
    stream.write_all(b"a").await.unwrap();
    echoes(&mut stream, b"a").await;
    let max = PaceChange { speed: Some(Speed::Word(Word::Max)), paused: None };
    let start = std::time::Instant::now();
    let before = pace(&client, max).await.unwrap();
    let data = noise(2_000_000);
    {
        let (mut read, mut write) = stream.split();
        let mut back = vec![0; data.len()];
        let both = async { tokio::join!(write.write_all(&data), read.read_exact(&mut back)) };
        let (sent, got) = soon("the echo", both).await;
        assert!(sent.is_ok() && got.is_ok() && back == data);
    }
    let after = pace(&client, max).await.unwrap();
    let real = start.elapsed() + netarium_server::runner::EARLY;
    let passed = u128::from(after.now - before.now);
    assert!(passed <= real.as_nanos(), "{passed} ns in {real:?}");
    // Nobody is connected any more: the minute of TIME-WAIT passes at once.
    drop(stream);
    let minute =
        async { while pace(&client, max).await.unwrap().now < after.now + 59_000_000_000 {} };
    soon("TIME-WAIT's end", minute).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_observer_is_told_its_loss_and_slows_nobody() {
    let up = Up::to(7).await;
    let client = up.client();
    let kept = || up.world().query(|w| w.tracer().is_on());
    let mut stuck = client.stream("/api/v1/events").await.unwrap();
    let mut live = client.stream("/api/v1/events?filter=http.request%20or%20drop").await.unwrap();
    let mut stream = up.connect().await;
    let data = noise(100_000);
    // The stuck one takes nothing; its 4 MiB and the sockets' buffers fill up.
    let mut back = vec![0; data.len()];
    let (mut read, mut write) = stream.split();
    let enough = 200_000;
    while up.world().query(|w| w.tracer().emitted()).await.unwrap() < enough {
        let both = async { tokio::join!(write.write_all(&data), read.read_exact(&mut back)) };
        let (sent, got) = soon("the echo", both).await;
        assert!(sent.is_ok() && got.is_ok() && back == data);
    }
    let mut text = Vec::new();
    let lost = soon("the loss", async {
        loop {
            let piece = stuck.next().await.unwrap().expect("the lab runs");
            text.extend_from_slice(&piece);
            if let Some(at) = text.windows(8).position(|w| w == b"{\"lost\":") {
                return String::from_utf8_lossy(&text[at + 8..]).into_owned();
            }
            // Something must happen for the notice to come.
            write.write_all(b"y").await.unwrap();
            read.read_exact(&mut [0]).await.unwrap();
        }
    });
    let lost = lost.await;
    let digits: String = lost.chars().take_while(char::is_ascii_digit).collect();
    assert!(digits.parse::<u64>().is_ok_and(|n| n > 0), "{lost}");
    // The other one wanted only what did not happen, and lost nothing of it.
    let quiet = tokio::time::timeout(std::time::Duration::ZERO, live.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert!(kept().await.unwrap());
    up.world().set_pace(Pace::Times(1.0)).await.unwrap();
    let bad = client.stream("/api/v1/events?filter=nonsense").await.unwrap_err();
    assert!(matches!(bad, ClientError::Refused { status: 400, .. }), "{bad}");
}
