//! What becomes of a request, given what is known of its package: the rules of product.md, "Life of a ticket".

use std::sync::Arc;

use super::{Entry, Stand, TicketName};
use crate::names::{Id, Item, Name, Outcome, Package, Priority, Revision, State, Tree, Word};

/// A request to build one version of one package for one architecture.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tree.
    pub tree: Tree,
    /// What to build.
    pub item: Item,
    /// At which revision.
    pub revision: Revision,
    /// The recipe file, relative to the tree.
    pub path: String,
    /// How urgent.
    pub priority: Priority,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whom to tell.
    pub maintainer: Option<String>,
    /// What it belongs to.
    pub batch: Option<Word>,
    /// What the recipe makes.
    pub packages: Vec<Name>,
    /// What it needs of its tree.
    pub depends: Arc<[Name]>,
    /// A change of the recipe is asked for: another revision of the same version is something else. Otherwise
    /// the version is asked for, at whatever revision.
    pub exact: bool,
    /// Although it failed, or is published.
    pub force: bool,
    /// An aborted version stays aborted (nobody in person asks).
    pub spare_aborted: bool,
    /// It is in the package directory already.
    pub published: bool,
}

impl Ask {
    pub(super) fn package(&self) -> Package {
        Package { tree: self.tree.clone(), name: self.item.name.clone(), arch: self.item.arch.clone() }
    }

    /// Tells whether what is asked for is this.
    pub(super) fn is_for(&self, item: &Item, revision: Option<&Revision>) -> bool {
        *item == self.item && (!self.exact || revision == Some(&self.revision))
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A new ticket.
    Made(TicketName),
    /// The ticket that is there already, waiting (perhaps more urgent now) or building.
    There(TicketName),
    /// No ticket; why.
    Refused(String),
}

impl Answer {
    /// Returns the ticket, if there is one.
    pub fn ticket(&self) -> Option<&TicketName> {
        match self {
            Answer::Made(name) | Answer::There(name) => Some(name),
            Answer::Refused(_) => None,
        }
    }
}

/// A ticket of the package that is asked for, as far as the decision needs it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub entry: Entry,
    pub revision: Option<Revision>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Make(Priority),
    Keep(Id, Option<Priority>),
    Refuse(String),
}

/// The rules of product.md, "Life of a ticket". `known` is in the order waiting, building, ended (oldest first).
pub(super) fn decide(known: &[Known], ask: &Ask) -> Decision {
    let same = |known: &&Known| is_same(known, ask);
    let wanted = ask.priority;
    let waiting = || known.iter().filter(|known| known.entry.state() == State::Waiting);
    if let Some(found) = waiting().find(same) {
        let better = wanted < found.entry.name.priority;
        return Decision::Keep(found.entry.name.id, better.then_some(wanted));
    }
    if let Some(found) = known.iter().filter(|known| known.entry.state() == State::Building).find(same) {
        return Decision::Keep(found.entry.name.id, None);
    }
    if !ask.force
        && let Some(why) = refusal(known.iter().rev().find(same), ask)
    {
        return Decision::Refuse(why);
    }
    // What takes a waiting ticket's place takes its turn's urgency too.
    let inherited = waiting().map(|known| known.entry.name.priority).min();
    Decision::Make(inherited.map_or(wanted, |priority| priority.min(wanted)))
}

pub(super) fn is_same(known: &Known, ask: &Ask) -> bool {
    ask.is_for(&known.entry.name.item, known.revision.as_ref())
}

fn refusal(last: Option<&Known>, ask: &Ask) -> Option<String> {
    if ask.published {
        return Some(format!("{} is published already: bump the release", ask.item));
    }
    let last = last?;
    let (id, Stand::Done(outcome)) = (&last.entry.name.id, &last.entry.name.stand) else { return None };
    match outcome {
        Outcome::Built => Some(format!("{} is built already ({id}), not published yet", ask.item)),
        Outcome::Failed => Some(format!("{} failed already ({id}): --force builds it again", ask.item)),
        Outcome::Aborted if ask.spare_aborted => Some(format!("{} was aborted ({id})", ask.item)),
        Outcome::Aborted | Outcome::Superseded | Outcome::Trouble => None,
    }
}

#[cfg(test)]
pub(super) mod tests;
