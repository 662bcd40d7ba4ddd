//! Firewall and NAT.

use crate::home_cases;

home_cases! {
    rule_without_action: "firewall.inbound = [{ from = \"10.0.0.0/8\" }]\n";
    rule_with_two_actions: "firewall.inbound = [{ allow = \"tcp/80\", drop = \"icmp\" }]\n";
    bad_traffic: "firewall.inbound = [{ allow = \"80\" }, { allow = \"tcp/0\" }, { drop = \"tpc/80\" }, { reject = \"tcp/90-80\" }, { allow = \"icmp/8\" }]\n";
    nat_on_a_host: "nat = { inside = \"home\", outside = \"home\" }\n";
    nat_of_unknown_networks: "router = true\nnetworks.campus = \"10.0.0.2\"\nnat = { inside = \"hom\", outside = \"wan\" }\n";
    nat_of_a_network_it_is_not_on: "router = true\nnat = { inside = \"home\", outside = \"campus\" }\n";
    nat_with_both_sides_the_same: "router = true\nnetworks.campus = \"10.0.0.2\"\nnat = { inside = \"home\", outside = \"home\" }\n";
    nat_without_outside: "router = true\nnat = { inside = \"home\" }\n";
    forward_to_an_address_not_inside: "router = true\nnetworks.campus = \"10.0.0.2\"\nnat = { inside = \"home\", outside = \"campus\", forward = [{ from = \"tcp/8080\", to = \"10.0.0.7:80\" }] }\n";
    forward_to_a_host_not_inside: "router = true\nnetworks.campus = \"10.0.0.2\"\nnat = { inside = \"home\", outside = \"campus\", forward = [{ from = \"tcp/8080\", to = \"friend:80\" }] }\n[hosts.friend]\nnetworks.campus = {}\n";
    forward_of_one_port_twice: "router = true\nnetworks.campus = \"10.0.0.2\"\nnat = { inside = \"home\", outside = \"campus\", forward = [{ from = \"tcp/80\", to = \"192.168.17.20:80\" }, { from = \"udp/80\", to = \"192.168.17.20:80\" }, { from = \"tcp/80\", to = \"192.168.17.21:80\" }] }\n";
    bad_forward: "router = true\nnetworks.campus = \"10.0.0.2\"\nnat = { inside = \"home\", outside = \"campus\", forward = [{ from = \"65535\", to = \"192.168.17.20\" }] }\n";
}
