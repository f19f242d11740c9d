//! The farm under torture: power cuts, full disks. Takes minutes, needs root: `make torture`.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod crash;
mod disk;
mod disk_full;
mod found;
mod life;
mod living;
mod mounts;
mod powercut;
