//! Faults of wires, switches' settings, schedules.

use crate::home_cases;

home_cases! {
    bad_jitter: r#"[hosts.a]
networks.home = { link = { jitter = "5", up = { jitter = "5ms pareto" }, down = { jitter = 5 } } }
"#;
    bad_loss_burst: r#"[hosts.a]
networks.home = { link = { loss_burst = "1% 5%", up.loss_burst = "p 1%", down.loss_burst = 0.1 } }
"#;
    bad_drop_nth: r#"[hosts.a]
networks.home = { link = { drop_nth = 0, up.drop_nth = "first", down.drop_nth = [3, "x"] } }
"#;
    bad_drop_match: r#"[hosts.a]
networks.home = { link = { drop_match = "tcp prot 80", up.drop_match = "host web", down.drop_match = "(tcp" } }
"#;
    bad_reorder: r#"[hosts.a]
networks.home = { link = { reorder = "5%", up.reorder = "5% by 1ms gap 0", down.reorder = 5 } }
"#;
    bad_duplicate_and_corrupt: r#"[hosts.a]
networks.home = { link = { duplicate = 2, corrupt = "often" } }
"#;
    bad_mtu: r#"[hosts.a]
networks.home = { link = { mtu = 67, up.mtu = "big", down.mtu = true } }
"#;
    bad_queue_bytes: r#"[hosts.a]
networks.home = { link = { queue_bytes = 0, up.queue_bytes = "64kB" } }
"#;
    rate_none_is_a_word: r#"[hosts.a]
networks.home = { link = { rate = "non" } }
"#;
    unknown_key_of_a_link: r#"[hosts.a]
networks.home = { link = { los = 0.1, up = { jiter = "5ms" } } }
"#;
    bad_switch_settings: r#"[switches.s2]
uplink = "home"
table = 0
ageing = "0s"
[switches.s3]
uplink = "home"
kind = "hub"
table = 5
"#;
    mirrors_that_cannot_be: r#"[switches.s2]
uplink = "home"
mirror = { to = "web" }
[switches.s3]
uplink = "home"
mirror = { to = "home", from = ["home"] }
[switches.s4]
uplink = "home"
mirror = { from = "home" }
"#;
    cables_that_cannot_be: r#"[switches.s2]
uplink = "home"
cables = ["home", "s2", "s3", "s3", "campus", "s4", "nowhere"]
[switches.s3]
uplink = "home"
[switches.s4]
uplink = "campus"
"#;
    schedules_that_cannot_be_read: r#"[[schedule]]
at = "soon"
command = "link web.home down"
[[schedule]]
at = "5s"
command = "unplug web"
[[schedule]]
at = "5s"
command = "link web.home --loss 5"
[[schedule]]
at = "5s"
command = "link web.home --speed 5"
[[schedule]]
at = "5s"
command = "link 'web.home"
[[schedule]]
at = "5s"
"#;
    schedules_that_name_what_is_not_there: r#"[[schedule]]
at = "5s"
command = "link wbe.home down"
[[schedule]]
at = "5s"
command = "partition p web nobody"
[[schedule]]
at = "5s"
command = "mirror hom --to web.home"
[[schedule]]
at = "5s"
command = "start web htpd"
[[schedule]]
at = "5s"
command = "rule default wbe deny"
"#;
    schedules_without_number: r#"[[schedule]]
at = "5s"
every = "1s"
command = "link web.home down"
[[schedule]]
at = "5s"
times = 5
command = "link web.home down"
[[schedule]]
at = "5s"
every = "1s"
times = 0
command = "link web.home down"
[[schedule]]
at = "5s"
every = "0s"
times = 2
command = "link web.home down"
"#;
}
