//! A million frames each: shares, bursts, order, exactness.

use netarium_base::chance::probability;
use netarium_base::{DropReason, Duration, FlowId, Instant, Seed};
use netarium_wire::Frame;

use super::direction::{Direction, Handed};
use super::faults::Faults;
use super::{DirectionSpec, Fate};

const FRAMES: u64 = 1_000_000;

/// A direction with these faults, without rate.
fn direction(faults: Faults) -> Direction {
    let delay = Duration::from_millis(1);
    Direction::new(
        Seed(1),
        "web.home",
        "up",
        DirectionSpec { delay, ..DirectionSpec::default() },
        faults,
    )
}

fn frame(flow: u64, len: usize) -> Box<Frame> {
    let mut frame = Frame::from_bytes(&vec![0; len]);
    frame.meta.flow = FlowId(flow);
    frame
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    lost: Option<DropReason>,
    arrives: u64,
    fate: Fate,
}

/// Hands over a million frames of ten flows in turn, a microsecond apart.
fn run(d: &mut Direction, mut each: impl FnMut(u64, Told)) {
    let frames: Vec<_> = (1..=10).map(|flow| frame(flow, 100)).collect();
    for n in 0..FRAMES {
        let now = Instant::from_nanos(n * 1_000);
        let told = |lost, arrives: Instant, fate| Told { lost, arrives: arrives.as_nanos(), fate };
        each(
            n,
            match d.hand_over(now, &frames[(n % 10) as usize]) {
                Handed::Dropped(reason) | Handed::Lost { reason, .. } => {
                    told(Some(reason), now, Fate::default())
                }
                Handed::Travels { arrives, .. } => told(None, arrives, Fate::default()),
                Handed::Oddly { arrives, fate, .. } => told(None, arrives, *fate),
            },
        );
    }
}

/// How many of the million are, when each is with probability `p`: four standard deviations of the
/// binomial distribution either way, which one run of 16,000 leaves.
fn expect_share(what: &str, count: u64, p: f64) {
    let mean = FRAMES as f64 * p;
    let bound = 4.0 * (mean * (1.0 - p)).sqrt();
    assert!((count as f64 - mean).abs() <= bound, "{what}: {count}, not {mean} ± {bound}");
}

#[test]
fn shares_are_what_was_asked() {
    for p in [0.001, 0.05, 0.5] {
        let threshold = probability(p);
        let mut lossy = direction(Faults::default());
        lossy.spec.loss = threshold;
        lossy.change(crate::LinkChange::Loss(threshold), || unreachable!("loss is no fault"));
        let reorder = format!("{}% by 5ms", p * 100.0).parse().unwrap();
        let mut odd = direction(Faults {
            duplicate: threshold,
            corrupt: threshold,
            reorder: Some(reorder),
            ..Faults::default()
        });
        let [mut lost, mut copies, mut late, mut flipped] = [0; 4];
        run(&mut lossy, |_, told| lost += u64::from(told.lost == Some(DropReason::LinkLoss)));
        let mut together = 0;
        run(&mut odd, |_, Told { fate, .. }| {
            copies += u64::from(fate.copy);
            late += u64::from(fate.late.is_some());
            flipped += u64::from(fate.bit.is_some());
            together += u64::from(fate.copy && fate.bit.is_some());
            assert!(fate.bit.is_none_or(|bit| bit < 800));
        });
        expect_share("loss", lost, p);
        expect_share("duplication", copies, p);
        expect_share("reordering", late, p);
        expect_share("corruption", flipped, p);
        expect_share("two draws are independent", together, p * p);
        let s = odd.stats();
        assert_eq!((s.duplicated, s.reordered, s.corrupted), (copies, late, flipped));
        assert_eq!((lossy.stats().dropped_loss, lossy.stats().sent_frames), (lost, FRAMES));
    }
}

#[test]
fn always_is_always_and_never_never() {
    let all = Faults {
        duplicate: u32::MAX,
        corrupt: probability(1.0),
        burst: Some("p 0% r 100%".parse().unwrap()),
        ..Faults::default()
    };
    run(&mut direction(all), |n, told| {
        assert!(told.lost.is_none() && told.fate.copy && told.fate.bit.is_some(), "{n}");
    });
}

/// Gilbert–Elliott with p = 1 %, r = 25 %: 3.85 % are lost in bursts of 4 on average, whose lengths
/// are distributed geometrically.
#[test]
fn bursts_have_the_length_that_was_asked() {
    let burst = Some("p 1% r 25%".parse().unwrap());
    let mut d = direction(Faults { burst, ..Faults::default() });
    let mut flows = vec![Vec::new(); 10];
    run(&mut d, |n, told| flows[(n % 10) as usize].push(told.lost.is_some()));
    let mut lengths = Vec::new();
    for lost in &flows {
        let runs = lost.chunk_by(|a, b| a == b).filter(|run| run[0]);
        lengths.extend(runs.map(<[bool]>::len));
    }
    let bursts = lengths.len() as f64;
    let mean = lengths.iter().sum::<usize>() as f64 / bursts;
    // The standard deviation of a geometric distribution is √(1−r)/r = 3.46.
    let bound = 4.0 * 3.46 / bursts.sqrt();
    assert!((mean - 4.0).abs() < bound, "{mean} ± {bound} in {bursts} bursts");
    let singles = lengths.iter().filter(|&&n| n == 1).count() as f64 / bursts;
    assert!((singles - 0.25).abs() < 4.0 * (0.25 * 0.75 / bursts).sqrt(), "{singles}");
    // Losses come in clusters: the count varies more than a binomial one, by (2−r)/r or so.
    let share = d.stats().dropped_burst as f64 / FRAMES as f64;
    assert!((share - 0.01 / 0.26).abs() < 0.0025, "{share}");
    assert_eq!(d.stats().dropped_burst, lengths.iter().sum::<usize>() as u64);
}

#[test]
fn states_of_a_burst_have_losses_of_their_own() {
    // In the bad state half the time; 1 % is lost in the good one and 21 % in the bad one.
    let burst = Some("p 10% r 10% good 1% bad 21%".parse().unwrap());
    let mut d = direction(Faults { burst, ..Faults::default() });
    run(&mut d, |_, _| {});
    let share = d.stats().dropped_burst as f64 / FRAMES as f64;
    assert!((share - 0.11).abs() < 0.002, "{share}");
}

#[test]
fn frames_are_chosen_by_number_and_by_what_they_carry() {
    let mut d = direction(Faults { nth: "3,5,every 100000".parse().unwrap(), ..Faults::default() });
    let mut lost = Vec::new();
    run(&mut d, |n, told| lost.extend(told.lost.map(|_| n + 1)));
    assert_eq!(lost[..3], [3, 5, 100_000]);
    assert_eq!((lost.len(), d.stats().dropped_picked), (12, 12));
    // All frames of the run are 100 bytes long.
    let mut fits = direction(Faults { matching: "less 100".parse().ok(), ..Faults::default() });
    run(&mut fits, |_, told| assert_eq!(told.lost, Some(DropReason::LinkPicked)));
    let mut no = direction(Faults { matching: "greater 101".parse().ok(), ..Faults::default() });
    run(&mut no, |_, told| assert_eq!(told.lost, None));
    // Both: the second frame that matches.
    let mut second = direction(Faults {
        matching: "greater 200".parse().ok(),
        nth: "2".parse().unwrap(),
        ..Faults::default()
    });
    let mut hand =
        |len| matches!(second.hand_over(Instant::ZERO, &frame(1, len)), Handed::Lost { .. });
    assert_eq!([100, 300, 100, 300, 300].map(&mut hand), [false, false, false, true, false]);
    // A new setting counts from its beginning.
    second.change(crate::LinkChange::Nth("1".parse().unwrap()), || unreachable!("it has faults"));
    let mut hand =
        |len| matches!(second.hand_over(Instant::ZERO, &frame(1, len)), Handed::Lost { .. });
    assert_eq!([100, 300, 300].map(&mut hand), [false, true, false]);
}

#[test]
fn jitter_keeps_the_order_unless_it_may_not() {
    for (text, keeps) in [("100us", true), ("100us normal", true), ("100us reorder", false)] {
        let mut d = direction(Faults { jitter: Some(text.parse().unwrap()), ..Faults::default() });
        let (mut last, mut overtaken, mut early, mut late) = (0, 0u64, 0u64, 0u64);
        run(&mut d, |n, told| {
            let due = n * 1_000 + 1_000_000;
            overtaken += u64::from(told.arrives < last);
            last = last.max(told.arrives);
            early += u64::from(told.arrives < due);
            late += u64::from(told.arrives > due);
            assert!(told.arrives + 600_000 >= due && told.arrives <= due + 600_000);
        });
        assert_eq!(overtaken == 0, keeps, "{text}: {overtaken}");
        if !keeps {
            // As many are early as are late: one in 200001 is neither.
            expect_share("early", early, 100_000.0 / 200_001.0);
            expect_share("late", late, 100_000.0 / 200_001.0);
        }
    }
}

#[test]
fn a_frame_that_is_held_back_is_overtaken_and_delays_nobody() {
    let reorder = Some("100% by 5ms gap 4".parse().unwrap());
    let mut d = direction(Faults { reorder, ..Faults::default() });
    run(&mut d, |n, told| {
        let fourth = (n / 10 + 1).is_multiple_of(4);
        let late = if fourth { 5_000_000 } else { 0 };
        assert_eq!(told.arrives, n * 1_000 + 1_000_000 + late, "frame {n}");
    });
    assert_eq!(d.stats().reordered, FRAMES / 4);
}

#[test]
fn a_queue_is_bounded_in_bytes_and_an_mtu_is_not_passed() {
    let mut d =
        direction(Faults { queue_bytes: Some(1_000), mtu: Some(1_400), ..Faults::default() });
    d.spec.rate = Some(8_000_000);
    let mut hand = |ms: u64, len| {
        let now = Instant::ZERO + Duration::from_millis(ms);
        match d.hand_over(now, &frame(1, len)) {
            Handed::Dropped(reason) => Err(reason),
            Handed::Travels { depth, .. } => Ok(depth),
            other => panic!("{other:?}"),
        }
    };
    let full = Err(DropReason::LinkQueueFull);
    // 1 byte per microsecond: the first is on the wire for 1.4 ms.
    assert_eq!(
        [hand(0, 1_400), hand(0, 600), hand(0, 400), hand(0, 1)],
        [Ok(0), Ok(1), Ok(2), full]
    );
    // At 2 ms the third begins to be serialised.
    assert_eq!([hand(2, 1_000), hand(2, 1)], [Ok(1), full]);
    assert_eq!(hand(100, 1_415), Err(DropReason::FrameTooBig), "14 bytes of it are no packet");
    assert_eq!(hand(100, 1_414), Ok(0));
    assert_eq!((d.stats().dropped_full, d.stats().dropped_big), (2, 1));
}

/// The luck of one kind of fault does not depend on which others there are.
#[test]
fn a_setting_does_not_shift_the_luck_of_another() {
    let only = Faults { duplicate: probability(0.1), ..Faults::default() };
    let more = Faults {
        burst: Some("p 1% r 25%".parse().unwrap()),
        corrupt: probability(0.2),
        jitter: Some("10us".parse().unwrap()),
        reorder: Some("3% by 1ms".parse().unwrap()),
        ..only.clone()
    };
    let copies = |d: &mut Direction| {
        let mut copies = Vec::new();
        run(d, |n, told| copies.extend((told.lost.is_none() && told.fate.copy).then_some(n)));
        copies
    };
    let (alone, mut crowd) = (copies(&mut direction(only.clone())), direction(more));
    let mut lost = Vec::new();
    let mut with = Vec::new();
    run(&mut crowd, |n, told| match told.lost {
        Some(_) => lost.push(n),
        None => with.extend(told.fate.copy.then_some(n)),
    });
    let left: Vec<u64> = alone.into_iter().filter(|n| lost.binary_search(n).is_err()).collect();
    assert!(left == with && left.len() > 90_000 && !lost.is_empty());
}
