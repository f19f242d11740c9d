//! Notes in `owed/`: what ended, and, once it is decided, who is to be told. All of them are empty files.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::base::{Error, Result};
use crate::names::{Id, Outcome};
use crate::spool::{Spool, list};

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Whom the recipe names.
    Maintainer,
    /// Who asked for the build.
    Pusher,
    /// Who runs the farm.
    Admin,
    /// The programs that want to hear of such an end.
    Hook,
    /// The programs that want to hear of what was published.
    Published,
}

impl Audience {
    const ALL: [Audience; 5] =
        [Audience::Maintainer, Audience::Pusher, Audience::Admin, Audience::Hook, Audience::Published];

    /// Tells whether it is somebody who gets a mail.
    pub(super) fn is_person(self) -> bool {
        match self {
            Audience::Maintainer | Audience::Pusher | Audience::Admin => true,
            Audience::Hook | Audience::Published => false,
        }
    }

    /// Returns the one spelling, used in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Audience::Maintainer => "maintainer",
            Audience::Pusher => "pusher",
            Audience::Admin => "admin",
            Audience::Hook => "hook",
            Audience::Published => "published",
        }
    }
}

/// A try whose end somebody may have to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The ticket.
    pub id: Id,
    /// Which claim of it.
    pub epoch: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Who is to be told; none while that is not decided.
    pub to: Option<Audience>,
}

impl Note {
    /// Returns the same for that audience.
    pub fn to(self, audience: Audience) -> Self {
        Self { to: Some(audience), ..self }
    }

    /// Returns the same before it was decided who is told.
    pub fn plain(self) -> Self {
        Self { to: None, ..self }
    }

    /// Returns its file.
    pub fn path(&self, spool: &Spool) -> PathBuf {
        spool.at("owed").join(self.to_string())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.id, self.epoch, self.outcome)?;
        self.to.map_or(Ok(()), |to| write!(f, ".{}", to.as_str()))
    }
}

impl FromStr for Note {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::wrong("is no note");
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(wrong);
        let (id, epoch, outcome) =
            (next()?.parse()?, next()?.parse().map_err(|_| wrong())?, next()?.parse()?);
        let to = match parts.next() {
            None => None,
            Some(word) => Some(Audience::ALL.into_iter().find(|to| to.as_str() == word).ok_or_else(wrong)?),
        };
        let note = Self { id, epoch, outcome, to };
        if note.to_string() == text { Ok(note) } else { Err(wrong()) }
    }
}

/// Returns all notes, oldest first; those of the same try with the undecided one first.
pub(super) fn all(spool: &Spool) -> Result<Vec<Note>> {
    let mut notes: Vec<Note> =
        list::names(&spool.at("owed"))?.iter().filter_map(|name| name.parse().ok()).collect();
    notes.sort_unstable();
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_spelled_in_one_way() {
        for text in ["20261122-144743-123-k3f7x2.1.failed", "20261122-144743-123-k3f7x2.12.built.maintainer"]
        {
            assert_eq!(text.parse::<Note>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "20261122-144743-123-k3f7x2.01.failed",
            "20261122-144743-123-k3f7x2.1.failed.",
            "20261122-144743-123-k3f7x2.1.failed.eve",
            "20261122-144743-123-k3f7x2.1.failed.admin.eml",
        ] {
            assert!(text.parse::<Note>().is_err(), "{text}");
        }
    }
}
