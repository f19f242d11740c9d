//! What the site was made from, `cache/site/`: so that only what has changed is read and written again.
//!
//! `index` is written last and vouches for all else; without it, or with one of another program, configuration or
//! site, everything is made anew. Nothing here is needed: it can be deleted at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lists::Rebuild;
use super::model::{Package, Row, Summary};
use crate::base::{Error, Result, durable, together};
use crate::names::Id;
use crate::spool::Spool;

/// The version of these records' shape.
const FORMAT: u32 = 3;
/// The largest record that is read, bytes.
const LARGEST: u64 = 1 << 30;

/// What is known of the whole site.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    /// The version of this record's shape.
    pub format: u32,
    /// Which program made which site of what configuration.
    pub key: u64,
    /// How many lines there are for packages, and after them for days: a file that a power cut made shorter is not taken
    /// for whole.
    count: (usize, usize),
    /// What is known of each package: a line each, so that many can be read at once.
    #[serde(skip)]
    pub packages: BTreeMap<String, Known>,
    /// The files in `expired/` that were read.
    pub expired: BTreeSet<String>,
    /// What each day came to: a line each.
    #[serde(skip)]
    pub days: BTreeMap<String, Summary>,
    /// How many tickets were asked for each day, and how many left the queue.
    pub balance: BTreeMap<String, (i64, i64)>,
    /// The mass rebuilds.
    pub rebuilds: BTreeMap<String, Rebuild>,
    /// The lists of the site, with a number for what each was made from.
    pub pages: BTreeMap<String, u64>,
    /// The file as it was read.
    #[serde(skip)]
    text: Vec<u8>,
}

/// The directories of a package in `done/TREE`, by tree, and when each last changed; 0 when it may have changed since
/// unnoticed.
pub(super) type Places = Vec<(String, i64)>;

/// What is known of one package, and what it was read from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its directories.
    pub places: Places,
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
    /// Where its line is in the index that was read: what has not changed since is not written out anew.
    #[serde(skip)]
    pub line: Option<Range<usize>>,
}

impl Known {
    /// Notes what its pages are made from now.
    pub fn made_from(&mut self, pages: u64) {
        self.pages = pages;
        self.line = None;
    }
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
        let mut lines = lines(&text);
        let mut index: Index = serde_json::from_slice(text.get(lines.next()?)?).ok()?;
        if index.format != FORMAT || index.key != key {
            return None;
        }
        let lines: Vec<Range<usize>> = lines.collect();
        let (packages, days) =
            lines.split_at_checked(index.count.0).filter(|(_, days)| days.len() == index.count.1)?;
        index.days = together(days, |line| parse(&text, line)).ok()?.into_iter().collect();
        let package = |line: &Range<usize>| -> Result<(String, Known)> {
            let (name, known) = parse(&text, line)?;
            Ok((name, Known { line: Some(line.clone()), ..known }))
        };
        index.packages = together(packages, package).ok()?.into_iter().collect();
        index.text = text;
        Some(index)
    }

    /// Writes the index.
    ///
    /// # Errors
    /// A failing system call.
    pub fn keep(&self, index: &mut Index) -> Result<()> {
        index.count = (index.packages.len(), index.days.len());
        let path = self.root.join("index");
        let mut text = Vec::with_capacity(index.text.len() + (1 << 16));
        text.extend(line(&path, index)?);
        for (name, known) in &index.packages {
            match known.line.clone().and_then(|line| index.text.get(line)) {
                Some(line) => text.extend(line),
                None => text.extend(line(&path, &(name, known))?),
            }
        }
        for day in &index.days {
            text.extend(line(&path, &day)?);
        }
        if text != index.text {
            durable::page(&path, &text)?;
        }
        Ok(())
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

/// Returns where the lines of a text are, each with its end.
fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = text.len() - rest.len();
        let long = rest.skip_until(b'\n').ok().filter(|long| *long > 0)?;
        Some(start..start + long)
    })
}

fn parse<T: DeserializeOwned>(text: &[u8], line: &Range<usize>) -> Result<T> {
    let damaged = |source| Error::wrong(format!("cannot read the index: {source}"));
    serde_json::from_slice(text.get(line.clone()).unwrap_or_default()).map_err(damaged)
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

    #[test]
    fn an_index_of_which_most_is_as_it_was_is_the_one_that_is_made_anew() {
        let mut farm = day();
        farm.age();
        let all = farm.write().unwrap().looked;
        farm.set("2026-11-22T13:00:00Z");
        // The page of what it needs says so now, though that has not changed itself.
        farm.ask("curl-8.11-1-x86_64", |ask| ask.depends = ["openssl".parse().unwrap()].into());
        assert!(farm.write().unwrap().looked < all);
        let cache = farm.spool.at("cache").join("site");
        let kept = std::fs::read_to_string(cache.join("index")).unwrap();
        assert!(kept.contains("8.11-1"));
        std::fs::remove_dir_all(&cache).unwrap();
        farm.write().unwrap();
        assert_eq!(kept, std::fs::read_to_string(cache.join("index")).unwrap());
    }
}
