//! Lists of results that grow over years: one file for each day and for each mass rebuild, in `cache/site/list/`.
//!
//! What is taken out and put in is gathered first, in memory, or (when it is everything) on the disk; then each list
//! that is concerned is read, changed and written once.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::cache::Cache;
use super::model::{Row, day};
use crate::base::{Error, Result, durable};
use crate::names::Id;

/// How much is gathered in memory, bytes.
const HELD: usize = 8 << 20;
/// The largest list that is read, bytes.
const LARGEST: u64 = 1 << 30;

/// The lists, and what is to change in them.
#[derive(Debug)]
pub(super) struct Ledger {
    cache: Cache,
    edits: BTreeMap<String, Edit>,
    held: usize,
    /// By how much more were asked for, and have left the queue, on each day.
    pub balance: BTreeMap<String, (i64, i64)>,
}

#[derive(Debug, Default)]
struct Edit {
    gone: HashSet<Id>,
    lines: Vec<u8>,
    /// How much of it lies on the disk already, bytes.
    spilled: u64,
}

/// A result as the lists have it.
pub(super) struct Line<'a> {
    row: &'a Row,
    text: Vec<u8>,
}

impl<'a> Line<'a> {
    /// Returns the line about a result.
    ///
    /// # Errors
    /// None that can happen with these values.
    pub fn of(row: &'a Row) -> Result<Self> {
        let mut text =
            serde_json::to_vec(row).map_err(|source| Error::wrong(format!("cannot write JSON: {source}")))?;
        text.push(b'\n');
        Ok(Self { row, text })
    }
}

/// Which list a result belongs to.
fn lists(row: &Row) -> impl Iterator<Item = String> {
    let batch = row.batch.as_ref().filter(|batch| is_rebuild(batch));
    [format!("day-{}", row.day())].into_iter().chain(batch.map(|batch| format!("batch-{batch}")))
}

/// Tells whether a batch is a mass rebuild, which has a page: not what a single push asked for.
pub(super) fn is_rebuild(batch: &str) -> bool {
    !batch.starts_with("push-")
}

impl Ledger {
    /// Returns the lists of a cache, nothing changed.
    pub fn new(cache: Cache) -> Self {
        Self { cache, edits: BTreeMap::new(), held: 0, balance: BTreeMap::new() }
    }

    /// Takes a result out.
    pub fn remove(&mut self, row: &Row) {
        for list in lists(row) {
            self.edits.entry(list).or_default().gone.insert(row.id);
        }
        self.count(row, -1);
    }

    /// Puts a result in, instead of what was there of its ticket.
    ///
    /// # Errors
    /// A failing system call.
    pub fn add(&mut self, line: &Line<'_>) -> Result<()> {
        for list in lists(line.row) {
            let edit = self.edits.entry(list).or_default();
            // A run that was killed may have put it in before.
            edit.gone.insert(line.row.id);
            edit.lines.extend(&line.text);
            self.held += line.text.len();
        }
        self.count(line.row, 1);
        if self.held > HELD { self.spill() } else { Ok(()) }
    }

    fn count(&mut self, row: &Row, by: i64) {
        self.balance.entry(day(row.id.time())).or_default().0 += by;
        let left = row.started.unwrap_or(row.since);
        self.balance.entry(day(left)).or_default().1 += by;
    }

    fn spill(&mut self) -> Result<()> {
        for (list, edit) in &mut self.edits {
            let lines = std::mem::take(&mut edit.lines);
            durable::write_at(&self.cache.root().join("part").join(list), edit.spilled, &lines)?;
            edit.spilled += lines.len() as u64;
        }
        self.held = 0;
        Ok(())
    }

    /// Returns the lists that change.
    pub fn changed(&self) -> Vec<String> {
        self.edits.keys().cloned().collect()
    }

    /// Changes one list; returns what is in it, by age.
    ///
    /// # Errors
    /// A failing system call.
    pub fn settle(&self, list: &str) -> Result<Vec<Row>> {
        let mut rows = self.rows(list);
        if let Some(edit) = self.edits.get(list) {
            rows.retain(|row| !edit.gone.contains(&row.id));
            if edit.spilled > 0 {
                let part = self.cache.root().join("part").join(list);
                rows.extend(parse(&durable::read(&part, LARGEST)?));
                durable::forget(&part);
            }
            rows.extend(parse(&edit.lines));
        }
        rows.sort_by_key(|row| (row.since, row.id));
        let mut text = Vec::new();
        for row in &rows {
            text.extend(serde_json::to_vec(row).unwrap_or_default());
            text.push(b'\n');
        }
        match rows.is_empty() {
            true => durable::forget(&self.path(list)),
            false => drop(durable::page(&self.path(list), &text)?),
        }
        Ok(rows)
    }

    /// Returns what is in a list, by age.
    pub fn rows(&self, list: &str) -> Vec<Row> {
        parse(&durable::read(&self.path(list), LARGEST).unwrap_or_default())
    }

    fn path(&self, list: &str) -> PathBuf {
        self.cache.root().join("list").join(list)
    }
}

fn parse(text: &[u8]) -> Vec<Row> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
