//! What a capture holds, read without any of the code that wrote it.

/// Flags of RFC 9293 §3.1.
pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// What the real tshark prints of a capture when asked so. `None`, and a line that says why, where it
/// is not installed.
pub(crate) fn tshark(name: &str, capture: &[u8], args: &[&str]) -> Option<String> {
    let file = std::env::temp_dir().join(format!("netarium-{name}-{}.pcapng", std::process::id()));
    std::fs::write(&file, capture).unwrap();
    let out = std::process::Command::new("tshark").arg("-r").arg(&file).args(args).output();
    std::fs::remove_file(&file).unwrap();
    match out {
        Ok(out) => {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            Some(String::from_utf8_lossy(&out.stdout).into_owned())
        }
        Err(e) => {
            println!("skipped: tshark: {e}");
            None
        }
    }
}

/// A TCP segment of a capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// Nanoseconds since the epoch.
    pub(crate) time: u64,
    pub(crate) source: u16,
    pub(crate) flags: u8,
    pub(crate) payload: &'a [u8],
}

/// The TCP segments of a pcapng file over Ethernet and IPv4, in its order.
pub(crate) fn segments(pcapng: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    packets(pcapng).filter_map(|(time, frame)| segment(time, frame))
}

/// The enhanced packet blocks: time and frame.
fn packets(mut rest: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    const ENHANCED_PACKET: u32 = 6;
    std::iter::from_fn(move || {
        while rest.len() >= 12 {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let (kind, len) = (word(0), word(4) as usize);
            let block = &rest[..len];
            let packet = (kind == ENHANCED_PACKET).then(|| {
                let time = u64::from(word(12)) << 32 | u64::from(word(16));
                (time, &block[28..28 + word(20) as usize])
            });
            rest = &rest[len..];
            if packet.is_some() {
                return packet;
            }
        }
        None
    })
}

fn segment(time: u64, frame: &[u8]) -> Option<Segment<'_>> {
    let [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x00, ip @ ..] = frame else { return None };
    let whole = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let tcp = &ip[usize::from(ip[0] & 15) * 4..whole];
    if ip[9] != 6 {
        return None;
    }
    Some(Segment {
        time,
        source: u16::from_be_bytes([tcp[0], tcp[1]]),
        flags: tcp[13],
        payload: &tcp[usize::from(tcp[12] >> 4) * 4..],
    })
}
