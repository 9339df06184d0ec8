# Loaded by the runner of Sentinel's own test suite, after the suite's procedures are defined: each test, and what ends
# one early, goes to a file as one line, as scripts/redis-suite-hooks.tcl does for the other suites. Nothing that a test
# asserts is changed.

namespace eval proof {
    variable events [open $::env(SUITE_EVENTS) a]
    fconfigure $events -encoding utf-8 -buffering line
    variable file $::env(SUITE_FILE)
    # How many failures the events tell of.
    variable told 0
}

# One line of the events file: kind, milliseconds, text, parted by tabs.
proc proof::record {kind text} {
    variable events
    puts $events "$kind\t0\t[string map {\\ \\\\ \n \\n \r \\r \t \\t} $text]"
}

# The suite has counted a failure that no test stands for.
proc proof::look_for_more {what} {
    variable told
    if {$::failed > $told} {
        set told $::failed
        record aborted "$what: see the log"
    }
}

# The suite leaves the file after a failed test, since the next ones go on from it.
proc test {name code} {
    set shown [regsub -all {\s+} [string trim $name] { }]
    proof::record testing $shown
    puts "[clock format [clock seconds] -format %H:%M:%S]> $shown"
    if {[catch {uplevel 1 $code} reason]} {
        puts "FAILED: $reason\n$::errorInfo"
        incr ::failed
        # The suite counts once more when the file is left.
        incr proof::told 2
        proof::record err "$shown in tests/$proof::file.tcl $reason"
        return -code continue
    }
    proof::record ok $shown
}

rename check_leaks suite_check_leaks
proc check_leaks {types} {
    proof::look_for_more "an error outside of the tests"
    suite_check_leaks $types
}

rename abort_sentinel_test suite_abort_sentinel_test
proc abort_sentinel_test {reason} {
    proof::record aborted $reason
    suite_abort_sentinel_test $reason
}

rename end_tests suite_end_tests
proc end_tests {} {
    proof::look_for_more "a crash, or a descriptor that was left open"
    proof::record done {}
    suite_end_tests
}
