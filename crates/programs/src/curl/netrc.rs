//! `.netrc`: logins by host, `machine NAME login USER password PASSWORD`.

/// `user:password` for the host, or those of `default`.
pub(super) fn find(text: &str, host: &str) -> Option<String> {
    let mut words = text
        .lines()
        .filter(|l| !l.trim_start().starts_with('#'))
        .flat_map(|l| l.split_whitespace());
    let (mut here, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if here && login.is_some() {
                    break;
                }
                here = word == "default"
                    || words.next().is_some_and(|name| name.eq_ignore_ascii_case(host));
                (login, password) = (None, None);
            }
            "login" => login = words.next(),
            "password" => password = words.next(),
            "account" => _ = words.next(),
            _ => {}
        }
    }
    let login = login.filter(|_| here)?;
    Some(format!("{login}:{}", password.unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_host() {
        let text = "# no\nmachine a login x password y\nmachine b\n  login u\n  password p\ndefault login d";
        assert_eq!(find(text, "a").as_deref(), Some("x:y"));
        assert_eq!(find(text, "B").as_deref(), Some("u:p"));
        assert_eq!(find(text, "c").as_deref(), Some("d:"));
        assert_eq!(find("machine a login x", "c"), None);
    }
}
