//! From what came into a tree to tickets: what a push changed, and what pushes before it changed that nobody acted on.
//!
//! `cache/seen-TREE`, or `.seen-TREE` of the outbox when the spool is on another host, says up to which state of the
//! tree that was done. It is moved on only when the tickets are durable: a hook that was killed, or found the disk
//! full, leaves its work to the next one. Without it, or when nobody knows that state any more, what is not known is
//! looked for in all of the tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::{Answered, Asker, Wish, ask};
use super::unbuilt;
use crate::base::durable;
use crate::base::{Clock, Error, Result, lock};
use crate::config::Config;
use crate::names::{Revision, Tree};
use crate::spool::Spool;
use crate::tree::{self, Repository};

/// What somebody knows of a push to a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Push {
    /// The recipes it changed.
    pub recipes: Vec<String>,
    /// It changed more than those; nobody knows what.
    pub more: bool,
    /// All that it changed is what changed between these two.
    #[serde(skip)]
    pub between: Option<(Revision, Revision)>,
    /// Its pusher wants none of them built.
    pub nobuild: bool,
    /// How to ask for them; of which tree.
    pub wish: Wish,
}

impl Push {
    fn is_from(&self, seen: &str, tip: &Revision) -> bool {
        !self.more && self.between.as_ref().is_some_and(|(old, new)| old.as_str() == seen && new == tip)
    }
}

/// Where it is kept what of a tree was acted on, and the lock of whoever does.
pub(super) struct Memory {
    lock: PathBuf,
    seen: PathBuf,
}

impl Memory {
    fn of(spool: &Spool, tree: &Tree) -> Self {
        Self { lock: spool.at("lock").join(format!("push-{tree}")), seen: place(spool, tree) }
    }

    /// That of a host whose spool is on another one.
    pub fn below(outbox: &Path, tree: &Tree) -> Self {
        Self { lock: outbox.join(format!(".push-{tree}")), seen: outbox.join(format!(".seen-{tree}")) }
    }

    fn seen(&self) -> Option<String> {
        let text = String::from_utf8(durable::read(&self.seen, 256).ok()?).ok()?;
        revision_of(&text).is_some().then(|| text.trim_end().to_owned())
    }
}

/// What came into a tree.
pub(super) struct Changed {
    /// Of the recipes that are there now.
    pub recipes: Vec<String>,
    /// Nobody knows what else changed.
    pub all: bool,
    /// How to ask for them.
    pub wish: Wish,
    state: String,
    seen: PathBuf,
    _lock: lock::Lock,
}

impl Changed {
    /// Notes that it was acted on.
    pub fn remember(&self) -> Result<()> {
        durable::replace(&self.seen, format!("{}\n", self.state).as_bytes())?;
        durable::confirm(&self.seen)
    }
}

/// Finds what came into the tree since the farm looked last. Until it is dropped, nobody else looks.
///
/// # Errors
/// There is no such tree; a lock is held for too long.
pub(super) fn changed(config: &Config, memory: Memory, push: &Push, patience: Duration) -> Result<Changed> {
    let named = push.wish.tree.as_ref().and_then(|tree| config.tree.get_key_value(tree));
    let (tree, section) = named.ok_or_else(|| Error::wrong("cannot act on a push: there is no such tree"))?;
    // Of two pushes at once the later revision is asked for last, or it would be superseded by the earlier.
    let lock = lock::exclusive(&memory.lock, patience)?;
    let repository = Repository::new(tree, section);
    let tip = repository.tip()?;
    // Before anything is read: what comes in meanwhile does not count as acted on.
    let state = repository.state(&tip)?.unwrap_or_else(|| tip.to_string());
    let (missed, all) = missed(repository, push, memory.seen(), (&tip, &state))?;
    let own: BTreeSet<String> = tree::recipes_of(&push.recipes, section).into_iter().collect();
    let mut recipes: BTreeSet<String> = tree::recipes_of(&missed, section).into_iter().collect();
    match push.nobuild {
        // What of it is its own cannot be told: syncpkg-unbuilt will find the rest.
        true if push.more => recipes.clear(),
        true => recipes.retain(|recipe| !own.contains(recipe)),
        false => recipes.extend(own),
    }
    let (revision, found) = (Some(tip.to_string()), Some(tip));
    let wish = Wish { revision, found, passes_over: true, ..push.wish.clone() };
    let recipes = recipes.into_iter().collect();
    Ok(Changed { recipes, all, wish, state, seen: memory.seen, _lock: lock })
}

/// Asks for builds of what came into the tree since the farm looked last, if that are at most `at_most` recipes.
///
/// # Errors
/// `Again` when they are more, or a lock is held for too long; as [`ask`]. Then nothing counts as acted on.
pub fn act(
    config: &Config,
    spool: &Spool,
    push: &Push,
    at_most: usize,
    asker: Asker,
    clock: &Clock,
) -> Result<Vec<Answered>> {
    let tree = push.wish.tree.as_ref().ok_or_else(|| Error::wrong("cannot act on a push: to which tree?"))?;
    let changed = changed(config, Memory::of(spool, tree), push, asker.patience)?;
    let Changed { recipes, all, wish, .. } = &changed;
    if recipes.len() > at_most || (*all && at_most < usize::MAX) {
        return Err(Error::again("cannot ask for so many builds at once"));
    }
    let mut answers =
        if recipes.is_empty() { Vec::new() } else { ask(config, spool, recipes, wish, asker, clock)? };
    if *all && !push.nobuild {
        let wish = Wish { spare_aborted: true, ..push.wish.clone() };
        answers.extend(unbuilt::ask_for_all(config, spool, &wish, asker, clock)?);
    }
    changed.remember()?;
    Ok(answers)
}

/// Returns the paths that were changed since `seen`, and whether all of the tree must be looked at instead.
fn missed(
    repository: Repository,
    push: &Push,
    seen: Option<String>,
    (tip, state): (&Revision, &str),
) -> Result<(Vec<String>, bool)> {
    match seen {
        None => Ok((Vec::new(), push.more)),
        // Somebody acted on this push already, or nobody pushed and the hook was run by hand.
        Some(seen) if seen == state => Ok((Vec::new(), push.more)),
        // Nothing came in before this push, or after it.
        Some(seen) if push.is_from(&seen, tip) => Ok((Vec::new(), false)),
        Some(seen) => Ok(match repository.changed_since(&seen, tip)? {
            Some(paths) => (paths, false),
            None => (Vec::new(), true),
        }),
    }
}

/// Returns the state up to which pushes to `tree` were acted on, its first word the revision; none when that is not
/// known.
pub(super) fn seen(spool: &Spool, tree: &Tree) -> Option<String> {
    Memory::of(spool, tree).seen()
}

/// Returns the revision of a state that was seen.
pub(super) fn revision_of(seen: &str) -> Option<Revision> {
    seen.split_whitespace().next()?.parse().ok()
}

fn place(spool: &Spool, tree: &Tree) -> PathBuf {
    spool.at("cache").join(format!("seen-{tree}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_all_that_came_in_only_when_it_goes_from_what_was_seen_to_the_tip_and_all_of_it_is_known() {
        let revision = |text: &str| -> Revision { text.parse().unwrap() };
        let push = Push { between: Some((revision("aaaa"), revision("bbbb"))), ..Push::default() };
        assert!(push.is_from("aaaa", &revision("bbbb")));
        assert!(!push.is_from("cccc", &revision("bbbb")));
        assert!(!push.is_from("aaaa", &revision("cccc")));
        assert!(!Push { more: true, ..push }.is_from("aaaa", &revision("bbbb")));
        assert!(!Push::default().is_from("aaaa", &revision("bbbb")));
    }
}
