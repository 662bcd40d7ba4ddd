//! Subnets, addresses, MACs, routes.

use crate::{cases, home_cases};

cases! {
    bad_cidr: "version = 1\n[networks.a]\nsubnet = \"10.0.0.0/33\"\n[networks.b]\nsubnet = \"10.1.0.0\"\n[networks.c]\nsubnet = \"10.2.0.1/24\"\n[networks.d]\nsubnet = \"fd00::/64\"\n";
    overlapping_subnets: "version = 1\n[networks.a]\nsubnet = \"10.0.0.0/8\"\n[networks.b]\nsubnet = \"10.1.0.0/16\"\n";
    reserved_subnet: "version = 1\n[networks.a]\nsubnet = \"127.0.0.0/24\"\n[networks.b]\nsubnet = \"224.0.0.0/24\"\n";
    no_free_address: "version = 1\n[networks.tiny]\nsubnet = \"10.0.0.0/30\"\n[hosts.a]\nnetworks.tiny = {}\n[hosts.b]\nnetworks.tiny = {}\n[hosts.c]\nnetworks.tiny = {}\n";
}

home_cases! {
    bad_address: "networks.campus = \"10.0.0.300\"\n[hosts.a]\nnetworks.home = \"10.0.0\"\n[hosts.b]\nnetworks.home = \"fd00::1\"\n[hosts.c]\nnetworks.home = \"192.168.017.1\"\n";
    address_outside_its_subnet: "networks.campus = \"10.0.1.7\"\n";
    network_and_broadcast_address: "[hosts.a]\nnetworks.home = \"192.168.17.0\"\n[hosts.b]\nnetworks.home = \"192.168.17.255\"\n";
    prefix_of_zero: "networks.campus = \"10.0.0.7/0\"\n";
    duplicate_address: "[hosts.pc]\nnetworks.home = [\"192.168.17.20\", \"192.168.17.17\"]\n";
    duplicate_address_of_the_gateway: "[gateway]\nnetwork = \"home\"\naddress = \"192.168.17.17\"\n";
    empty_list_of_addresses: "networks.campus = []\n";
    duplicate_mac: "[hosts.a]\nnetworks.home = { mac = \"02:00:00:00:00:17\" }\n[hosts.b]\nnetworks.home = { mac = \"02-00-00-00-00-17\" }\n";
    bad_mac: "[hosts.a]\nnetworks.home = { mac = \"01:00:5e:00:00:01\" }\n[hosts.b]\nnetworks.home = { mac = \"02:00\" }\n";
    route_to_a_stranger: "routes = [{ to = \"default\", via = \"10.0.0.2\" }]\n";
    route_to_itself: "routes = [{ to = \"10.0.0.0/24\", via = \"192.168.17.17\" }]\n";
    route_twice: "routes = [{ to = \"default\", via = \"192.168.17.1\" }, { to = \"0.0.0.0/0\", via = \"192.168.17.2\" }]\n";
    route_of_a_bad_form: "routes = [{ to = \"10.0.0.7\", via = \"192.168.17.1/24\" }, { via = \"192.168.17.1\" }]\n";
}
