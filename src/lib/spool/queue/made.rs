//! What a batch asks for, before it has a name.

use std::rc::Rc;
use std::sync::Arc;

use super::super::decide::Ask;
use super::super::{Stand, TicketName};
use crate::names::{Arch, Id, Item, Name, Priority, Release, Revision, Tree, Version, Word};

/// A ticket that is written but has no name yet.
pub(super) struct Made {
    pub priority: Priority,
    pub id: Id,
    pub arch: Arch,
    /// Shared with the tickets for other architectures.
    pub what: Rc<What>,
    /// What it waits for.
    pub blocker: Option<Name>,
    /// What the same batch asked for of its package before, as a place among what it made.
    pub before: Option<usize>,
    /// A later ticket of the same batch asks for another version or revision of the same package.
    pub superseded: Option<Id>,
}

/// What is built, but for the architecture.
#[derive(PartialEq)]
pub(super) struct What {
    pub tree: Tree,
    pub name: Name,
    pub version: Version,
    pub release: Release,
    pub revision: Revision,
    pub depends: Arc<[Name]>,
    pub batch: Option<Word>,
}

impl What {
    pub fn of(ask: &Ask) -> Self {
        Self {
            tree: ask.tree.clone(),
            name: ask.item.name.clone(),
            version: ask.item.version.clone(),
            release: ask.item.release.clone(),
            revision: ask.revision.clone(),
            depends: Arc::clone(&ask.depends),
            batch: ask.batch.clone(),
        }
    }
}

impl Made {
    pub fn item(&self) -> Item {
        let What { name, version, release, .. } = &*self.what;
        let (name, version, release) = (name.clone(), version.clone(), release.clone());
        Item { name, version, release, arch: self.arch.clone() }
    }

    /// Tells whether this is what is asked for.
    pub fn is_same(&self, ask: &Ask) -> bool {
        ask.is_for(&self.item(), Some(&self.what.revision))
    }

    pub fn name(&self) -> TicketName {
        let (tree, stand) = (self.what.tree.clone(), Stand::Waiting(None));
        TicketName { priority: self.priority, id: self.id, tree, item: self.item(), epoch: 0, stand }
    }
}
