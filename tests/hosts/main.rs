//! A farm of several hosts under torture: real addresses, real sshd, git and rsync, and somebody who pulls cables and
//! plugs at the worst moments. A short form is part of `cargo test`; all of it, minutes, of `make torture`. Each says how
//! many cases it tried. Where namespaces are not allowed nothing is tried, and that is said.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod farm;
mod faults;
mod host;
mod odd;
mod tutorial;

use std::io::Write;
use std::time::{Duration, Instant};

/// Says it at once, also when nobody asked for what tests print.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Waits until `done` says so, at the most `seconds`; fails with `what` and `more` otherwise.
#[track_caller]
fn until(more: &dyn Fn() -> String, what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}\n{}", more());
        std::thread::sleep(Duration::from_millis(50));
    }
}
