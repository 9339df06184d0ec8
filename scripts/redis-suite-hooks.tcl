# Loaded into each process of Redis's own test suite by scripts/redis-suite, after the suite's own
# procedures are defined and before a test file is read. Three things are changed:
#
#  - every message that the suite sends about a test also goes to a file, one line each, so that the
#    results survive whatever happens to the process;
#  - an error that the suite does not foresee (an unknown command, a lost connection) fails the test
#    that it happens in, or ends the server block that it happens in. The suite as it comes ends the
#    whole file, so that one missing command would hide every test behind it;
#  - a small list may have the encoding that it has since Redis 7.2, where the suite, which is 7.0's,
#    knows but one for lists of any size. Nothing else that a test asserts is changed.

if {!$::client} return

namespace eval proof {
    variable events [open $::env(SUITE_EVENTS) a]
    fconfigure $events -encoding utf-8 -buffering line
    # How many tests we are inside of: an error there belongs to the test, not to the server block.
    variable depth 0
    # The namespace of the suite's client.
    variable client $::env(SUITE_CLIENT)
}

# One line of the events file: kind, milliseconds, text, parted by tabs.
proc proof::record {kind text {elapsed_ms 0}} {
    variable events
    puts $events "$kind\t$elapsed_ms\t[string map {\\ \\\\ \n \\n \r \\r \t \\t} $text]"
}

# Runs `code` where the caller's caller stands, and gives back its status as `catch` would.
proc proof::status_of {code result_name} {
    upvar 1 $result_name result
    catch {uplevel 2 $code} result
}

rename send_data_packet suite_send_data_packet
proc send_data_packet {channel kind text {elapsed_ms 0}} {
    proof::record $kind $text $elapsed_ms
    suite_send_data_packet $channel $kind $text $elapsed_ms
}

# After a failed test: bring the connection back in step with its replies and lift a pause, so that
# the failure is not counted again in the tests that follow.
proc proof::recover {} {
    variable client
    if {[llength $::servers] == 0 || ![dict exists [lindex $::servers end] client]} return
    set id [string map [list ::${client}::${client}Handle ""] [srv 0 client]]
    if {[set ::${client}::deferred($id)] || [set ::${client}::readraw($id)]} return
    catch {r client unpause}
    if {[catch {r ping} reply] || $reply ne "PONG"} {
        catch {reconnect}
        catch {r client unpause}
    }
}

# Runs a test's body; turns any error into a failed assertion, which the suite counts and goes on.
proc proof::test_body {code} {
    variable depth
    set servers $::servers
    set tags $::tags
    incr depth
    set status [status_of $code result]
    incr depth -1
    if {$status == 1} {
        if {![string match "assertion:*" $result]} {
            set result "assertion:unforeseen error: $result"
        }
        set ::servers $servers
        set ::tags $tags
        catch {recover}
    }
    return -code $status $result
}

rename test suite_test
proc test {name code args} {
    uplevel 1 [list suite_test $name [list proof::test_body $code] {*}$args]
}

# Outside of a test an error in a server block ends this block alone.
rename start_server suite_start_server
proc start_server {options {code undefined}} {
    set servers $::servers
    set tags $::tags
    # Where two kinds of servers are run it decides which of them this one is.
    set ::env(SUITE_LEVEL) [llength $servers]
    set status [catch {uplevel 1 [list suite_start_server $options $code]} result]
    if {$status == 1 && $proof::depth == 0 && $code ne "undefined"} {
        set ::servers $servers
        set ::tags $tags
        proof::record aborted $result
        return
    }
    return -code $status $result
}

# The suite waits two minutes for a server's first line; one that has ended will not write it. Valkey's has two
# parameters more.
rename wait_server_started suite_wait_server_started
proc wait_server_started args {
    set pid [lindex $args end]
    set stdout [lindex $args [expr {[llength $args] == 5 ? 2 : 1}]]
    for {set attempt 0} {$attempt < 1200} {incr attempt} {
        set log [exec cat $stdout]
        if {[regexp " PID: $pid|Failed listening on port" $log]} break
        if {[catch {exec kill -0 $pid}]} {
            set stderr [file join [file dirname $stdout] stderr]
            error "the server ended while it started: [string range [exec cat $stdout $stderr] end-600 end]"
        }
        after 50
    }
    suite_wait_server_started {*}$args
}

rename assert_encoding suite_assert_encoding
proc assert_encoding {encoding key} {
    if {$encoding eq "quicklist" && [r object encoding $key] eq "listpack" && [r type $key] eq "list"} return
    suite_assert_encoding $encoding $key
}
