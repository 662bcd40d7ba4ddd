//! What each option does.

use super::table::Opt;
use super::values::{count, date, detour, number, offset, pinned, ports, seconds, size};
use super::{
    AuthMode, Bad, Files, Global, Netrc, Note, Options, Output, Show, TimeCondition, TraceKind,
};
use crate::curl::form;

const BAD_USE: Bad = Bad::Reason("is badly used here");

/// The most bytes of a request body.
const BODY_MAX: usize = netarium_world::files::FILE_MAX;

/// One option at work.
pub(super) struct Apply<'a> {
    pub(super) o: &'a mut Options,
    pub(super) g: &'a mut Global,
    pub(super) files: &'a dyn Files,
}

impl Apply<'_> {
    pub(super) fn apply(mut self, opt: Opt, on: bool, value: &str) -> Result<(), Bad> {
        if self.switch(opt, on) || self.global(opt, value) || self.text(opt, value) {
            return Ok(());
        }
        if let Some(result) = self.numbers(opt, value) {
            return result;
        }
        self.rest(opt, value)
    }

    fn switch(&mut self, opt: Opt, on: bool) -> bool {
        let o = &mut *self.o;
        let place = match opt {
            Opt::Compressed => &mut o.compressed,
            Opt::CreateDirs => &mut o.create_dirs,
            Opt::Fail => &mut o.fail,
            Opt::FailWithBody => &mut o.fail_with_body,
            Opt::Get => &mut o.get,
            Opt::Globoff => &mut o.globoff,
            Opt::Head => &mut o.head,
            Opt::Http09 => &mut o.http09,
            Opt::IgnoreLength => &mut o.ignore_length,
            Opt::Include => &mut o.include,
            Opt::JunkSession => &mut o.junk_session,
            Opt::Location => &mut o.location,
            Opt::NoClobber => &mut o.no_clobber,
            Opt::NoKeepalive => &mut o.keepalive.on,
            Opt::PathAsIs => &mut o.path_as_is,
            Opt::Post301 => &mut o.keep_post[0],
            Opt::Post302 => &mut o.keep_post[1],
            Opt::Post303 => &mut o.keep_post[2],
            Opt::ProxyTunnel => &mut o.tunnel,
            Opt::Raw => &mut o.raw,
            Opt::RemoteHeaderName => &mut o.content_disposition,
            Opt::RemoteNameAll => &mut o.remote_name_all,
            Opt::RemoveOnError => &mut o.remove_on_error,
            Opt::RetryAllErrors => &mut o.retry_all,
            Opt::RetryConnrefused => &mut o.retry_refused,
            Opt::FailEarly => &mut self.g.fail_early,
            Opt::NoProgress => &mut self.g.no_progress,
            Opt::ProgressBar => &mut self.g.progress_bar,
            Opt::ShowError => &mut self.g.show_error,
            Opt::Silent => &mut self.g.silent,
            Opt::Verbose => &mut self.g.verbose,
            _ => return self.modes(opt, on),
        };
        *place = on;
        true
    }

    /// Options without a value that choose one of several.
    fn modes(&mut self, opt: Opt, on: bool) -> bool {
        let o = &mut *self.o;
        match opt {
            Opt::Anyauth => o.auth = AuthMode::Any,
            Opt::Basic => o.auth = AuthMode::Basic,
            Opt::Http10 => o.http10 = true,
            Opt::Http11 => o.http10 = false,
            Opt::Ipv4 => (o.ipv4_only, o.ipv6_only) = (true, false),
            Opt::Ipv6 => (o.ipv4_only, o.ipv6_only) = (false, true),
            Opt::LocationTrusted => (o.location, o.trusted) = (on, on),
            Opt::Netrc if on => o.netrc = Netrc::Required(None),
            Opt::NetrcOptional if on => o.netrc = Netrc::Optional,
            Opt::Netrc | Opt::NetrcOptional => o.netrc = Netrc::Ignored,
            Opt::RemoteName if on => o.outputs.push(Output::RemoteName),
            Opt::Help => self.g.show = self.g.show.or(Some(Show::Help)),
            Opt::Manual => self.g.show = self.g.show.or(Some(Show::Manual)),
            Opt::Version => self.g.show = self.g.show.or(Some(Show::Version)),
            Opt::RemoteName | Opt::TcpNodelay | Opt::Disable | Opt::Idle => {}
            _ => return false,
        }
        true
    }

    fn global(&mut self, opt: Opt, value: &str) -> bool {
        match opt {
            Opt::Trace => self.g.trace = Some((TraceKind::Hex, value.to_owned())),
            Opt::TraceAscii => self.g.trace = Some((TraceKind::Ascii, value.to_owned())),
            Opt::Stderr => self.g.stderr = Some(value.to_owned()),
            _ => return false,
        }
        true
    }

    fn text(&mut self, opt: Opt, value: &str) -> bool {
        let o = &mut *self.o;
        let place = match opt {
            Opt::CookieJar => &mut o.cookie_jar,
            Opt::DumpHeader => &mut o.dump_header,
            Opt::EtagCompare => &mut o.etag_compare,
            Opt::EtagSave => &mut o.etag_save,
            Opt::Interface => &mut o.interface,
            Opt::Noproxy => &mut o.no_proxy,
            Opt::OauthBearer => &mut o.bearer,
            Opt::OutputDir => &mut o.output_dir,
            Opt::Proxy => &mut o.proxy,
            Opt::ProxyUser => &mut o.proxy_user,
            Opt::Request => &mut o.method,
            Opt::RequestTarget => &mut o.target,
            Opt::User => &mut o.user,
            Opt::UserAgent => &mut o.user_agent,
            _ => return false,
        };
        *place = Some(value.to_owned());
        true
    }

    fn numbers(&mut self, opt: Opt, value: &str) -> Option<Result<(), Bad>> {
        let o = &mut *self.o;
        let result = match opt {
            Opt::ConnectTimeout => seconds(value).map(|s| o.connect_timeout = s),
            Opt::ExpectTimeout => seconds(value).map(|s| o.expect_timeout = s),
            Opt::MaxTime => seconds(value).map(|s| o.max_time = s),
            Opt::RetryDelay => seconds(value).map(|s| o.retry_delay = s),
            Opt::RetryMaxTime => seconds(value).map(|s| o.retry_max_time = s),
            Opt::KeepaliveTime => count(value).map(|n| o.keepalive.seconds = n),
            Opt::MaxRedirs => number(value).map(|n| o.max_redirs = Some(n)),
            Opt::Retry => count(value).map(|n| o.retry = n),
            Opt::SpeedLimit => count(value).map(|n| o.speed_limit = Some(n)),
            Opt::SpeedTime => count(value).map(|n| o.speed_time = Some(n)),
            Opt::ContinueAt => offset(value).map(|n| o.resume = Some(n)),
            Opt::LocalPort => ports(value).map(|p| o.local_ports = Some(p)),
            Opt::ConnectTo => detour(value).map(|d| o.connect_to.push(d)),
            Opt::LimitRate | Opt::MaxFilesize => match size(value) {
                Ok(n) if opt == Opt::LimitRate => {
                    o.limit_rate = (n > 0).then_some(n);
                    Ok(())
                }
                Ok(n) => {
                    o.max_filesize = Some(n);
                    Ok(())
                }
                Err(warning) => {
                    self.g.warnings.extend(warning.map(|w| Note::Warning(w.to_owned())));
                    Err(BAD_USE)
                }
            },
            _ => return None,
        };
        Some(result)
    }

    fn rest(&mut self, opt: Opt, value: &str) -> Result<(), Bad> {
        let owned = || value.to_owned();
        match opt {
            Opt::Url => self.o.urls.push(owned()),
            Opt::Output => self.o.outputs.push(Output::File(owned())),
            Opt::UploadFile => self.o.uploads.push(owned()),
            Opt::Range => return self.range(value),
            Opt::Resolve => self.o.resolve.push(pinned(value)),
            Opt::NetrcFile => self.o.netrc = Netrc::Required(Some(owned())),
            Opt::Socks5 => self.o.socks = Some((owned(), false)),
            Opt::Socks5Hostname => self.o.socks = Some((owned(), true)),
            Opt::Proto => self.o.protocols.http = protocols(value, self.o.protocols.http),
            Opt::ProtoRedir => {
                self.o.redirect_protocols.http = protocols(value, self.o.redirect_protocols.http);
            }
            Opt::Referer => match value.strip_suffix(";auto") {
                Some(text) => {
                    self.o.auto_referer = true;
                    self.o.referer = (!text.is_empty()).then(|| text.to_owned());
                }
                None => self.o.referer = Some(owned()),
            },
            Opt::Cookie => self.cookie(value),
            Opt::Header | Opt::ProxyHeader => return self.header(opt, value),
            Opt::WriteOut => return self.write_out(value),
            Opt::TimeCond => self.time_condition(value),
            Opt::UrlQuery => {
                let piece = match value.strip_prefix('+') {
                    Some(raw) => raw.to_owned(),
                    None => self.urlencoded(value)?,
                };
                self.o.query.push(piece);
            }
            Opt::Form | Opt::FormString => return self.form(opt, value),
            _ => return self.data(opt, value),
        }
        Ok(())
    }

    fn range(&mut self, value: &str) -> Result<(), Bad> {
        let mut warn = |text: &str| self.g.warnings.push(Note::Warning(text.to_owned()));
        let mut range = value.to_owned();
        if value.starts_with(|c: char| c.is_ascii_digit()) && !value.contains('-') {
            // A number alone means from there on.
            let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            let Ok(from) = value[..digits].parse::<i64>() else {
                warn("unsupported range point");
                return Err(BAD_USE);
            };
            warn("A specified range MUST include at least one dash (-). Appending one for you!");
            range = format!("{from}-");
        }
        if value.contains(|c: char| !c.is_ascii_digit() && c != '-' && c != ',') {
            warn(
                "Invalid character is found in given range. A specified range MUST have only \
                 digits in 'start'-'stop'. The server's response to this request is uncertain.",
            );
        }
        self.o.range = Some(range);
        Ok(())
    }

    fn cookie(&mut self, value: &str) {
        if value.contains('=') {
            let so_far = self.o.cookie.take();
            let joined = so_far.map_or_else(|| value.to_owned(), |c| format!("{c};{value}"));
            self.o.cookie = Some(joined);
        } else {
            self.o.cookie_files.push(value.to_owned());
        }
    }

    /// `-H LINE`, `-H @FILE`.
    fn header(&mut self, opt: Opt, value: &str) -> Result<(), Bad> {
        let lines = match value.strip_prefix('@') {
            None => vec![value.to_owned()],
            Some(path) => {
                let Some(bytes) = self.files.read(path) else {
                    self.g.warnings.push(Note::Warning(format!("Failed to open {path}!")));
                    return Ok(());
                };
                let text = String::from_utf8_lossy(&bytes).into_owned();
                text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
            }
        };
        let list = if opt == Opt::Header { &mut self.o.headers } else { &mut self.o.proxy_headers };
        list.extend(lines);
        Ok(())
    }

    /// `-w FORMAT`, `-w @FILE`.
    fn write_out(&mut self, value: &str) -> Result<(), Bad> {
        let format = match value.strip_prefix('@') {
            None => value.to_owned(),
            Some(path) => {
                let bytes = self.files.read(path).unwrap_or_default();
                let format = String::from_utf8_lossy(&bytes).replace(['\r', '\n'], "");
                if format.is_empty() {
                    self.g.warnings.push(Note::Open(format!("Failed to read {path}")));
                    self.o.write_out = None;
                    return Ok(());
                }
                format
            }
        };
        self.o.write_out = Some(format);
        Ok(())
    }

    fn time_condition(&mut self, value: &str) {
        self.o.time_condition = date(value).or_else(|| {
            let (unmodified, path) = match value.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, value),
            };
            Some(TimeCondition { time: self.files.modified(path)?, unmodified })
        });
        if self.o.time_condition.is_none() {
            let text = "Illegal date format for -z, --time-cond (and not a file name). \
                        Disabling time condition. See curl_getdate(3) for valid date syntax.";
            self.g.warnings.push(Note::Warning(text.to_owned()));
        }
    }

    fn form(&mut self, opt: Opt, value: &str) -> Result<(), Bad> {
        match form::parse(value, opt == Opt::FormString, self.files) {
            Ok(part) => {
                self.o.form.push(part);
                Ok(())
            }
            Err(warning) => {
                self.g.warnings.push(Note::Warning(warning));
                Err(BAD_USE)
            }
        }
    }

    fn data(&mut self, opt: Opt, value: &str) -> Result<(), Bad> {
        let bytes = match (opt, value.strip_prefix('@')) {
            (Opt::DataUrlencode, _) => self.urlencoded(value)?.into_bytes(),
            (Opt::DataRaw, _) | (_, None) => value.as_bytes().to_vec(),
            (_, Some(path)) => {
                let mut bytes = self.file(path);
                if opt == Opt::Data {
                    bytes.retain(|b| !matches!(b, b'\r' | b'\n' | 0));
                }
                bytes
            }
        };
        let json = opt == Opt::Json;
        self.o.json |= json;
        match &mut self.o.body {
            None => self.o.body = Some(bytes),
            Some(so_far) => {
                if so_far.len() + bytes.len() > BODY_MAX {
                    return Err(Bad::Reason("too large number"));
                }
                if !json {
                    so_far.push(b'&');
                }
                so_far.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str) -> Vec<u8> {
        self.files.read(path).unwrap_or_else(|| {
            let text =
                format!("Couldn't read data from file \"{path}\", this makes an empty POST.");
            self.g.warnings.push(Note::Warning(text));
            Vec::new()
        })
    }

    /// `content`, `=content`, `name=content`, `@file`, `name@file`.
    fn urlencoded(&mut self, value: &str) -> Result<String, Bad> {
        let (name, content) = match value.find(['=', '@']) {
            None => ("", value.as_bytes().to_vec()),
            Some(at) if value.as_bytes()[at] == b'=' => {
                (&value[..at], value.as_bytes()[at + 1..].to_vec())
            }
            Some(at) => (&value[..at], self.file(&value[at + 1..])),
        };
        let encoded = form::urlencode(&content);
        Ok(if name.is_empty() { encoded } else { format!("{name}={encoded}") })
    }
}

/// `--proto`: whether http stays allowed. `=` starts from none, `-` takes away, `+` adds.
fn protocols(text: &str, before: bool) -> bool {
    let mut http = before;
    for word in text.split(',') {
        let (sign, name) = match word.chars().next() {
            Some(c @ ('=' | '-' | '+')) => (c, &word[1..]),
            _ => ('+', word),
        };
        let named = name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("all");
        match sign {
            '=' => http = named,
            '-' if named => http = false,
            '+' if named => http = true,
            _ => {}
        }
    }
    http
}
