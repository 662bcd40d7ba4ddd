//! Bunches of segments: joined, cut, and with nonsense in their headers.

#![allow(clippy::vec_box, reason = "frames are boxed wherever they travel")]

use super::*;
use netarium_wire::ip::IpHeader;
use netarium_wire::{Mac, TcpFlags, TcpHeader, TcpOption, TcpOptions};

fn data(seq: u32, flags: TcpFlags, bytes: &[u8]) -> Box<Frame> {
    let ip = IpHeader::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let tcp = TcpHeader { src_port: 1, dst_port: 2, seq, ack: 9, flags, window: 7, urgent: 0 };
    let mut options = TcpOptions::new();
    options.push(TcpOption::Nop);
    options.push(TcpOption::Nop);
    options.push(TcpOption::Timestamps(3, 4));
    let mut frame = tcp.frame(&ip, &options, Payload::copy_from(bytes));
    frame.set_macs(Mac([2; 6]), Mac([4; 6]));
    frame
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8).collect()
}

/// The segments of `sizes`, which continue each other.
fn run(sizes: &[usize]) -> Vec<Box<Frame>> {
    let all = bytes(sizes.iter().sum());
    let mut at = 0;
    let one = |size: &usize| {
        let frame = data(1_000 + at as u32, TcpFlags::ACK, &all[at..at + size]);
        at += size;
        frame
    };
    sizes.iter().map(one).collect()
}

fn bunch_of(frames: Vec<Box<Frame>>) -> (Vec<u8>, usize, usize) {
    let mut rest: VecDeque<_> = frames.into();
    let first = rest.pop_front().expect("a frame");
    let bunch = join(first, &mut rest);
    let mut packet = bunch.header.to_vec();
    packet.extend_from_slice(&bunch.head);
    bunch.frames.iter().for_each(|f| f.payload().write_to(&mut packet));
    (packet, bunch.frames.len(), rest.len())
}

#[test]
fn what_is_joined_is_cut_to_the_same_frames() {
    for sizes in [&[100usize, 100, 100][..], &[100, 100, 1], &[1448; 40], &[100, 100]] {
        let frames = run(sizes);
        let expected: Vec<Vec<u8>> = frames.iter().map(|f| f.to_vec()).collect();
        let (mut packet, joined, left) = bunch_of(frames);
        assert_eq!((joined, left), (sizes.len(), 0));
        let mut again = VecDeque::new();
        cut(&mut packet, &mut again);
        assert_eq!(again.len(), expected.len());
        for (i, (mut frame, expected)) in again.into_iter().zip(expected).enumerate() {
            frame.meta.verified = false;
            assert_eq!(frame.verify(), Ok(()), "segment {i}");
            // The identification counts on, as Linux lets it.
            let (mut got, mut want) = (frame.to_vec(), expected);
            for b in [&mut got, &mut want] {
                b[IP_ID..IP_ID + 2].fill(0);
                b[IP_SUM..IP_SUM + 2].fill(0);
            }
            assert_eq!(got, want, "segment {i}");
        }
    }
}

#[test]
fn what_does_not_continue_stays_apart() {
    let joined = |frames| bunch_of(frames).1;
    assert_eq!(joined(run(&[100, 101])), 1, "a larger one");
    assert_eq!(joined(run(&[100, 50, 50])), 2, "behind a shorter one");
    assert_eq!(joined(run(&[1000; 70])), JOIN_MAX);
    assert_eq!(joined(run(&[4000; 20])), 16, "64 kB");
    for flags in ["FIN", "SYN", "RST", "URG", "ECE", "CWR"] {
        let flag = TcpFlags::from_name(flags).expect("a flag");
        let mut frames = run(&[10]);
        frames.push(data(1_010, TcpFlags::ACK | flag, &bytes(10)));
        assert_eq!(joined(frames), 1, "{flags}");
    }
    let gap = vec![data(1, TcpFlags::ACK, b"ab"), data(4, TcpFlags::ACK, b"cd")];
    assert_eq!(joined(gap), 1, "a gap");
    let pushed = [TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH, TcpFlags::ACK];
    let pushed = pushed.iter().enumerate().map(|(i, f)| data(1 + 2 * i as u32, *f, b"ab"));
    assert_eq!(joined(pushed.collect()), 2, "PSH ends it");
    assert_eq!(joined(vec![data(1, TcpFlags::ACK, b""), data(1, TcpFlags::ACK, b"ab")]), 1);
}

#[test]
fn a_missing_checksum_is_filled_in() {
    let frame = data(5, TcpFlags::ACK | TcpFlags::FIN, b"odd");
    let expected = frame.to_vec();
    let mut packet = expected.clone();
    let len = expected.len() - TCP;
    put16(&mut packet, TCP + TCP_SUM, !pseudo(&frame, len).checksum());
    let header = VnetHeader {
        needs_checksum: true,
        csum_start: TCP as u16,
        csum_offset: TCP_SUM as u16,
        ..VnetHeader::default()
    };
    let mut with = header.write().to_vec();
    with.extend_from_slice(&packet);
    let mut frames = VecDeque::new();
    cut(&mut with, &mut frames);
    assert_eq!(frames.pop_front().map(|f| f.to_vec()), Some(expected));
}

#[test]
fn nonsense_makes_no_harm() {
    for len in 0..200 {
        for fill in [0u8, 1, 0x45, 0xff] {
            let mut bytes = vec![fill; len];
            let mut frames = VecDeque::new();
            cut(&mut bytes, &mut frames);
            assert!(frames.len() <= 200);
        }
    }
    // A bunch that says nothing true about itself.
    let (mut packet, ..) = bunch_of(run(&[100, 100]));
    for at in 0..packet.len() {
        for value in [0, 1, 0x80, 0xff] {
            let old = std::mem::replace(&mut packet[at], value);
            let mut frames = VecDeque::new();
            cut(&mut packet.clone(), &mut frames);
            assert!(frames.len() <= 300, "{at}: {}", frames.len());
            packet[at] = old;
        }
    }
}
