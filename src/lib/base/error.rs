//! One error type for the whole library: what could not be done, to what, why, and what to do about it.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustix::io::Errno;

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should make of an error; each kind is one exit status (commands.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer is no: nothing to claim, refused, nothing found.
    No,
    /// Wrong use, bad data, bad configuration: trying again does not help.
    Wrong,
    /// A file or directory that this program may not use: trying again helps once a person has let it.
    Denied,
    /// Disk full, lock held, master unreachable: trying again later does.
    Again,
}

impl Kind {
    /// Returns the exit status: 1, 2 or 75.
    pub fn status(self) -> u8 {
        match self {
            Kind::No => 1,
            Kind::Wrong | Kind::Denied => 2,
            Kind::Again => 75,
        }
    }
}

/// A failure, worded as `cannot VERB OBJECT: reason`, with a hint where there is something to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// Decides the exit status.
    pub kind: Kind,
    text: String,
    /// One line on what to do about it, if anything can be done.
    pub hint: Option<String>,
}

impl Error {
    /// Makes an error that says the answer is no.
    pub fn no(text: impl Into<String>) -> Self {
        Self { kind: Kind::No, text: text.into(), hint: None }
    }

    /// Makes an error that no retry can mend.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self { kind: Kind::Wrong, text: text.into(), hint: None }
    }

    /// Makes an error that is worth a retry.
    pub fn again(text: impl Into<String>) -> Self {
        Self { kind: Kind::Again, text: text.into(), hint: None }
    }

    /// Makes an error of a program that failed and said `why`: worth a retry when it speaks of a lack that passes.
    pub fn said(text: impl Into<String>, why: &str) -> Self {
        let short = PASSING.iter().any(|errno| why.contains(&reason(&io::Error::from(*errno))));
        if short { Self::again(text) } else { Self::wrong(text) }
    }

    /// Makes an error of a system call on `path`; the kind follows from the errno.
    pub fn io(verb: &str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let text = format!("cannot {verb} {}: {}", path.as_ref().display(), reason(&source));
        Self { kind: kind_of(&source), text, hint: None }
    }

    /// Tells whether the same, asked again some time, may succeed: what was asked for is not at fault.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Denied | Kind::Again)
    }

    /// Adds one line on what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was being done in front of the text: `OUTER: inner`.
    pub fn within(mut self, outer: impl Display) -> Self {
        self.text = format!("{outer}: {}", self.text);
        self
    }
}

/// Turns what is missing or damaged into none: trying again mends neither. What cannot be read just now has not said
/// that it is either, and stays an error.
///
/// # Errors
/// As `read`, where trying again may help.
pub fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind == Kind::Again => Err(error),
        read => Ok(read.ok()),
    }
}

/// Returns the words of the C library for `source`, without Rust's `(os error N)`.
pub fn reason(source: &io::Error) -> String {
    plain(&source.to_string())
}

/// Returns the words of somebody's error without Rust's `(os error N)`.
pub fn plain(text: &str) -> String {
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A lack of something (space, memory, descriptors, a healthy disk) passes; a wrong name does not.
const PASSING: [Errno; 12] = [
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::FBIG,
    Errno::IO,
    Errno::ROFS,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOMEM,
    Errno::AGAIN,
    Errno::INTR,
    Errno::STALE,
    Errno::BUSY,
];

fn kind_of(source: &io::Error) -> Kind {
    match Errno::from_io_error(source) {
        Some(errno) if PASSING.contains(&errno) => Kind::Again,
        Some(Errno::ACCESS | Errno::PERM) => Kind::Denied,
        Some(_) | None => Kind::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_worth_a_retry_and_a_missing_file_is_not() {
        let full = Error::io("write", "x", Errno::NOSPC);
        assert_eq!(full.kind.status(), 75);
        assert_eq!(full.to_string(), "cannot write x: No space left on device");
        assert!(full.may_pass());
        let missing = Error::io("read", "x", Errno::NOENT);
        assert!(missing.kind.status() == 2 && !missing.may_pass());
        let denied = Error::io("read", "x", Errno::ACCESS);
        assert!(denied.kind.status() == 2 && denied.may_pass(), "a person can help");
    }

    #[test]
    fn a_program_that_was_short_of_something_may_be_asked_again() {
        let full = "bwrap: Can't write data to file /bash: No space left on device";
        assert_eq!(Error::said("cannot read recipes", full).kind, Kind::Again);
        assert_eq!(Error::said("cannot read recipes", "Needed a single revision").kind, Kind::Wrong);
    }
}
