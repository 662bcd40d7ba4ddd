//! Recordings through the library: the same bytes again, any cut opens, rewinding, forks.

use std::cell::RefCell;
use std::rc::Rc;

use netarium::recording::{Change, Ending, Moment, What, compare_recordings, fork, write_head};
use netarium::world::{ByteSink, Command, Input, JsonTrace, World as Inner};
use netarium::{BuildOptions, Duration, EventId, Instant, Lab, Recording, Replay};

#[derive(Clone, Default)]
struct Bytes(Rc<RefCell<Vec<u8>>>);

impl ByteSink for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

fn trace(world: &mut Inner) -> Bytes {
    let bytes = Bytes::default();
    let names = world.name_table();
    world.tracer_mut().add_sink(Box::new(JsonTrace::new(bytes.clone(), names)));
    bytes
}

/// A session with programs, an edit and a cut wire; gives the recording and the trace.
fn session(lab: &str, host: &str, url: &str, link: &str) -> (Vec<u8>, Vec<u8>) {
    let lab = Lab::builtin(lab).unwrap();
    let mut world = lab.build(3).unwrap();
    let trace = trace(world.inner_mut());
    let page = world.exec(host, &format!("curl -s {url}")).unwrap();
    assert_eq!(page.code, 0);
    let edit = Input::FileWrite {
        path: "htdocs/index.html".to_owned(),
        bytes: Some(b"<html>edited</html>".to_vec()),
    };
    world.inner_mut().apply(edit);
    let set = |up| Input::Command(Command::LinkUp { link: link.to_owned(), up });
    world.inner_mut().apply(set(false));
    world.run_for(Duration::from_millis(5));
    world.inner_mut().apply(set(true));
    let page = world.exec(host, &format!("curl -s {url}")).unwrap();
    assert_eq!(page.stdout_text(), "<html>edited</html>");
    world.inner_mut().finish_journal();
    let mut bytes = write_head(lab.model(), false).unwrap();
    bytes.extend_from_slice(world.inner().journal().bytes());
    (bytes, trace.0.take())
}

fn two_hosts() -> (Vec<u8>, Vec<u8>) {
    session("two-hosts", "client", "http://server/", "server.lan")
}

/// The course lab's own commands, headless.
fn course() -> Recording {
    let lab = Lab::builtin("course").unwrap();
    let options = BuildOptions { runs: true, ..BuildOptions::default() };
    let mut world = lab.build_with(options).unwrap();
    world.run_until_idle(Duration::from_secs(60));
    world.inner_mut().finish_journal();
    Recording::from_parts(lab, true, world.inner().journal().bytes()).unwrap()
}

#[test]
fn a_replay_is_the_same_run_every_time() {
    let (bytes, recorded) = two_hosts();
    let recording = Recording::open(&bytes).unwrap();
    assert_eq!(*recording.ending(), Ending::Whole);
    for _ in 0..3 {
        let mut replay = Replay::new(recording.clone()).unwrap();
        let again = trace(replay.watch());
        assert!(replay.play(Moment::End, &mut |_| {}));
        assert!(replay.divergence().is_none() && replay.checks() > 2);
        assert!(*again.0.borrow() == recorded);
    }
}

#[test]
fn a_recording_cut_at_any_byte_opens_up_to_the_last_whole_entry() {
    let (bytes, recorded) = two_hosts();
    let (mut opened, mut last) = (0, Instant::ZERO);
    for cut in 0..bytes.len() {
        let Ok(recording) = Recording::open(&bytes[..cut]) else {
            assert_eq!(opened, 0, "a longer piece opens too");
            continue;
        };
        opened += 1;
        assert!(recording.end() >= last);
        last = recording.end();
        assert_ne!(*recording.ending(), Ending::Whole, "{cut}");
        if cut % 16 == 0 {
            let mut replay = Replay::new(recording).unwrap();
            let again = trace(replay.watch());
            assert!(replay.play(Moment::End, &mut |_| {}), "{cut}");
            assert!(recorded.starts_with(&again.0.borrow()), "{cut}");
        }
    }
    assert!(opened > 100, "{opened}");
}

#[test]
fn any_point_is_reached_forward_and_backward() {
    let recording = Recording::open(&two_hosts().0).unwrap();
    let end = recording.end();
    let mut replay = Replay::new(recording).unwrap();
    let mut at = |to: Moment| {
        assert!(replay.seek(to).unwrap(), "{to:?}");
        (replay.world().now(), replay.world().fingerprint())
    };
    let moments: Vec<_> = (0..20)
        .map(|n| Moment::Time(Instant::from_nanos(end.as_nanos() / 20 * n)))
        .chain([1, 10, 50, 51, 52, 100].map(|n| Moment::Event(EventId(n))))
        .collect();
    let first: Vec<_> = moments.iter().map(|&m| at(m)).collect();
    let backward: Vec<_> = moments.iter().rev().map(|&m| at(m)).collect();
    assert!(first.iter().eq(backward.iter().rev()));
    assert!(!replay.seek(Moment::Time(end + Duration::from_secs(1))).unwrap());
}

/// The frames that were sent: id, time, flow and link.
fn frames(recording: &Recording) -> Vec<(u64, u64, String, String)> {
    let mut replay = Replay::new(recording.clone()).unwrap();
    let lines = trace(replay.watch());
    assert!(replay.play(Moment::End, &mut |_| {}));
    let text = String::from_utf8(lines.0.take()).unwrap();
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!("\"{name}\":")).unwrap().1;
        rest.split([',', '}']).next().unwrap().trim_matches('"').to_owned()
    };
    text.lines()
        .filter(|l| l.contains("\"frame.sent\"") && l.contains("\"flow\""))
        .map(|l| {
            let number = |name| field(l, name).parse().unwrap();
            (number("id"), number("at"), field(l, "flow"), field(l, "link"))
        })
        .collect()
}

#[test]
fn a_fork_first_differs_at_the_frame_and_leaves_other_flows_alone() {
    let recording = course();
    let frames = frames(&recording);
    for (id, at, flow, link) in frames.iter().step_by(11) {
        let diff = fork(&recording, Moment::Event(EventId(*id)), &Change::DropFrame).unwrap();
        let first = diff.first.expect("a lost frame is a difference");
        let drop = first.after.unwrap();
        assert_eq!((first.at, first.what), (*at, What::New), "#{id}");
        assert_eq!((&drop["event"], &drop["reason"]), (&"drop".into(), &"fork".into()));
        assert_eq!((&drop["cause"], &drop["place"]), (&(*id).into(), &link.as_str().into()));
        assert_eq!(drop["flow"], flow.as_str());
        assert!(diff.flows.iter().any(|f| f.is_same()), "#{id}");
    }
}

#[test]
fn what_ended_before_and_what_is_elsewhere_stays_identical() {
    let recording = course();
    let frames = frames(&recording);
    // A frame of the first flow with many frames: the page that `pc` fetches from `web`.
    let (id, _, touched, _) = &frames[frames.len() / 6];
    let diff = fork(&recording, Moment::Event(EventId(*id)), &Change::DropFrame).unwrap();
    for flow in &diff.flows {
        let other = flow.flow.as_ref().is_some_and(|f| f != touched);
        assert!(!other || flow.is_same(), "{flow:#?}");
    }
    let touched = diff.flows.iter().find(|f| f.flow.as_ref() == Some(touched)).unwrap();
    assert!(touched.new > 0 && !touched.is_same());
}

#[test]
fn other_changes_and_mistakes() {
    let recording = course();
    let at = |ms| Moment::Time(Instant::ZERO + Duration::from_millis(ms));
    let link =
        |name: &str, up| Change::Commands(vec![Command::LinkUp { link: name.to_owned(), up }]);
    let down = link("web.home", false);
    let diff = fork(&recording, at(50), &down).unwrap();
    let first = diff.first.unwrap().after.unwrap();
    assert_eq!(
        (&first["event"], &first["text"]),
        (&"command".into(), &"link web.home down".into())
    );
    assert_eq!(first["at"], 50_000_000);
    // The present seed changes nothing; another one does.
    assert_eq!(fork(&recording, Moment::End, &Change::Seed(0)).unwrap().first, None);
    assert!(fork(&recording, Moment::End, &Change::Seed(1)).unwrap().first.is_some());
    assert_eq!(compare_recordings(&recording, &recording).unwrap().first, None);
    let error = |at, change: &Change| fork(&recording, at, change).unwrap_err().to_string();
    let unknown = link("x.y", true);
    assert!(error(at(1), &unknown).contains("`x.y`"));
    assert!(error(at(1), &Change::DropFrame).contains("a time is not one"));
    assert!(error(Moment::Event(EventId(2)), &Change::DropFrame).contains("#2 is `"));
    assert!(error(at(100_000_000), &down).contains("ends at"));
    // Without its rule the firewall drops what it let in; flows that are known go on.
    let (host, rule) = ("web".to_owned(), "allow tcp/80".to_owned());
    let closed = Change::Commands(vec![Command::RemoveRule { host, rule }]);
    let diff = fork(&recording, Moment::Time(Instant::ZERO), &closed).unwrap();
    let new = diff.flows.iter().flat_map(|f| &f.first).filter_map(|d| d.after.as_ref());
    assert!(new.into_iter().any(|e| e["event"] == "drop"), "{diff:#?}");
}
