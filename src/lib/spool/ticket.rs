//! What a ticket says: written once when it is asked for, then only moved.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record;
use crate::base::{Error, Result};
use crate::names::{Arch, Id, Item, Name, Priority, Release, Revision, Tree, Version, Word};

/// A request to build one package version for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The version of this record's shape.
    pub format: u32,
    /// Never changes.
    pub id: Id,
    /// The tree.
    pub tree: Tree,
    /// The package: the recipe's name.
    pub name: Name,
    /// With epoch.
    pub version: Version,
    /// The packaging's count.
    pub release: Release,
    /// What it is built for.
    pub arch: Arch,
    /// Exactly what is built.
    pub revision: Revision,
    /// The recipe file, relative to the tree.
    pub path: String,
    /// The priority it was asked with; the file name has the one that holds.
    pub priority: Priority,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Who asked: a user of the master.
    pub by: String,
    /// Why, in the asker's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Asked for although it had failed or been published.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Whom to tell, as the recipe writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<String>,
    /// The push or mass rebuild it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Word>,
    /// The packages the recipe makes.
    #[serde(default)]
    pub packages: Vec<Name>,
    /// The recipes of the same tree it needs.
    #[serde(default)]
    pub depends: Vec<Name>,
    /// The tickets that waited for the same package when this was asked for, and make way for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Id>,
}

impl Ticket {
    /// Returns what it asks for.
    pub fn item(&self) -> Item {
        Item {
            name: self.name.clone(),
            version: self.version.clone(),
            release: self.release.clone(),
            arch: self.arch.clone(),
        }
    }

    /// Reads the ticket file `path`.
    ///
    /// # Errors
    /// Not readable, not a ticket, or one of another format.
    pub fn read(path: &Path) -> Result<Self> {
        let ticket: Self = record::read(path)?;
        if ticket.format != 1 {
            return Err(Error::wrong(format!("cannot read {}: its format is not 1", path.display())));
        }
        Ok(ticket)
    }

    /// Returns its text as TOML.
    ///
    /// # Errors
    /// None that can happen with these fields.
    pub fn text(&self) -> Result<String> {
        record::text(self)
    }
}
