//! Building: checking out a revision, running the command within limits, reading what it leaves and says.
//!
//! Owns: the only child processes that may run for long ([`supervise`]), the builder's kept clones ([`mod@checkout`]).
//! Refuses: knowing what a ticket is, judging whose fault a failure is; it says what it saw. Invariant: when
//! [`supervise::run`] returns, no process of the build's group is left, and its log is within its limit.

pub mod checkout;
pub mod first_error;
pub mod products;
pub mod substitute;
pub mod supervise;

mod cgroup;
mod log;
mod strays;
#[cfg(test)]
mod supervised;

pub use checkout::checkout;
pub use products::{Product, products};
pub use strays::{MARK, adopt};
pub use substitute::{Values, fill, substitute};
pub use supervise::{End, Limits};
