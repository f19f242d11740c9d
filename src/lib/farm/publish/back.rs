//! Batches that are held back: where others of the batch can have what is built of it meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::{Held, placed, put_in_place};
use crate::base::{Result, durable, lock};
use crate::config::TreeSection;
use crate::names::{Id, Tree, Word};
use crate::spool::batch::{self, HeldBack};
use crate::spool::{Entry, Spool, waiting};

/// What is built, but held back with its batch.
pub(super) struct Back {
    by_ticket: HashMap<Id, Word>,
    why: BTreeMap<Word, String>,
}

impl Back {
    /// Looks which of what is held is held back, and why; a batch all of which is built is let go.
    pub fn look(spool: &Spool, held: &BTreeMap<Tree, Vec<Held>>) -> Result<Self> {
        let (held_back, mut back) = (HeldBack::read(spool)?, Self::none());
        for one in held.values().flatten() {
            let Some(batch) = held_back.holds(&one.entry.name) else { continue };
            back.by_ticket.insert(one.entry.name.id, batch.clone());
        }
        for batch in held_back.batches().filter(|batch| back.by_ticket.values().any(|known| known == *batch))
        {
            match held_back.why(spool, batch)? {
                Some(why) => drop(back.why.insert(batch.clone(), why)),
                None => batch::release(spool, batch)?,
            }
        }
        Ok(back)
    }

    fn none() -> Self {
        Self { by_ticket: HashMap::new(), why: BTreeMap::new() }
    }

    /// Returns the batch with which a ticket is held back, and what for.
    pub fn of(&self, entry: &Entry) -> Option<(&Word, &str)> {
        let batch = self.by_ticket.get(&entry.name.id)?;
        self.why.get(batch).map(|why| (batch, why.as_str()))
    }
}

/// Puts what is held back where builders find it for others of its batch, once, and wakes those.
pub(super) fn stage(spool: &Spool, section: &TreeSection, held: &Held, batch: &Word) -> Result<()> {
    let (id, tree) = (&held.entry.name.id, &held.ticket.tree);
    if section.staging.is_empty() || batch::is_staged(spool, batch, id)? {
        return Ok(());
    }
    let arch = &held.entry.name.item.arch;
    let name = format!("publish-{tree}-{arch}");
    let _lock = lock::exclusive(&spool.at("lock").join(name), lock::PATIENCE)?;
    put_in_place(&spool.hold(id, held.entry.name.epoch), &staging(section, batch), held)?;
    batch::stage(spool, batch, id)?;
    waiting::settle(spool, &held.entry)
}

/// Takes it away from there again: it is published, or never will be.
pub(super) fn unstage(spool: &Spool, section: &TreeSection, held: &Held) -> Result<()> {
    for batch in batch::staged_in(spool, &held.entry.name.id)? {
        let there = staging(section, &batch);
        for package in &held.ticket.packages {
            // Without its package a signature is worth nothing.
            if let Ok((_, path)) = placed(&there, held, package) {
                durable::unlink(&path)?;
                durable::unlink(&signature(&path))?;
            }
        }
        batch::unstage(spool, &batch, &held.entry.name.id)?;
    }
    Ok(())
}

/// Returns where the signature of a package lies, if it has one.
pub(super) fn signature(path: &std::path::Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The tree as those of a batch see it: its packages are in the staging directory.
fn staging(section: &TreeSection, batch: &Word) -> TreeSection {
    TreeSection { packages: section.staging.replace("{batch}", batch.as_str()), ..section.clone() }
}
