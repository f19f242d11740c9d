//! Batches that are held back: where others of the batch can have what is built of it meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::{Held, placed, put_in_place};
use crate::base::{Result, durable, lock};
use crate::config::TreeSection;
use crate::names::{Id, Package, Tree, Word};
use crate::spool::{Entry, Spool, batch, waiting};

/// What is built, but held back with its batch.
#[derive(Default)]
pub(super) struct Back {
    by_ticket: HashMap<Id, Word>,
    why: BTreeMap<Word, String>,
    /// The batches all of which is built.
    built: Vec<Word>,
}

impl Back {
    /// Looks which of what is held is held back, and why.
    pub fn look(spool: &Spool, held: &BTreeMap<Tree, Vec<Held>>) -> Result<Self> {
        let (mut back, mut by_package) = (Self::default(), HashMap::<Package, Vec<Id>>::new());
        for one in held.values().flatten() {
            by_package.entry(one.entry.name.package()).or_default().push(one.entry.name.id);
        }
        for batch in batch::batches(spool)? {
            let mut ours = Vec::new();
            let is_all = batch::members(spool, &batch, |member| {
                let ids = by_package.get(&member.package).into_iter().flatten();
                ours.extend(ids.filter(|id| **id >= member.id));
                Ok(())
            })?;
            if !is_all {
                let asked = held.values().flatten().filter(|one| one.ticket.batch.as_ref() == Some(&batch));
                ours.extend(asked.map(|one| one.entry.name.id));
            }
            if ours.is_empty() {
                continue;
            }
            match batch::why(spool, &batch)? {
                Some(why) => {
                    for id in ours {
                        back.by_ticket.entry(id).or_insert_with(|| batch.clone());
                    }
                    back.why.insert(batch, why);
                }
                None => back.built.push(batch),
            }
        }
        Ok(back)
    }

    /// Lets the batches go all of which is built.
    pub fn release(&self, spool: &Spool) -> Result<()> {
        self.built.iter().try_for_each(|batch| batch::release(spool, batch))
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
