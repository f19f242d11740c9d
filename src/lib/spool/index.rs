//! The index by name: for each package that has something unfinished, another name (a hard link) of the ticket that
//! was asked for last. A cache: its hits are verified, without it everything is searched, and it is made again when it
//! is gone or the host was started anew (a power cut may have taken back some of it, which nobody would notice).

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::shelf::InOrder;
use super::{Entry, Spool, Ticket, list, report};
use crate::base::durable::{self, Shift};
use crate::base::{Error, Result, clock, random};
use crate::names::{Arch, Name, Package, Tree};

const PREFIX: &str = "unfinished-";

/// The index of one spool, under `cache/unfinished-BOOT/TREE/ARCH/NAME`.
#[derive(Debug)]
pub(super) struct Index {
    root: PathBuf,
}

impl Index {
    /// Opens the index; none if there is none to be trusted.
    pub fn open(spool: &Spool) -> Option<Self> {
        let root = spool.at("cache").join(format!("{PREFIX}{}", clock::kernel_boot()));
        root.is_dir().then_some(Self { root })
    }

    /// Opens the index, making it when needed. The queue's lock is held.
    pub fn ready(spool: &Spool) -> Result<Self> {
        match Self::open(spool) {
            Some(index) => Ok(index),
            None => Self::make(spool),
        }
    }

    /// What waits is what others look for: it is noted in place of what is held or being built, also if that was asked for
    /// later; of two that wait the later one.
    fn make(spool: &Spool) -> Result<Self> {
        let cache = spool.at("cache");
        let index = Self { root: cache.join(format!(".{PREFIX}{}", random::word(8))) };
        durable::make_dir(&index.root)?;
        let mut moved_on = HashSet::new();
        for entry in report::unpublished(spool)?.iter().chain(&list::building(spool)?) {
            index.add(&entry.path, &entry.name.package())?;
            moved_on.insert(entry.name.id);
        }
        for entry in InOrder::all(spool)? {
            let entry = entry?;
            let (id, package) = (entry.name.id, entry.name.package());
            if index.get(&package)?.is_none_or(|other| other.id < id || moved_on.contains(&other.id)) {
                index.add(&entry.path, &package)?;
            }
        }
        for old in list::names(&cache)?.iter().filter(|name| name.starts_with(PREFIX)) {
            durable::remove_tree(&cache.join(old))?;
        }
        let root = cache.join(format!("{PREFIX}{}", clock::kernel_boot()));
        match durable::relocate(&index.root, &root)? {
            Shift::Moved => Ok(Self { root }),
            Shift::Gone => Err(Error::again(format!("cannot make {}: somebody removed it", root.display()))),
        }
    }

    fn file(&self, package: &Package) -> PathBuf {
        self.root.join(&package.tree).join(&package.arch).join(&package.name)
    }

    /// Puts a ticket durably under `target`, which must be free, and as the last one asked for. Whoever looks it up
    /// before it is there finds it half written or nowhere, and searches.
    pub fn put(&self, package: &Package, target: &Path, bytes: &[u8]) -> Result<()> {
        durable::put_entry(&self.file(package), target, bytes)
    }

    /// Notes that the ticket in `file` is the last one asked for.
    pub fn add(&self, file: &Path, package: &Package) -> Result<()> {
        match durable::link(file, &self.file(package)) {
            // It was moved on meanwhile, by somebody who needs no lock for that.
            Err(_) if !durable::present(file)? => Ok(()),
            other => other,
        }
    }

    /// Returns the ticket of the package that was asked for last, if something of it may be unfinished.
    pub fn get(&self, package: &Package) -> Result<Option<Ticket>> {
        let file = self.file(package);
        if !durable::present(&file)? {
            return Ok(None);
        }
        match Ticket::read(&file) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(_) if !durable::present(&file)? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes that nothing of the package is unfinished. The queue's lock is held.
    pub fn remove(&self, package: &Package) {
        durable::forget(&self.file(package));
    }

    /// Tells whether a waiting ticket is the one that was asked for last; an editor may have made a new file of it.
    pub fn knows(&self, package: &Package, entry: &Entry) -> bool {
        let last = || self.get(package).is_ok_and(|last| last.is_some_and(|last| last.id == entry.name.id));
        self.is_last(package, &entry.path) || last()
    }

    /// Tells whether `file` is the ticket that was asked for last.
    pub fn is_last(&self, package: &Package, file: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let inode = |path: &Path| fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        inode(file).is_some_and(|ours| inode(&self.file(package)) == Some(ours))
    }

    /// Returns the packages of this name that may have something unfinished.
    pub fn packages_called(&self, tree: Option<&Tree>, name: &Name) -> Result<Vec<Package>> {
        let mut packages = Vec::new();
        for known in list::directories::<Tree>(&self.root)? {
            if tree.is_some_and(|tree| *tree != known) {
                continue;
            }
            for arch in list::directories::<Arch>(&self.root.join(&known))? {
                let package = Package { tree: known.clone(), name: name.clone(), arch };
                if durable::present(&self.file(&package))? {
                    packages.push(package);
                }
            }
        }
        Ok(packages)
    }
}
