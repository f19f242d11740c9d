//! The ground floor: errors, the clock, durable files, locks, output. Knows nothing of packages.
//!
//! Owns: the only creating, renaming and fsyncing of the spool ([`durable`]), the only use of flock
//! ([`lock`]), the only clock ([`clock`]), the exit statuses ([`error`]). Refuses: printing on its own.

pub mod child;
pub mod clock;
pub mod contain;
pub mod durable;
pub mod error;
pub mod lock;
pub mod output;
pub mod random;
mod regular;
pub mod screen;
pub mod sorted;
mod together;
pub mod watch;

pub use clock::Clock;
pub use error::{Error, Result};
pub use together::{together, together_with};
