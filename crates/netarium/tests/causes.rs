//! Every event of a full course run has a cause or is a root, and who looks changes nothing.

use netarium::{BuildOptions, Duration, Lab, RunEnd, World};
use netarium_base::EventId;
use netarium_base::trace::{Event, Record};
use netarium_explain::predicate::STATES;
use netarium_explain::{Role, sentence, why};

fn build(trace_limit: usize) -> World {
    let options =
        BuildOptions { seed: Some(7), runs: true, trace_limit, ..BuildOptions::default() };
    Lab::builtin("course").unwrap().build_with(options).unwrap()
}

fn run(world: &mut World) {
    assert_eq!(world.run_until_idle(Duration::from_secs(3600)), RunEnd::Idle);
}

fn traced() -> (World, Vec<Record>) {
    let mut world = build(1_000_000);
    run(&mut world);
    let all = world.inner().tracer().records().cloned().collect();
    (world, all)
}

#[test]
fn chains_lead_from_each_event_to_its_root() {
    let (world, records) = traced();
    let names = world.inner().names();
    assert!(records.len() > 500, "{} events", records.len());
    let find = |id: EventId| records.binary_search_by_key(&id, |r| r.id).ok().map(|i| &records[i]);
    for record in &records {
        let id = record.id;
        let text = sentence(record, names);
        assert!(text.len() > 8 && text.ends_with(['.', ')']), "#{id}: {text}");
        if let Event::TcpState { from, to, .. } = record.event {
            assert!(STATES.contains(&from) && STATES.contains(&to), "{from} {to}");
        }
        let lines = why(&records[..], names, id);
        assert!(lines.iter().all(|l| l.role != Role::Gap), "#{id}: a gap");
        let chain: Vec<_> = lines.iter().filter(|l| l.role != Role::Origin).collect();
        assert!(chain.windows(2).all(|w| w[1].id < w[0].id && w[1].at <= w[0].at), "#{id}");
        if record.cause == EventId::NONE {
            // The world's start, or what the lab keeps doing by itself.
            assert_eq!((record.root, chain.len()), (id, 1));
            continue;
        }
        let cause = find(record.cause).unwrap_or_else(|| panic!("#{id}: its cause is unknown"));
        assert!(cause.id < id && cause.at <= record.at, "#{id}");
        let origin = find(record.origin).unwrap_or_else(|| panic!("#{id}: no origin"));
        assert!(origin.id <= id, "#{id}");
        assert_eq!(find(chain.last().unwrap().id).unwrap().cause, EventId::NONE, "#{id}");
    }
}

#[test]
fn ids_are_the_same_with_the_trace_on_off_and_bounded() {
    let (traced, records) = traced();
    let emitted = |w: &World| (w.inner().tracer().emitted(), w.inner().fingerprint());
    for limit in [0, 1, 50] {
        let mut world = build(limit);
        run(&mut world);
        assert_eq!(emitted(&world), emitted(&traced), "with {limit} kept");
        let kept: Vec<Record> = world.inner().tracer().records().cloned().collect();
        assert_eq!(kept, records[records.len() - limit..]);
    }
}

#[test]
fn an_evicted_cause_is_a_gap() {
    let mut world = build(50);
    run(&mut world);
    let tracer = world.inner().tracer();
    let last = tracer.records().last().unwrap().id;
    assert!(why(tracer, world.inner().names(), EventId(1)).is_empty());
    let lines = why(tracer, world.inner().names(), last);
    // The root, event 1, is not among the latest 50: the chain must end at a gap.
    assert_eq!(lines.last().map(|l| l.role), Some(Role::Gap), "{lines:?}");
}
