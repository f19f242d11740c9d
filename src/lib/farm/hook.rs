//! synchook: from what a push changed to tickets, without making the push wait or fail.

use std::path::Path;
use std::time::Duration;

use super::ask::{Answered, Asker, Wish};
use super::drop_box::{self, Request};
use super::push::{self, Push};
use crate::base::error::Kind;
use crate::base::output::inert;
use crate::base::random;
use crate::base::{Clock, Error, Result};
use crate::config::{Config, Scm, TreeSection};
use crate::names::{Priority, Revision, Tree, Word};
use crate::spool::Spool;
use crate::tree::{self, Repository};

/// How many recipes are read while the pusher waits; more are handed in and read by the next round.
const AT_ONCE: usize = 40;

/// How many lines the pusher sees before a summary.
const LINES: usize = 20;

/// How many bytes of names a request holds: more do not fit, and are found by looking at all of the tree.
const NAMED: usize = 400 << 10;

/// What the version control program tells of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// `DARCS_FILES`; none when darcs did not set it, which says nothing.
    Darcs(Option<String>),
    /// The lines of git's post-receive (`OLD NEW REF`), and the options of the push.
    Git(Vec<String>, Vec<String>),
}

/// Who pushes.
#[derive(Debug, Clone, Copy)]
pub struct Pusher<'a> {
    /// Who.
    pub by: &'a str,
    /// The spool, if he may change it.
    pub spool: Option<&'a Spool>,
    /// The drop box of whoever may.
    pub drop_box: &'a Path,
}

/// Returns the trees whose repository the hook runs in: several may be branches of one.
///
/// # Errors
/// No tree of the configuration is there.
pub fn trees_of(config: &Config, directory: &Path) -> Result<Vec<Tree>> {
    let here = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let is_here = |section: &TreeSection| {
        section.path.canonicalize().is_ok_and(|root| root == here || root.join(".git") == here)
    };
    let found = config.tree.iter().filter(|(_, section)| is_here(section));
    let found: Vec<Tree> = found.map(|(name, _)| name.clone()).collect();
    if found.is_empty() {
        return Err(Error::wrong(format!("no tree of the configuration is at {}", here.display()))
            .hint("say which: --tree T"));
    }
    Ok(found)
}

/// Asks for builds of what a push changed in `tree`; returns what the pusher is to be told.
///
/// # Errors
/// Nothing could be asked for; the push is in all the same, and the next one, or `syncpkg-unbuilt`, will find what
/// was missed.
pub fn run(config: &Config, tree: &Tree, told: &Told, pusher: Pusher, clock: &Clock) -> Result<Vec<String>> {
    let section = config.tree.get(tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))?;
    let stamp = clock.now().strftime("%Y%m%d-%H%M%S");
    let batch: Word = format!("push-{stamp}-{}", random::word(4)).parse()?;
    let wish =
        Wish { tree: Some(tree.clone()), batch: Some(batch.clone()), passes_over: true, ..Wish::default() };
    let (mut lines, push) = match told {
        Told::Darcs(files) => (Vec::new(), Some(darcs(section, files.as_deref(), wish))),
        Told::Git(updates, options) => {
            let mut push = Push { wish, ..Push::default() };
            let lines = options.iter().filter_map(|option| obey(option, &mut push)).collect();
            (lines, git(tree, section, updates, push)?)
        }
    };
    if let Some(push) = push {
        lines.extend(ask_or_hand_in(config, &push, pusher, clock)?);
    }
    Ok(summary(lines, &batch))
}

fn darcs(section: &TreeSection, files: Option<&str>, wish: Wish) -> Push {
    let paths: Vec<String> = files.unwrap_or_default().lines().map(str::to_owned).collect();
    Push { recipes: tree::recipes_of(&paths, section), more: files.is_none(), wish, ..Push::default() }
}

/// Adds to `push` what the updates of its branch changed; none without such an update.
fn git(tree: &Tree, section: &TreeSection, updates: &[String], mut push: Push) -> Result<Option<Push>> {
    if section.scm != Scm::Git {
        return Err(Error::wrong(format!("the tree {tree} is not kept in git")));
    }
    let moves: Vec<_> = updates.iter().filter_map(|line| update(line, &section.branch)).collect();
    if let [(Some(old), new)] = moves.as_slice() {
        push.between = Some((old.clone(), new.clone()));
    }
    for (old, new) in &moves {
        let old = old.as_ref();
        let paths =
            old.map(|old| Repository::new(tree, section).changed(Some(old), new)).transpose()?.flatten();
        // Of a branch that is new nobody knows what of it was built before.
        push.more |= paths.is_none();
        push.recipes.extend(tree::recipes_of(&paths.unwrap_or_default(), section));
    }
    Ok((!moves.is_empty()).then_some(push))
}

/// Does what a push option says; returns what is wrong with it. Those of other hooks are none of ours.
fn obey(option: &str, push: &mut Push) -> Option<String> {
    if option == "nobuild" {
        push.nobuild = true;
    }
    let text = option.strip_prefix("priority=")?;
    let priority = Priority::from_digit(text).or_else(|| text.parse().ok());
    push.wish.priority = priority;
    match priority {
        Some(_) => None,
        None => Some(format!(
            "there is no priority {}: 2 (urgent), 5 (push), 7 (unbuilt), 9 (background)",
            inert(text)
        )),
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
fn ask_or_hand_in(config: &Config, push: &Push, pusher: Pusher, clock: &Clock) -> Result<Vec<String>> {
    if let Some(spool) = pusher.spool {
        let asker = Asker::unwatched(pusher.by, Duration::from_secs(1));
        match push::act(config, spool, push, AT_ONCE, asker, clock) {
            Err(error) if error.kind == Kind::Again => {}
            other => return other.map(|answers| lines_of(&answers)),
        }
    }
    let mut lines: Vec<String> =
        push.recipes.iter().map(|recipe| format!("handed in {}", inert(recipe))).collect();
    if push.nobuild {
        lines.clear();
    } else if push.more {
        lines.push(
            "nobody says what the push changed: what of the tree is missing will be looked for".to_owned(),
        );
    }
    drop_box::hand_in(pusher.drop_box, &Request::Push(fitting(push)), clock)?;
    Ok(lines)
}

/// Of a push that is too large for a request it is only said that nobody says what it changed.
fn fitting(push: &Push) -> Push {
    match push.recipes.iter().map(String::len).sum() {
        0..=NAMED => push.clone(),
        _ => Push { recipes: Vec::new(), more: true, ..push.clone() },
    }
}

/// Problems first: they are what the pusher has to do something about.
fn lines_of(answers: &[Answered]) -> Vec<String> {
    let (queued, wrong): (Vec<&Answered>, Vec<&Answered>) =
        answers.iter().partition(|answer| answer.ticket.is_ok());
    wrong.into_iter().chain(queued).map(line).collect()
}

fn line(answer: &Answered) -> String {
    match &answer.ticket {
        Ok((id, item)) => format!("queued {item} as {id}"),
        Err(error) => error.to_string(),
    }
}

fn summary(mut lines: Vec<String>, batch: &Word) -> Vec<String> {
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("and {more} more: syncpkg-ls all --batch {batch} shows all tickets"));
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
        let told = summary((0..50).map(|n| n.to_string()).collect(), &"push-1".parse().unwrap());
        assert_eq!(told.len(), LINES + 1);
        assert_eq!(told.last().unwrap(), "and 30 more: syncpkg-ls all --batch push-1 shows all tickets");
    }

    #[test]
    fn a_push_of_any_size_fits_into_a_request() {
        let recipes = |count: usize| vec!["\"".repeat(1 << 10); count];
        let whole = fitting(&Push { recipes: recipes(400), ..Push::default() });
        assert!(!whole.more && whole.recipes.len() == 400);
        assert!(toml::to_string(&whole).unwrap().len() < 1 << 20, "even if every byte is written as two");
        let large = fitting(&Push { recipes: recipes(401), ..Push::default() });
        assert!(large.more && large.recipes.is_empty());
    }
}
