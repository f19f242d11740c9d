//! The spool under torture: killed, refused, raced. The short forms are part of `cargo test`, the long ones of
//! `make torture`; each prints how many cases it tried.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and says how much it tried"
)]

mod acts;
mod clock;
mod errors;
mod kill;
mod measure;
mod race;
mod stage;
mod tally;
mod traced;
