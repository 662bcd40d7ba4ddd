//! Which rules hold where: `Alias`, `<Directory>`, `<Files>`, `<Location>`, `Require`.

use core::net::IpAddr;
use std::rc::Rc;

use super::conf::{Require, Rules, Scope, Site, Who, glob};

/// The file of the host that a decoded path of a URL names.
pub(super) fn file_path(site: &Site, path: &str) -> String {
    for (from, to) in &site.path_aliases {
        if let Some(rest) = below(path, from) {
            return join(to, rest);
        }
    }
    join(&site.root, path)
}

fn join(folder: &str, rest: &str) -> String {
    let folder = folder.trim_end_matches('/');
    if rest.is_empty() || rest.starts_with('/') {
        format!("{folder}{rest}")
    } else {
        format!("{folder}/{rest}")
    }
}

/// What is left of a path below another: `/a/b` below `/a` is `/b`; `/ab` is not below `/a`.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Everything that holds for a decoded path, the narrower over the wider.
pub(super) fn rules(site: &Site, path: &str) -> Rc<Rules> {
    let mut rules = Rc::clone(&site.base);
    if site.sections.is_empty() {
        return rules;
    }
    let file = file_path(site, path);
    let file = file.trim_start_matches('/');
    for (scope, inner) in &site.sections {
        let fits = match scope {
            Scope::Directory(folder) => {
                let folder = folder.trim_matches('/');
                folder.is_empty() || below(file, folder).is_some()
            }
            Scope::Files(pattern) => file.split('/').any(|name| glob(pattern, name)),
            Scope::Location(from) => below(path, from).is_some(),
        };
        if fits {
            Rc::make_mut(&mut rules).overlay(inner);
        }
    }
    rules
}

/// Whether somebody may come in. Without any rule, everybody may.
pub(super) fn may(require: Option<&[Require]>, client: IpAddr) -> bool {
    let Some(require) = require.filter(|r| !r.is_empty()) else { return true };
    let matches = |who: &Who| match who {
        Who::Granted => true,
        Who::Denied => false,
        Who::Local => client.is_loopback(),
        Who::Net(nets) => nets.iter().any(|n| contains(*n, client)),
    };
    if require.iter().any(|r| r.not && matches(&r.who)) {
        return false;
    }
    require.iter().any(|r| !r.not && matches(&r.who))
}

fn contains((net, bits): (IpAddr, u8), address: IpAddr) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let shift = width - u32::from(bits).min(width);
        a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
    };
    match (net, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_come_in() {
        let net = |n: &str, bits| Who::Net(vec![(n.parse().unwrap(), bits)]);
        let rule = |who| Require { not: false, who };
        let may = |rules: &[Require], ip: &str| may(Some(rules), ip.parse().unwrap());
        assert!(may(&[], "10.0.0.1"));
        assert!(may(&[rule(Who::Granted)], "10.0.0.1") && !may(&[rule(Who::Denied)], "10.0.0.1"));
        assert!(may(&[rule(net("10.0.0.0", 24))], "10.0.0.9"));
        assert!(!may(&[rule(net("10.0.0.0", 24))], "10.0.1.9"));
        assert!(may(&[rule(net("10.0.0.0", 0))], "192.168.0.1"));
        assert!(
            may(&[rule(net("fd00::", 8))], "fd01::1")
                && !may(&[rule(net("fd00::", 8))], "10.0.0.1")
        );
        assert!(may(&[rule(Who::Local)], "127.0.0.1") && !may(&[rule(Who::Local)], "10.0.0.1"));
        let but = [rule(Who::Granted), Require { not: true, who: net("10.0.0.7", 32) }];
        assert!(may(&but, "10.0.0.8") && !may(&but, "10.0.0.7"));
    }

    #[test]
    fn paths_below() {
        assert_eq!(below("/a/b", "/a"), Some("/b"));
        assert_eq!(below("/a", "/a"), Some(""));
        assert_eq!(below("/ab", "/a"), None);
        assert_eq!(below("/x", "/"), Some("x"));
        assert_eq!(join("www", "x"), "www/x");
        assert_eq!(join("www/", ""), "www");
    }
}
