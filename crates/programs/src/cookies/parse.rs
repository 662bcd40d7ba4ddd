//! Reading a `Set-Cookie` field (RFC 6265bis §5.6).

use super::{Cookie, Origin, Rejected, date, default_path, domain_match};

/// The most bytes of a cookie's name and value together (RFC 6265bis §5.6).
const NAME_VALUE_MAX: usize = 4096;
/// The most bytes of one attribute's value; longer ones are ignored.
const ATTRIBUTE_MAX: usize = 1024;
/// No cookie outlives this many seconds (RFC 6265bis §5.5 asks for 400 days).
const AGE_MAX: u64 = 400 * 86_400;

/// When a cookie goes along with requests that another site's page causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSite {
    /// Never.
    Strict,
    /// When the user goes there by a link.
    Lax,
    /// Always.
    None,
}

impl SameSite {
    pub(crate) fn name(self) -> &'static str {
        match self {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        }
    }
}

/// A `Set-Cookie` field, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) domain: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) expires: Option<u64>,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: Option<SameSite>,
}

impl SetCookie {
    /// Reads the field's value; `now` is what Max-Age counts from.
    ///
    /// # Errors
    /// [`Rejected::Malformed`], [`Rejected::Octets`], [`Rejected::TooLarge`].
    pub(crate) fn parse(field: &str, now: u64) -> Result<SetCookie, Rejected> {
        let mut parts = field.split(';');
        let pair = parts.next().unwrap_or("");
        let (name, value) = pair.split_once('=').ok_or(Rejected::Malformed)?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(Rejected::Malformed);
        }
        if name.len() + value.len() > NAME_VALUE_MAX {
            return Err(Rejected::TooLarge);
        }
        if name.contains(|c: char| c.is_ascii_control())
            // RFC 6265bis would let a tab pass; no cookie file could keep it, and curl refuses it too.
            || value.contains(|c: char| c.is_ascii_control())
        {
            return Err(Rejected::Octets);
        }
        let mut set =
            SetCookie { name: name.to_owned(), value: value.to_owned(), ..SetCookie::default() };
        let mut age = None;
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            if value.len() <= ATTRIBUTE_MAX {
                set.attribute(&key.trim().to_ascii_lowercase(), value, now, &mut age);
            }
        }
        // Max-Age wins over Expires, wherever they stand.
        set.expires = age.or(set.expires);
        Ok(set)
    }

    fn attribute(&mut self, key: &str, value: &str, now: u64, age: &mut Option<u64>) {
        match key {
            "domain" => {
                let value = value.strip_prefix('.').unwrap_or(value);
                self.domain = (!value.is_empty()).then(|| value.to_ascii_lowercase());
            }
            "path" => {
                let value = value.trim_matches('"');
                self.path = value.starts_with('/').then(|| value.to_owned());
                self.path.get_or_insert_with(|| "/".to_owned());
            }
            "expires" => self.expires = self.expires.or(date::parse(value)),
            "max-age" => {
                let value = value.trim_matches('"');
                let digits = value.strip_prefix('-').unwrap_or(value);
                if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                    // Zero and less: it is over already.
                    *age = Some(match value.parse::<u64>() {
                        Ok(0) => 1,
                        Ok(n) => now.saturating_add(n),
                        Err(_) if value.starts_with('-') => 1,
                        Err(_) => u64::MAX,
                    });
                }
            }
            "secure" => self.secure = true,
            "httponly" => self.http_only = true,
            "samesite" => {
                self.same_site = match value.to_ascii_lowercase().as_str() {
                    "strict" => Some(SameSite::Strict),
                    "lax" => Some(SameSite::Lax),
                    "none" => Some(SameSite::None),
                    _ => None,
                };
            }
            _ => {}
        }
    }

    /// The expiry as a browser limits it: at most 400 days from now (RFC 6265bis §5.5).
    pub(crate) fn limit_age(mut self, now: u64) -> SetCookie {
        self.expires = self.expires.map(|t| t.min(now.saturating_add(AGE_MAX)));
        self
    }

    /// The cookie to store, when its origin may set it (RFC 6265bis §5.7).
    ///
    /// # Errors
    /// [`Rejected`]
    pub(crate) fn into_cookie(self, origin: Origin<'_>) -> Result<Cookie, Rejected> {
        let mut domain = origin.host.to_ascii_lowercase();
        let mut subdomains = false;
        if let Some(d) = self.domain {
            let address = domain.parse::<core::net::IpAddr>().is_ok();
            if !domain_match(&domain, &d) {
                return Err(Rejected::Domain(d));
            }
            if !address && d != domain && !d.contains('.') {
                return Err(Rejected::PublicSuffix { name: self.name, domain: d });
            }
            subdomains = !address;
            domain = d;
        }
        let path = self.path.unwrap_or_else(|| default_path(origin.path).to_owned());
        if self.secure && !origin.secure {
            return Err(Rejected::Secure(self.name));
        }
        let host_prefix = self.name.starts_with("__Host-");
        let bad_host = host_prefix && (!self.secure || path != "/" || subdomains);
        if bad_host || (self.name.starts_with("__Secure-") && !self.secure) {
            return Err(Rejected::Prefix(self.name));
        }
        Ok(Cookie {
            name: self.name,
            value: self.value,
            domain,
            subdomains,
            path,
            secure: self.secure,
            http_only: self.http_only,
            same_site: self.same_site,
            expires: self.expires,
            created: 0,
        })
    }
}
