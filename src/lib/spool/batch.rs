//! Batches that are held back: what is built of one is published only once all of it is built.
//!
//! Owns `batch/B/`: lists of what belongs to the batch B (files named by an ID), and notes of what was built and can be had
//! by others of the batch already, `ID.staged`. What belongs to it is a package, from the ticket that was asked for with the
//! batch on: whatever takes that ticket's place does too. Invariant: a list is on the disk before the tickets that it
//! names have their names, so nothing of a batch is published before it is known to be held back. Refuses: publishing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::{History, Look, Spool, Stand, Ticket, TicketName, list};
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, durable};
use crate::names::{Id, Item, Outcome, Package, State, Tree, Word};

/// The largest list that is read, bytes.
const LARGEST: u64 = 64 << 20;

/// A ticket that belongs to a batch; a line of its list, `ID TREE NAME-VERSION-RELEASE-ARCH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The ticket.
    pub id: Id,
    /// Its tree.
    pub tree: Tree,
    /// What it asks for.
    pub item: Item,
}

impl Member {
    fn package(&self) -> Package {
        Package { tree: self.tree.clone(), name: self.item.name.clone(), arch: self.item.arch.clone() }
    }

    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, tree, item] = words[..] else { return None };
        Some(Self { id: id.parse().ok()?, tree: tree.parse().ok()?, item: item.parse().ok()? })
    }
}

/// Holds back `batch`, to which `members` belong, if there are any, and those of the lists that are there.
///
/// # Errors
/// A failing system call.
pub fn hold(spool: &Spool, batch: &Word, members: impl Iterator<Item = Member>, clock: &Clock) -> Result<()> {
    let lines: String = members.map(|Member { id, tree, item }| format!("{id} {tree} {item}\n")).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let path = directory(spool, batch).join(Id::new(clock.now()).as_str());
    match durable::put(&spool.tmp(), &path, lines.as_bytes())? {
        durable::Put::Made | durable::Put::Same => Ok(()),
        durable::Put::Differs => Err(Error::again(format!("cannot write {}: it is there", path.display()))),
    }
}

fn directory(spool: &Spool, batch: &Word) -> PathBuf {
    spool.at("batch").join(batch)
}

/// The note that others of `batch` can have what the ticket built.
fn staged(spool: &Spool, batch: &Word, id: &Id) -> PathBuf {
    directory(spool, batch).join(format!("{id}.staged"))
}

/// Tells whether others of `batch` can have what the ticket built.
///
/// # Errors
/// It cannot be told.
pub fn is_staged(spool: &Spool, batch: &Word, id: &Id) -> Result<bool> {
    durable::present(&staged(spool, batch, id))
}

/// Notes that others of `batch` can have what the ticket built.
///
/// # Errors
/// A failing system call.
pub fn stage(spool: &Spool, batch: &Word, id: &Id) -> Result<()> {
    durable::put(&spool.tmp(), &staged(spool, batch, id), b"").map(drop)
}

/// Forgets that note, and the batch if nothing is left of it.
///
/// # Errors
/// A failing system call.
pub fn unstage(spool: &Spool, batch: &Word, id: &Id) -> Result<()> {
    durable::remove(&staged(spool, batch, id))?;
    durable::prune(&directory(spool, batch));
    Ok(())
}

/// Returns the batches in which others can have what the ticket built.
///
/// # Errors
/// A directory that cannot be read.
pub fn staged_in(spool: &Spool, id: &Id) -> Result<Vec<Word>> {
    let mut found = Vec::new();
    for batch in list::directories::<Word>(&spool.at("batch"))? {
        if is_staged(spool, &batch, id)? {
            found.push(batch);
        }
    }
    Ok(found)
}

/// The batches that are held back.
#[derive(Debug, Default)]
pub struct HeldBack {
    batches: BTreeMap<Word, Held>,
    /// Since which ticket a package belongs to which batch.
    by_package: HashMap<Package, Vec<(Id, Word)>>,
}

/// One batch.
#[derive(Debug, Default)]
struct Held {
    members: Vec<Member>,
    /// Something in a list cannot be read: who knows what belongs to it?
    is_damaged: bool,
}

impl HeldBack {
    /// Reads the lists.
    ///
    /// # Errors
    /// One that cannot be read just now.
    pub fn read(spool: &Spool) -> Result<Self> {
        let mut all = Self::default();
        for batch in list::directories::<Word>(&spool.at("batch"))? {
            let held = read(spool, &batch)?;
            if held.members.is_empty() && !held.is_damaged {
                continue;
            }
            for member in &held.members {
                all.by_package.entry(member.package()).or_default().push((member.id, batch.clone()));
            }
            all.batches.insert(batch, held);
        }
        Ok(all)
    }

    /// Returns the batch that a ticket belongs to: one that is held back, else the one it was asked for with.
    pub fn batch_of(&self, name: &TicketName, ticket: Option<&Word>) -> Option<Word> {
        self.holds(name).or(ticket).cloned()
    }

    /// Returns the batch with which a ticket is held back; none if it is not.
    pub fn holds(&self, name: &TicketName) -> Option<&Word> {
        if self.by_package.is_empty() {
            return None;
        }
        let since = self.by_package.get(&name.package())?;
        since.iter().find(|(id, _)| *id <= name.id).map(|(_, batch)| batch)
    }

    /// Says what keeps `batch` back; none when all of it is built. What was never asked for, for its maker was killed, and
    /// what somebody has removed, keeps nothing back.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn why(&self, spool: &Spool, batch: &Word) -> Result<Option<String>> {
        let Some(held) = self.batches.get(batch) else { return Ok(None) };
        if held.is_damaged {
            return Ok(Some(format!(
                "batch {batch} is held back, and a list of it is damaged: syncpkg-check"
            )));
        }
        let (mut look, mut open, mut built) = (Look::new(spool), Vec::new(), 0);
        let mut seen = BTreeSet::new();
        for member in &held.members {
            if !seen.insert(member.package()) {
                continue;
            }
            match state(spool, &mut look, member)? {
                Some(State::Built) => built += 1,
                Some(state) => open.push(format!("{} {}", member.item.name, verb(state))),
                None => {}
            }
        }
        Ok((!open.is_empty()).then(|| said(batch, built, &open)))
    }

    /// Returns the batches that are held back.
    pub fn batches(&self) -> impl Iterator<Item = &Word> {
        self.batches.keys()
    }
}

/// What is said of what is built and held back: the admin has nothing to do about that.
pub const BACK: &str = "is held back until all of it is built";

/// How many packages are named that keep a batch back.
const NAMED: usize = 3;

fn said(batch: &Word, built: usize, open: &[String]) -> String {
    let named: Vec<&str> = open.iter().take(NAMED).map(String::as_str).collect();
    let more = match open.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let all = built + open.len();
    format!("batch {batch} {BACK}, {built} of {all} are: {}{more}", named.join(", "))
}

fn verb(state: State) -> &'static str {
    match state {
        State::Waiting => "waits",
        State::Building => "is building",
        State::Built => "is built",
        State::Failed => "failed",
        State::Trouble => "ended in trouble",
        State::Aborted => "was aborted",
        State::Superseded => "was superseded",
    }
}

/// Returns what a member, or what took its place, has come to.
fn state(spool: &Spool, look: &mut Look, member: &Member) -> Result<Option<State>> {
    let package = member.package();
    // What is unfinished first: a ticket moves on from there.
    let unfinished = look.unfinished(&package)?;
    let ours = unfinished.iter().filter(|entry| entry.name.id >= member.id);
    let open = |state: &State| matches!(state, State::Waiting | State::Building);
    if let Some(state) = ours.map(super::Entry::state).find(open) {
        return Ok(Some(state));
    }
    let history = History::of(spool, &package.tree, &package.name)?.of_arch(&package.arch);
    let superseded = Stand::Done(Outcome::Superseded);
    let last = history.entries().rev().find(|entry| entry.name.stand != superseded);
    Ok(last.filter(|entry| entry.name.id >= member.id).map(|entry| entry.state()))
}

/// Lets a batch go: from now on what is built of it is published like everything else.
///
/// # Errors
/// A failing system call: it may still be held back.
pub fn release(spool: &Spool, batch: &Word) -> Result<()> {
    lists(spool, batch)?.iter().try_for_each(|path| durable::remove(path))?;
    durable::prune(&directory(spool, batch));
    Ok(())
}

/// Returns the paths of the lists of a batch.
fn lists(spool: &Spool, batch: &Word) -> Result<Vec<PathBuf>> {
    let names = list::names(&directory(spool, batch))?.into_iter();
    Ok(names
        .filter(|name| name.parse::<Id>().is_ok())
        .map(|name| directory(spool, batch).join(name))
        .collect())
}

fn read(spool: &Spool, batch: &Word) -> Result<Held> {
    let mut held = Held::default();
    for path in lists(spool, batch)? {
        // Let go of since it was listed.
        let Some(bytes) = readable(durable::read(&path, LARGEST))? else {
            held.is_damaged |= durable::present(&path)?;
            continue;
        };
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match std::str::from_utf8(line).ok().and_then(Member::read) {
                Some(member) => held.members.push(member),
                None => held.is_damaged = true,
            }
        }
    }
    Ok(held)
}

/// Returns what lies in `batch/` and is no list, no note, or cannot be read: where, and what is wrong with it.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn strange(spool: &Spool) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut found = Vec::new();
    for batch in list::directories::<Word>(&spool.at("batch"))? {
        for name in list::names(&directory(spool, &batch))? {
            if name.strip_suffix(".staged").unwrap_or(&name).parse::<Id>().is_err() {
                found.push((
                    directory(spool, &batch).join(name),
                    "is neither a list of a batch nor a note of it",
                ));
            }
        }
        if read(spool, &batch)?.is_damaged {
            found.push((directory(spool, &batch), "a list of what belongs to this batch is damaged"));
        }
    }
    Ok(found)
}

/// Returns the batch that a ticket belongs to, as [`HeldBack::batch_of`].
///
/// # Errors
/// A list that cannot be read just now.
pub fn of(spool: &Spool, name: &TicketName, ticket: &Ticket) -> Result<Option<Word>> {
    Ok(HeldBack::read(spool)?.batch_of(name, ticket.batch.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_list_is_read_as_it_was_written_and_no_other() {
        let line = "20261122-120000-000-aaaaaa current gcc-1-1-x86_64";
        let Member { id, tree, item } = Member::read(line).unwrap();
        assert_eq!(format!("{id} {tree} {item}"), line);
        for bad in ["", "x", &format!("{line} more"), &line.replace("gcc", "../gcc")] {
            assert_eq!(Member::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_keeps_a_batch_back_is_said_in_one_line_however_much_it_is() {
        let batch = "b".parse().unwrap();
        let open: Vec<String> = (0..5).map(|n| format!("p{n} waits")).collect();
        let wanted = "batch b is held back until all of it is built, 2 of 7 are: p0 waits, p1 waits, p2 waits, and 2 more";
        assert_eq!(said(&batch, 2, &open), wanted);
    }

    #[test]
    fn a_package_belongs_to_a_batch_from_the_ticket_that_was_asked_for_with_it_on() {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::create(&place.path().join("spool")).unwrap();
        let line = "20261122-120000-000-bbbbbb current gcc-1-1-x86_64";
        hold(&spool, &"b".parse().unwrap(), Member::read(line).into_iter(), &Clock::system()).unwrap();
        let held = HeldBack::read(&spool).unwrap();
        let name = |id: &str, item: &str| format!("5,{id},current,{item},e0").parse::<TicketName>().unwrap();
        let holds = |id: &str, item: &str| held.holds(&name(id, item)).is_some();
        assert!(holds("20261122-120000-000-bbbbbb", "gcc-1-1-x86_64"));
        assert!(holds("20261123-120000-000-aaaaaa", "gcc-2-1-x86_64"), "whatever takes its place");
        assert!(!holds("20261122-120000-000-aaaaaa", "gcc-1-1-x86_64"), "asked for before");
        assert!(!holds("20261122-120000-000-bbbbbb", "gcc-1-1-i686"));
        assert!(!holds("20261122-120000-000-bbbbbb", "make-1-1-x86_64"));
    }
}
