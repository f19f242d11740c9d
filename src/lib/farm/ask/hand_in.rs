//! Asking on a spool of somebody else's: through its drop box.

use std::collections::BTreeMap;
use std::path::Path;

use super::Wish;
use crate::base::{Clock, Error, Result};
use crate::config::Config;
use crate::farm::drop_box::{self, Request};
use crate::farm::operand::{Wanted, operand};
use crate::names::Tree;
use crate::spool::Spool;
use crate::tree::{self, Repository};

/// Asks the spool's owner for builds of `operands`: what can be judged without reading recipes is judged here,
/// and the revision is fixed now. Returns what was handed in, and what was wrong with the rest.
///
/// # Errors
/// A revision that is not there, a drop box this user may not use.
pub fn hand_in(
    config: &Config,
    spool: &Spool,
    operands: &[String],
    wish: &Wish,
    directory: Option<&Path>,
    clock: &Clock,
) -> Result<Vec<(String, Result<()>)>> {
    if wish.maintainer.is_some() {
        return Err(Error::wrong(
            "cannot hand in the request: only the spool's owner says whom to tell instead",
        ));
    }
    if wish.hold_publish {
        return Err(Error::wrong("cannot hand in the request: only the spool's owner holds a batch back"));
    }
    let (mut by_tree, mut handed): (BTreeMap<Tree, Vec<String>>, Vec<_>) = Default::default();
    for text in operands.iter().map(|text| text.trim()) {
        let (tree, wanted) = match operand(config, text, wish.tree.as_ref(), directory) {
            Ok(read) => read,
            Err(_) if wish.passes_over && (text.is_empty() || text.contains('/')) => continue,
            Err(error) => {
                handed.push((text.to_owned(), Err(error)));
                continue;
            }
        };
        let section =
            config.tree.get(&tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))?;
        let items = by_tree.entry(tree).or_default();
        match wanted {
            Wanted::Path(path) => items.extend(tree::recipes_of(&[path], section)),
            Wanted::Name(name) => items.push(name.to_string()),
            Wanted::Version(item) => items.push(item.to_string()),
        }
    }
    for (tree, mut items) in by_tree {
        items.dedup();
        if items.is_empty() {
            continue;
        }
        let revision = revision(config, &tree, &items, wish)?;
        let wish = Wish { tree: Some(tree), revision, ..wish.clone() };
        drop_box::hand_in(&spool.at("drop"), &Request::Enqueue { items: items.clone(), wish }, clock)?;
        handed.extend(items.into_iter().map(|item| (item, Ok(()))));
    }
    Ok(handed)
}

/// A path is asked for at a revision, a name for whatever revision has its version.
fn revision(config: &Config, tree: &Tree, items: &[String], wish: &Wish) -> Result<Option<String>> {
    let Some(section) = config.tree.get(tree) else { return Ok(None) };
    let repository = Repository::new(tree, section);
    match &wish.revision {
        Some(name) => repository.resolve(name).map(|revision| Some(revision.to_string())),
        None if items.iter().any(|item| item.contains('/')) => {
            repository.tip().map(|revision| Some(revision.to_string()))
        }
        None => Ok(None),
    }
}
