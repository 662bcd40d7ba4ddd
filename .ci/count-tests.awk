# Counts the tests in the log of `cargo test -- --show-output`: prints "passed failed skipped".
# With -v reasons=1 prints the reasons of the skipped ones instead, one line each.
#
# A test that cannot run here passes and prints `skipped: why`. The test harness shows what passing
# tests printed under `successes:`, each under a line `---- NAME stdout ----`; such a test counts
# once, as skipped. A test that failed is a failure whatever it printed. Ignored tests are skipped.

/^successes:$/ { part = "successes"; next }
/^failures:$/ { part = "failures"; next }
/^     Running / || /^   Doc-tests / { part = "" }

/^---- .* stdout ----$/ {
    counted = 0
    inside = 1
    next
}

/^test result: / {
    # "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …"
    for (i = 4; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") ignored += $i
    }
    part = ""
    inside = 0
    next
}

part == "successes" && inside && !counted && /skipped: / {
    counted = 1
    skipped++
    if (reasons) print substr($0, index($0, "skipped: "))
}

# A test program without the usual harness, which counts for itself.
part == "" && /^skipped: / {
    alone++
    if (reasons) print
}

END {
    if (!reasons) print passed - skipped, failed + 0, skipped + ignored + alone
}
