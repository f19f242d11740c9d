//! A farm of several hosts under torture: real addresses, real sshd, git and rsync, and somebody who pulls cables and
//! plugs at the worst moments. A short form is part of `cargo test`; all of it, minutes, of `make torture`. Each says how
//! many cases it tried. Where namespaces are not allowed nothing is tried, and that is said.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod farm;
mod faults;
mod host;
mod odd;
mod tutorial;
