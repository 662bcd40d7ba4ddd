//! The preferences of a Firefox profile.

use std::net::SocketAddr;

/// What `user.js` of the profile says.
pub(super) fn preferences(proxy: SocketAddr) -> String {
    let texts = [
        ("network.proxy.socks", proxy.ip().to_string()),
        ("network.proxy.no_proxies_on", String::new()),
        ("browser.startup.homepage_override.mstone", "ignore".to_owned()),
        ("app.normandy.api_url", String::new()),
    ];
    let numbers = [
        ("network.proxy.type", 1),
        ("network.proxy.socks_port", i64::from(proxy.port())),
        ("network.proxy.socks_version", 5),
        // DNS over HTTPS: never.
        ("network.trr.mode", 5),
    ];
    let flags = [
        ("network.proxy.socks_remote_dns", true),
        // Otherwise `localhost` and 127/8 would be the real machine's.
        ("network.proxy.allow_hijacking_localhost", true),
        ("network.captive-portal-service.enabled", false),
        ("network.connectivity-service.enabled", false),
        ("network.http.http3.enable", false),
        ("network.dns.disablePrefetch", true),
        ("dom.security.https_first", false),
        ("dom.security.https_only_mode", false),
        ("browser.fixup.fallback-to-https", false),
        ("browser.shell.checkDefaultBrowser", false),
        ("browser.aboutwelcome.enabled", false),
        ("browser.safebrowsing.malware.enabled", false),
        ("browser.safebrowsing.phishing.enabled", false),
        ("datareporting.policy.dataSubmissionEnabled", false),
        ("toolkit.telemetry.enabled", false),
        ("app.update.enabled", false),
        ("extensions.update.enabled", false),
        // `web` is a name of the lab, and no words to search for.
        ("browser.fixup.dns_first_for_single_words", true),
        ("keyword.enabled", false),
    ];
    let texts = texts.map(|(name, value)| format!("user_pref(\"{name}\", \"{value}\");\n"));
    let numbers = numbers.map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
    let flags = flags.map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
    [texts.concat(), numbers.concat(), flags.concat()].concat()
}
