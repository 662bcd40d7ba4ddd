//! Names and what they refer to: networks, switches, hosts.

use crate::{cases, home_cases};

cases! {
    bad_name: "version = 1\n[networks.\"my home\"]\nsubnet = \"10.0.0.0/24\"\n[networks.\"10\"]\nsubnet = \"10.0.1.0/24\"\n[networks.\"집\"]\nsubnet = \"10.0.2.0/24\"\n";
    reserved_names: "version = 1\n[networks.home]\nsubnet = \"10.0.0.0/24\"\n[hosts.gateway]\nnetworks.home = {}\n[hosts.localhost]\nnetworks.home = {}\n";
    bad_lab_name: "version = 1\nlab.name = \"포트포워딩\"\n";
    title_with_a_control_character: "version = 1\nlab.title = \"a\\u0007b\"\n";
}

home_cases! {
    host_with_a_networks_name: "[hosts.home]\nnetworks.home = {}\n";
    names_that_differ_in_case: "[hosts.Web]\nnetworks.home = {}\n";
    unknown_network: "networks.campsu = \"10.0.0.7\"\n";
    unknown_network_far_from_all: "networks.mars = \"10.0.0.7\"\n";
    host_without_networks: "[hosts.pc]\nnetworks = {}\n";
    host_without_the_networks_key: "[hosts.pc]\ntitle = \"lonely\"\n";
    unknown_switch: "[hosts.pc]\nnetworks.home = { switch = \"s2\" }\n";
    switch_of_another_network: "[switches.s2]\nuplink = \"campus\"\n[hosts.pc]\nnetworks.home = { switch = \"s2\" }\n";
    switch_instead_of_a_network: "[switches.s2]\nuplink = \"home\"\n[hosts.pc]\nnetworks.s2 = \"192.168.17.20\"\n";
    unknown_uplink: "[switches.s2]\nuplink = \"hom\"\n";
    uplink_cycle: "[switches.s2]\nuplink = \"s3\"\n[switches.s3]\nuplink = \"s4\"\n[switches.s4]\nuplink = \"s2\"\n";
    switch_kind: "[switches.s2]\nuplink = \"home\"\nkind = \"hubb\"\n";
    unknown_group: "[groups.dns]\n[hosts.a]\ngroup = \"dsn\"\nnetworks.home = {}\n[hosts.b]\ngroup = \"shop\"\nnetworks.home = {}\n";
    bad_group_name: "[groups.\"name servers\"]\n";
    gateway_on_an_unknown_network: "[gateway]\nnetwork = \"campos\"\n";
}
