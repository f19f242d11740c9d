//! What the site was made from, `cache/site/`: so that only what has changed is read and written again.
//!
//! `index` is written last and vouches for all else; without it, or with one of another program, configuration or
//! site, everything is made anew. Nothing here is needed: it can be deleted at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lists::Rebuild;
use super::model::{Package, Row, Summary};
use crate::base::{Error, Result, durable};
use crate::names::Id;
use crate::spool::Spool;

/// The version of these records' shape.
const FORMAT: u32 = 1;
/// The largest record that is read, bytes.
const LARGEST: u64 = 1 << 30;

/// What is known of the whole site.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    /// The version of this record's shape.
    pub format: u32,
    /// Which program made which site of what configuration.
    pub key: u64,
    /// What is known of each package.
    pub packages: BTreeMap<String, Known>,
    /// The files in `expired/` that were read.
    pub expired: BTreeSet<String>,
    /// What each day came to.
    pub days: BTreeMap<String, Summary>,
    /// How many tickets were asked for each day, and how many left the queue.
    pub balance: BTreeMap<String, (i64, i64)>,
    /// The mass rebuilds.
    pub rebuilds: BTreeMap<String, Rebuild>,
    /// The lists of the site, with a number for what each was made from.
    pub pages: BTreeMap<String, u64>,
}

/// What is known of one package, and what it was read from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its directory in `done/TREE`, by tree: the time of its last change; 0 when it may have changed since unnoticed.
    pub places: BTreeMap<String, i64>,
    /// Of which of its tickets something was held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<Id, u64>,
    /// What of it waited and was being built.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open: u64,
    /// Its tickets.
    pub rows: u64,
    /// What its pages were made from.
    pub pages: u64,
    /// The result.
    #[serde(flatten)]
    pub package: Package,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A ticket of a package, and what its page was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The ticket.
    pub row: Row,
    /// A number for all that its page says.
    pub page: u64,
}

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Returns the one of `spool`.
    pub fn of(spool: &Spool) -> Self {
        Self { root: spool.at("cache").join("site") }
    }

    /// Returns its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads the index made under `key`; without one all is forgotten.
    ///
    /// # Errors
    /// What is there cannot be removed.
    pub fn index(&self, key: u64) -> Result<Index> {
        let known: Option<Index> = self.read("index");
        if let Some(index) = known.filter(|index| index.format == FORMAT && index.key == key) {
            // What a killed program had not finished.
            durable::remove_tree(&self.root.join("part"))?;
            return Ok(index);
        }
        durable::remove_tree(&self.root)?;
        Ok(Index { format: FORMAT, key, ..Index::default() })
    }

    /// Writes the index.
    ///
    /// # Errors
    /// A failing system call.
    pub fn keep(&self, index: &Index) -> Result<()> {
        self.write("index", index)
    }

    /// Returns the tickets of a package, oldest first; none when nothing is known of it.
    pub fn tickets(&self, name: &str) -> Vec<Kept> {
        self.read(&format!("package/{name}")).unwrap_or_default()
    }

    /// Keeps the tickets of a package.
    ///
    /// # Errors
    /// A failing system call.
    pub fn keep_tickets(&self, name: &str, tickets: &[Kept]) -> Result<()> {
        let file = format!("package/{name}");
        if tickets.is_empty() {
            durable::forget(&self.root.join(file));
            return Ok(());
        }
        self.write(&file, &tickets)
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Option<T> {
        serde_json::from_slice(&durable::read(&self.root.join(file), LARGEST).ok()?).ok()
    }

    fn write<T: Serialize>(&self, file: &str, value: &T) -> Result<()> {
        let path = self.root.join(file);
        let bytes = serde_json::to_vec(value)
            .map_err(|source| Error::wrong(format!("cannot write {}: {source}", path.display())))?;
        durable::page(&path, &bytes).map(drop)
    }
}
