//! Programs and `[[run]]`.

use crate::home_cases;

home_cases! {
    unknown_program: "programs = [\"htpd --root htdocs\"]\n";
    unknown_program_far_from_all: "programs = [\"photoshop\"]\n";
    bad_quoting: "programs = [\"httpd --root 'htdocs\"]\n";
    empty_command: "programs = [\"\"]\n";
    missing_document_root: "programs = [\"httpd --root htdoc\"]\n";
    missing_document_root_far_from_all: "programs = [\"httpd --root=www/pages\"]\n";
    document_root_that_is_a_file: "programs = [\"httpd --root notes\"]\n";
    document_root_outside_the_lab: "programs = [\"httpd --root ../secrets\", \"httpd --root /var/www\"]\n";
    run_on_an_unknown_host: "[[run]]\nhost = \"wbe\"\ncommand = \"ps\"\n[[run]]\nhost = \"gateway\"\ncommand = \"ps\"\n";
    run_without_command: "[[run]]\nhost = \"web\"\n";
    run_of_an_unknown_program: "[[run]]\nhost = \"web\"\ncommand = \"crul http://web/\"\n";
}
