//! The same lab and seed give the same bytes: twice in one process, and in two threads at once.

use std::cell::RefCell;
use std::rc::Rc;

use netarium::lab::builtins;
use netarium::world::JsonTrace;
use netarium::{BuildOptions, CaptureSpec, Duration, Ends, Lab, RunEnd};

/// A run's capture and trace.
fn run(name: &str, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let lab = Lab::builtin(name).unwrap();
    let options = BuildOptions { seed: Some(seed), runs: true, ..BuildOptions::default() };
    let mut world = lab.build_with(options).unwrap();
    let links = world.wires();
    let capture = world.capture_links(CaptureSpec { links, ends: Ends::Both, snaplen: 0 });
    let trace = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&trace);
    let names = world.inner().name_table();
    let sink = JsonTrace::new(move |line: &[u8]| into.borrow_mut().extend_from_slice(line), names);
    world.inner_mut().tracer_mut().add_sink(Box::new(sink));
    assert_eq!(world.run_until_idle(Duration::from_secs(3600)), RunEnd::Idle);
    (world.end_capture(capture), trace.take())
}

#[test]
fn each_built_in_lab_gives_the_same_bytes_again() {
    for lab in builtins() {
        let (capture, trace) = run(lab.name, 7);
        assert!(capture.len() > 1000 && trace.len() > 1000, "{}: nothing happened", lab.name);
        let again = run(lab.name, 7);
        assert!(again.0 == capture, "{}: another capture", lab.name);
        assert!(again.1 == trace, "{}: another trace", lab.name);
        assert!(run(lab.name, 8).0 != capture, "{}: the seed changes nothing", lab.name);
    }
}

#[test]
fn two_threads_at_once_give_the_same_bytes() {
    for lab in builtins() {
        let threads = [(); 2].map(|()| std::thread::spawn(move || run(lab.name, 7)));
        let [a, b] = threads.map(|t| t.join().unwrap());
        assert!(a == b, "{}", lab.name);
    }
}
