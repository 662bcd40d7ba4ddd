//! Takes out what cannot be the same twice: times, speeds, addresses of things in memory, ports of
//! the client, random boundaries.

use super::Said;

/// The masked form.
pub(crate) fn all(mut said: Said) -> Said {
    said.err = err(&said.err);
    for request in &mut said.wire {
        *request = codings(&boundary(request));
    }
    said.out = json(&boundary(&String::from_utf8_lossy(&said.out))).into_bytes();
    for (name, contents) in &mut said.files {
        if name.ends_with(".jar") {
            *contents = jar(&String::from_utf8_lossy(contents)).into_bytes();
        }
        if name.ends_with(".trace") {
            *contents = err(contents);
        }
    }
    said
}

fn err(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        // Pointers, and a line that only curls with HTTP/2 say.
        let info = line.strip_prefix("* ").or(line.strip_prefix("== Info: ")).unwrap_or(line);
        if info.starts_with("Found bundle for host") || info.starts_with("Can not multiplex") {
            continue;
        }
        // Which ports are free is chance.
        if info.starts_with("Bind to local port") || info.starts_with("Local port: 4") {
            continue;
        }
        out.push_str(&codings(&boundary(&milliseconds(&meter(&nil(line))))));
    }
    out.into_bytes()
}

/// What the real one prints for a host that it forgot (with `--connect-to`).
fn nil(line: &str) -> String {
    line.replace("Connected to (nil) ", "Connected to example.test ")
        .replace("to host (nil) left", "to host example.test left")
}

/// The codings that only the real one can unpack.
fn codings(text: &str) -> String {
    text.replace("deflate, gzip, br, zstd", "deflate, gzip")
}

/// Times, speeds, ports and the version in `%{json}`.
fn json(text: &str) -> String {
    if !text.contains("\"curl_version\"") {
        return text.to_owned();
    }
    let mut out = String::new();
    for pair in text.split_inclusive(',') {
        let name = pair.split(':').next().unwrap_or("");
        let masked = ["time_", "speed_", "local_port", "curl_version", "errormsg"];
        if masked.iter().any(|m| name.contains(m)) {
            out.push_str(&format!("{name}:X,"));
        } else {
            out.push_str(pair);
        }
    }
    out
}

/// `after 12 ms` → `after T ms`.
fn milliseconds(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" after ") else { return line.to_owned() };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let unit = &rest[digits..];
    if digits == 0 || !(unit.starts_with(" ms") || unit.starts_with(" milliseconds")) {
        return line.to_owned();
    }
    format!("{before} after T{unit}")
}

/// Of a progress meter's lines that overwrite each other the last, without times and speeds.
fn meter(line: &str) -> String {
    let columns = |l: &str| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let last = line.rsplit('\r').find(|l| columns(l).len() >= 11 && l.contains(":--"));
    let Some(last) = last.filter(|_| line.contains('\r')) else { return line.to_owned() };
    let c = columns(last);
    // What is said next stands behind the meter's 78 columns.
    let behind = last.get(78..).unwrap_or("");
    format!("meter {}{behind}", c[..6].join(" "))
}

/// The digits that make a multipart boundary unique.
fn boundary(text: &str) -> String {
    let dashes = "------------------------";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(dashes) {
        let extra = rest[at + dashes.len()..].bytes().take_while(|b| *b == b'-').count();
        let (before, after) = rest.split_at(at + dashes.len() + extra);
        let n = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(before);
        out.push_str(if n == 16 { "BOUNDARY" } else { &after[..n] });
        rest = &after[n..];
    }
    out + rest
}

/// Expiry times between 2000 and 2037, which Max-Age makes from the clock.
fn jar(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        if let Some(t) = fields.get_mut(4)
            && t.parse().is_ok_and(|t: u64| (946_684_800..2_114_380_800).contains(&t))
        {
            "SOON".clone_into(t);
        }
        out.push_str(&fields.join("\t"));
    }
    out
}
