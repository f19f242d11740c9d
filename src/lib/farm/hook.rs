//! synchook: from what a push changed to tickets, without making the push wait or fail.

use std::path::Path;
use std::time::Duration;

use super::ask::{Answered, Asker, Wish, ask};
use super::drop_box::{self, Request};
use crate::base::error::Kind;
use crate::base::output::inert;
use crate::base::random;
use crate::base::{Clock, Error, Result};
use crate::config::{Config, Scm, TreeSection};
use crate::names::{Revision, Tree, Word};
use crate::spool::Spool;
use crate::tree::{self, Repository};

/// How many recipes are read while the pusher waits; more are handed in and read by the next round.
const AT_ONCE: usize = 40;

/// How many lines the pusher sees before a summary.
const LINES: usize = 20;

/// What the version control program tells of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// `DARCS_FILES`; none when darcs did not set it, which says nothing.
    Darcs(Option<String>),
    /// The lines of git's post-receive: `OLD NEW REF`.
    Git(Vec<String>),
}

/// Who pushes.
#[derive(Debug, Clone, Copy)]
pub struct Pusher<'a> {
    /// Who.
    pub by: &'a str,
    /// Whether he is the spool's owner.
    pub owner: bool,
}

/// Returns the tree whose repository the hook runs in.
///
/// # Errors
/// No tree of the configuration is there.
pub fn tree_of(config: &Config, directory: &Path) -> Result<Tree> {
    let here = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let is_here = |section: &TreeSection| {
        section.path.canonicalize().is_ok_and(|root| root == here || root.join(".git") == here)
    };
    let found = config.tree.iter().find(|(_, section)| is_here(section));
    found.map(|(name, _)| name.clone()).ok_or_else(|| {
        Error::wrong(format!("no tree of the configuration is at {}", here.display()))
            .hint("say which: --tree T")
    })
}

/// Asks for builds of what a push changed; returns what the pusher is to be told.
///
/// # Errors
/// Nothing could be asked for; the push is in all the same, and `syncpkg-unbuilt` will find what was missed.
pub fn run(
    config: &Config,
    spool: &Spool,
    tree: &Tree,
    push: &Push,
    pusher: Pusher,
    clock: &Clock,
) -> Result<Vec<String>> {
    let section = config.tree.get(tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))?;
    let stamp = clock.now().strftime("%Y%m%d-%H%M%S");
    let batch: Word = format!("push-{stamp}-{}", random::word(4)).parse()?;
    let wish = Wish { tree: Some(tree.clone()), batch: Some(batch), passes_over: true, ..Wish::default() };
    let mut lines = Vec::new();
    for change in changes(tree, section, push)? {
        match change {
            Change::Unknown => {
                let wish = Wish { spare_aborted: true, ..wish.clone() };
                drop_box::hand_in(spool, &Request::Scan { wish }, clock)?;
                lines.push(
                    "darcs does not say what the push changed: all of the tree will be looked at".to_owned(),
                );
            }
            Change::Recipes { revision, recipes } => {
                let wish = Wish { revision: Some(revision.to_string()), ..wish.clone() };
                lines.extend(ask_or_hand_in(config, spool, &recipes, &wish, pusher, clock)?);
            }
        }
    }
    Ok(summary(lines))
}

enum Change {
    Recipes { revision: Revision, recipes: Vec<String> },
    Unknown,
}

fn changes(tree: &Tree, section: &TreeSection, push: &Push) -> Result<Vec<Change>> {
    let repository = Repository::new(tree, section);
    let recipes_at = |revision: Revision, paths: &[String]| {
        let recipes = tree::recipes_of(paths, section);
        (!recipes.is_empty()).then_some(Change::Recipes { revision, recipes })
    };
    match (push, section.scm) {
        (Push::Darcs(None), _) => Ok(vec![Change::Unknown]),
        (Push::Darcs(Some(files)), _) => {
            let paths: Vec<String> = files.lines().map(str::to_owned).collect();
            Ok(recipes_at(repository.tip()?, &paths).into_iter().collect())
        }
        (Push::Git(lines), Scm::Git) => {
            let mut changes = Vec::new();
            for (old, new) in lines.iter().filter_map(|line| update(line, &section.branch)) {
                let paths = repository.changed(old.as_ref(), &new)?;
                changes.extend(recipes_at(new, &paths));
            }
            Ok(changes)
        }
        (Push::Git(_), Scm::Darcs | Scm::None) => {
            Err(Error::wrong(format!("the tree {tree} is not kept in git")))
        }
    }
}

/// Reads a line of post-receive; none unless it moves the branch that is built.
fn update(line: &str, branch: &str) -> Option<(Option<Revision>, Revision)> {
    let mut words = line.split(' ');
    let (old, new, reference) = (words.next()?, words.next()?, words.next()?);
    let zero = |hash: &str| hash.bytes().all(|byte| byte == b'0');
    if reference.strip_prefix("refs/heads/") != Some(branch) || zero(new) {
        return None;
    }
    let old = if zero(old) { None } else { Some(old.parse().ok()?) };
    Some((old, new.parse().ok()?))
}

/// The owner asks at once when that is quick; everybody else, and whoever would have to wait, hands it in.
fn ask_or_hand_in(
    config: &Config,
    spool: &Spool,
    recipes: &[String],
    wish: &Wish,
    pusher: Pusher,
    clock: &Clock,
) -> Result<Vec<String>> {
    if pusher.owner && recipes.len() <= AT_ONCE {
        let asker = Asker::unwatched(pusher.by, Duration::from_secs(1));
        match ask(config, spool, recipes, wish, asker, clock) {
            Err(error) if error.kind == Kind::Again => {}
            other => return other.map(|answers| answers.iter().map(told).collect()),
        }
    }
    let request = Request::Enqueue { items: recipes.to_vec(), wish: wish.clone() };
    drop_box::hand_in(spool, &request, clock)?;
    Ok(recipes.iter().map(|recipe| format!("handed in {}", inert(recipe))).collect())
}

fn told(answer: &Answered) -> String {
    match &answer.ticket {
        Ok((id, item)) => format!("queued {item} as {id}"),
        Err(error) => error.to_string(),
    }
}

fn summary(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("and {more} more: syncpkg-ls shows them"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_branch_that_is_built_counts() {
        let (a, b, zero) = ("a".repeat(40), "b".repeat(40), "0".repeat(40));
        let moved = |line: String| update(&line, "main").map(|(old, new)| (old.is_some(), new.to_string()));
        assert_eq!(moved(format!("{a} {b} refs/heads/main")), Some((true, b.clone())));
        assert_eq!(moved(format!("{zero} {b} refs/heads/main")), Some((false, b.clone())));
        assert_eq!(moved(format!("{a} {zero} refs/heads/main")), None, "a deleted branch");
        assert_eq!(moved(format!("{a} {b} refs/tags/main")), None);
        assert_eq!(moved(format!("{a} {b} refs/heads/other")), None);
        assert_eq!(moved("nonsense".to_owned()), None);
    }

    #[test]
    fn a_large_push_is_summed_up() {
        let told = summary((0..50).map(|n| n.to_string()).collect());
        assert_eq!(told.len(), LINES + 1);
        assert_eq!(told.last().unwrap(), "and 30 more: syncpkg-ls shows them");
    }
}
