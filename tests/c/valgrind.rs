//! The themes under valgrind's memcheck: no invalid access, no use of undefined bytes, no definite leak.
//!
//! Valgrind 3.19 knows neither clone3 nor the pidfd calls, so this is also a run on the oldest kernel we support.

use crate::memcheck;
use crate::themes::themes;
use support::tree::library;

fn under_valgrind(theme: &str) {
    memcheck::passes(theme, &library());
}

themes!(under_valgrind: arguments callbacks control credentials daemon detach errors fork health host host_fds host_reaps layout log output pipeline process pty report ring service stdin
    subscription threads;
    // Threads and context switches would be valgrind's own; it gives descriptors and memory of its own, too.
    not thousand every_call
    // Nothing is found, or signalled, without pidfd_open(2).
    contain identity);
