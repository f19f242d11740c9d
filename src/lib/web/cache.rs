//! What the site was made from, `cache/site/`: so that only what has changed is read and written again.
//!
//! `index` is written last and vouches for all else; without it, or with one of another program, configuration or
//! site, everything is made anew. Nothing here is needed: it can be deleted at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lists::Rebuild;
use super::model::{Package, Row, Summary};
use crate::base::{Error, Result, durable, together};
use crate::names::Id;
use crate::spool::Spool;

/// The version of these records' shape.
const FORMAT: u32 = 2;
/// The largest record that is read, bytes.
const LARGEST: u64 = 1 << 30;

/// What is known of the whole site.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    /// The version of this record's shape.
    pub format: u32,
    /// Which program made which site of what configuration.
    pub key: u64,
    /// Of how many packages something is known: a file that a power cut made shorter is not taken for whole.
    count: usize,
    /// What is known of each package: a line each, so that many can be read at once.
    #[serde(skip)]
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
    pub package: Package,
}

impl Index {
    /// Gives away what the pages show, for as long as they are made: a copy of it would cost as much as they do.
    pub fn lend(&mut self) -> (BTreeMap<String, Package>, BTreeMap<String, Summary>) {
        let package =
            |(name, known): (&String, &mut Known)| (name.clone(), std::mem::take(&mut known.package));
        (self.packages.iter_mut().map(package).collect(), std::mem::take(&mut self.days))
    }

    /// Takes that back.
    pub fn regain(&mut self, packages: BTreeMap<String, Package>, days: BTreeMap<String, Summary>) {
        self.packages.values_mut().zip(packages.into_values()).for_each(|(known, lent)| known.package = lent);
        self.days = days;
    }
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
        if let Some(index) = self.known(key) {
            // What a killed program had not finished.
            durable::remove_tree(&self.root.join("part"))?;
            return Ok(index);
        }
        durable::remove_tree(&self.root)?;
        Ok(Index { format: FORMAT, key, ..Index::default() })
    }

    fn known(&self, key: u64) -> Option<Index> {
        let text = durable::read(&self.root.join("index"), LARGEST).ok()?;
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut index: Index = serde_json::from_slice(lines.next()?).ok()?;
        if index.format != FORMAT || index.key != key {
            return None;
        }
        let damaged = |source| Error::wrong(format!("cannot read the index: {source}"));
        let package = |line: &&[u8]| serde_json::from_slice::<(String, Known)>(line).map_err(damaged);
        index.packages = together(&lines.collect::<Vec<_>>(), package).ok()?.into_iter().collect();
        (index.packages.len() == index.count).then_some(index)
    }

    /// Writes the index.
    ///
    /// # Errors
    /// A failing system call.
    pub fn keep(&self, index: &mut Index) -> Result<()> {
        index.count = index.packages.len();
        let path = self.root.join("index");
        let mut text = line(&path, index)?;
        let packages: Vec<_> = index.packages.iter().collect();
        together(&packages, |package| line(&path, package))?.iter().for_each(|line| text.extend(line));
        durable::page(&path, &text).map(drop)
    }

    /// Returns the tickets of a package, oldest first; none when nothing is known of it.
    pub fn tickets(&self, name: &str) -> Vec<Kept> {
        let text = durable::read(&self.root.join("package").join(name), LARGEST).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps the tickets of a package.
    ///
    /// # Errors
    /// A failing system call.
    pub fn keep_tickets(&self, name: &str, tickets: &[Kept]) -> Result<()> {
        let path = self.root.join("package").join(name);
        if tickets.is_empty() {
            durable::forget(&path);
            return Ok(());
        }
        durable::page(&path, &line(&path, &tickets)?).map(drop)
    }
}

fn line<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)
        .map_err(|source| Error::wrong(format!("cannot write {}: {source}", path.display())))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::sample::day;

    #[test]
    fn an_index_that_is_not_whole_vouches_for_nothing() {
        let farm = day();
        let all = farm.write().unwrap().looked;
        let path = farm.spool.at("cache").join("site").join("index");
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let first = lines[0].to_owned();
        for part in ["", &first, &lines[..lines.len() - 1].concat(), &whole[..whole.len() - 3], &whole[9..]] {
            std::fs::write(&path, part).unwrap();
            assert_eq!(farm.write().unwrap().looked, all, "{part}");
            assert_eq!(farm.write().unwrap().changed, 0);
        }
    }
}
