//! Published ports and attached servers.

use crate::home_cases;

home_cases! {
    publish_without_gateway: "[publish]\n\"127.0.0.1:8080\" = \"192.168.17.17:80\"\n";
    publish_target_that_no_host_has: "[gateway]\nnetwork = \"home\"\n[publish]\n\"127.0.0.1:8080\" = \"192.168.17.71:80\"\n";
    publish_target_that_is_the_gateway: "[gateway]\nnetwork = \"home\"\naddress = \"192.168.17.254\"\n[publish]\n\"127.0.0.1:8080\" = \"192.168.17.254:80\"\n";
    publish_to_an_unknown_host: "[gateway]\nnetwork = \"home\"\n[publish]\n\"127.0.0.1:8080\" = \"wbe:80\"\n";
    publish_from_an_unknown_host: "[publish]\n\"127.0.0.1:8080\" = { to = \"web:80\", from = \"friend\" }\n";
    publish_at_one_place_twice: "[gateway]\nnetwork = \"home\"\n[publish]\n\"0.0.0.0:8080\" = \"web:80\"\n\"127.0.0.1:8080\" = \"web:81\"\n\"127.0.0.1:8080/udp\" = \"web:53\"\n";
    publish_at_a_bad_place: "[gateway]\nnetwork = \"home\"\n[publish]\n\"8080\" = \"web:80\"\n\"localhost:8081\" = \"web:80\"\n\"127.0.0.1\" = \"web:80\"\n";
    publish_with_a_bad_target: "[gateway]\nnetwork = \"home\"\n[publish]\n\"127.0.0.1:8080\" = \"192.168.17.17\"\n\"127.0.0.1:8081\" = { to = \"192.168.17:80\", proto = \"tpc\" }\n\"127.0.0.1:8082\" = 80\n";
    publish_of_two_protocols: "[gateway]\nnetwork = \"home\"\n[publish]\n\"127.0.0.1:53/udp\" = { to = \"web:53\", proto = \"tcp\" }\n";
    attach_to_another_machine: "[attach]\n\"web:80\" = \"192.0.2.1:8000\"\n";
    attach_to_a_name: "[attach]\n\"web:80\" = \"localhost:8000\"\n";
    attach_of_an_unknown_host: "[attach]\n\"wbe:80\" = \"127.0.0.1:8000\"\n\"10.0.0.7:80\" = \"127.0.0.1:8000\"\n";
    attach_of_one_port_twice: "[attach]\n\"web:80\" = \"127.0.0.1:8000\"\n\"web:080\" = \"[::1]:8000\"\n";
}
