//! The spool under torture: killed, refused, raced, stopped, full, without power. The short forms are part of
//! `cargo test`, the long ones (minutes; some need root) of `make torture`; each prints how many cases it tried.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and says how much it tried"
)]

mod acts;
mod clock;
mod crash;
mod disk;
mod disk_full;
mod errors;
mod flushed;
mod found;
mod kill;
mod life;
mod living;
mod locked;
mod measure;
mod mounts;
mod powercut;
mod race;
mod stage;
mod steps;
mod tally;
mod traced;
