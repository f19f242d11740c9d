//! Whom to tell what, and telling it: the mails owed for tickets that have ended.
//!
//! Owns: who hears of an end ([`decide`], pure), how it is said ([`Letter`]), how it goes out, and the
//! directory `sent/`. Refuses: trees, building, pages; reading logs for errors is handed in. Invariant: a note
//! in `owed/` goes away only after the mail was accepted and its copy is in `sent/`, or when nobody is to be
//! told; a repeat has the same Message-ID.

mod address;
mod decide;
mod message;
mod notify;
mod place;
mod send;
#[cfg(test)]
mod tests;

pub use address::parse as address;
pub use decide::{AUTOMATIC, Audience, Decision, News, decide};
pub use message::{Letter, compose};
pub use notify::{Summary, notify};
pub use send::{Failure, Mailer};

/// The first error of a log and what stands around it; found by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstError {
    /// Its line, counted from 1.
    pub line: usize,
    /// The lines before it.
    pub before: Vec<String>,
    /// The line itself.
    pub text: String,
    /// The lines after it.
    pub after: Vec<String>,
}
