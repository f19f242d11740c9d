//! Files of the site: each whole at any moment, written only when it has changed, removed when it is no more.

use std::collections::BTreeMap;
use std::path::Path;

use super::Written;
use super::load::hash;
use crate::base::{Result, durable};
use crate::names::Id;

/// Writes into the directory of the site.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    root: &'a Path,
    /// The lists as they were made last time: path, and a number for what from.
    old: &'a BTreeMap<String, u64>,
    /// As they are made now.
    pub pages: BTreeMap<String, u64>,
    /// What was done.
    pub written: Written,
}

impl<'a> Writer<'a> {
    /// Begins, with the lists that were made last time.
    pub fn new(root: &'a Path, old: &'a BTreeMap<String, u64>) -> Self {
        Self { root, old, pages: BTreeMap::new(), written: Written::default() }
    }

    /// Returns another one for a part of the same work.
    pub fn part(&self) -> Self {
        Self::new(self.root, self.old)
    }

    /// Takes in what was done of a part.
    pub fn take_in(&mut self, part: Self) {
        self.pages.extend(part.pages);
        self.written.changed += part.written.changed;
        self.written.removed += part.written.removed;
    }

    /// Returns the directory of the site.
    pub fn root(&self) -> &'a Path {
        self.root
    }

    /// Writes a file of a ticket or a package.
    ///
    /// # Errors
    /// A failing system call.
    pub fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let changed = durable::page(&self.root.join(path), bytes)?;
        self.written.changed += usize::from(changed);
        Ok(())
    }

    /// Tells whether a list is to be made: what it is made `of` is not what it was last time.
    pub fn differs<T: std::hash::Hash + ?Sized>(&mut self, path: &str, of: &T) -> bool {
        let now = hash(of);
        let differs = self.old.get(path) != Some(&now);
        self.pages.insert(path.to_owned(), now);
        differs
    }

    /// Writes a list, if it is another than last time.
    ///
    /// # Errors
    /// A failing system call.
    pub fn list(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        if self.differs(path, bytes) { self.file(path, bytes) } else { Ok(()) }
    }

    /// Leaves the lists below `start` that `stay` as they were made last time.
    pub fn leave(&mut self, start: &str, stay: impl Fn(&str) -> bool) {
        let below = self.old.range(start.to_owned()..).take_while(|(path, _)| path.starts_with(start));
        let same: Vec<_> =
            below.filter(|(path, _)| stay(path)).map(|(path, made)| (path.clone(), *made)).collect();
        self.pages.extend(same);
    }

    /// Removes a file, and its directory when that was all.
    pub fn remove(&mut self, path: &str) {
        let path = self.root.join(path);
        durable::forget(&path);
        let mut place = path.parent();
        while let Some(parent) = place.filter(|parent| *parent != self.root && durable::prune(parent)) {
            place = parent.parent();
        }
        self.written.removed += 1;
    }

    /// Removes the copies of all of a ticket's logs.
    pub fn forget_logs(&mut self, id: &Id, epoch: u32) {
        (1..=epoch).for_each(|epoch| self.forget_log(id, epoch));
    }

    /// Removes the copy of a log. Its excerpt goes first: it vouches for the copy.
    pub fn forget_log(&mut self, id: &Id, epoch: u32) {
        for end in ["json", "txt", "txt.gz"] {
            durable::forget(&self.root.join(format!("log/{id}.{epoch}.{end}")));
        }
    }

    /// Removes the lists that are no more.
    pub fn finish(&mut self) {
        let gone: Vec<String> =
            self.old.keys().filter(|path| !self.pages.contains_key(*path)).cloned().collect();
        gone.iter().for_each(|path| self.remove(path));
    }
}
