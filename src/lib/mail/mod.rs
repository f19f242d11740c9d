//! Whom to tell what, and telling it: the mails owed for tickets that have ended, and what is wrong with the farm.
//!
//! Owns: who hears of an end ([`decide`], pure), how many mails an hour are enough (pure), what the admin hears once
//! ([`Alarm`], pure), how it is said ([`Letter`]), how it goes out, and the directories `post/`, `told/` and `sent/`.
//! Refuses: trees, building, pages; what those know is handed in ([`Sources`]). Invariant: a note in `owed/` goes away only
//! after the letter that tells of it is in `post/`, or when nobody is to be told; a letter goes only after it was accepted,
//! and becomes its copy in `sent/`. A repeat is the same letter, with the same Message-ID.

mod address;
mod alarm;
mod contacts;
mod decide;
mod digest;
pub mod hooked;
mod hour;
mod memory;
mod message;
mod note;
mod notify;
mod place;
mod post;
mod secret;
mod send;
#[cfg(test)]
mod tests;
mod write;

pub use address::parse as address;
pub use alarm::{Alarm, Kind, is_full};
pub use decide::{AUTOMATIC, News, decide};
pub use digest::{Unbuilt, disk_text, held_text};
pub use message::{Letter, Past, compose};
pub use note::{Audience, Note};
pub use notify::{Sources, Summary, Told, notify};
pub use post::{GivenUp, given_up};
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
