//! Times, rates, probabilities, queues, seeds.

use crate::{cases, home_cases};

home_cases! {
    bad_delay: r#"[networks.lan]
subnet = "10.1.0.0/24"
link = { delay = "2", up = { delay = "0" }, down = { delay = "2 fortnights" } }
"#;
    delay_beyond_an_hour: "[switches.s2]\nuplink = \"home\"\nlink.delay = \"61m\"\n";
    bad_rate: r#"[hosts.a]
networks.home = { link = { rate = "100", up = { rate = "10MB" }, down = { rate = "0bit" } } }
"#;
    bad_probability: r#"[hosts.a]
networks.home = { link = { loss = 1.5, up = { loss = -0.1 }, down = { loss = "few" } } }
[hosts.b]
networks.home = { link = { loss = 5 } }
[hosts.c]
networks.home = { link = { loss = nan, up.loss = true } }
"#;
    bad_queue: "[hosts.a]\nnetworks.home = { link = { queue = 0, up = { queue = \"many\" } } }\n";
}

cases! {
    bad_seed: "version = 1\nlab.seed = -1\n";
    number_beyond_64_bits: "version = 1\nlab.seed = 99999999999999999999\n";
    bad_run_time: "version = 1\n[networks.n]\nsubnet = \"10.0.0.0/24\"\n[hosts.a]\nnetworks.n = {}\n[[run]]\nat = \"soon\"\nhost = \"a\"\ncommand = \"ps\"\n";
}
