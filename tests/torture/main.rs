//! The farm under torture: power cuts, full disks. Takes minutes, needs root: `make torture`.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod disk;
mod disk_full;
mod life;
mod mounts;
mod powercut;
