//! Batches that are held back: what is built of one is published only once all of it is built.
//!
//! Owns `batch/B/`: lists of what belongs to the batch B (files named by an ID), and notes of what was built and can be had
//! by others of the batch already, `ID.staged`. What belongs to it is a package, from the ticket that was asked for with the
//! batch on: whatever takes that ticket's place does too. Invariant: a list is on the disk before the tickets that it
//! names have their names, so nothing of a batch is published before it is known to be held back. Refuses: publishing.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::PathBuf;

use super::{History, Look, Spool, Stand, Ticket, TicketName, list};
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, durable, sorted};
use crate::names::{Id, Item, Outcome, Package, State, Tree, Word};

/// A list up to this length, bytes, is read whole.
const SHORT: u64 = 64 << 10;

/// More than a line of a list usually takes, bytes.
const LINE: usize = 96;

/// What belongs to a batch: a package, from a ticket on; a line of its list, `TREE NAME ARCH ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The package.
    pub package: Package,
    /// The ticket that was asked for with the batch.
    pub id: Id,
}

impl Member {
    fn read(line: &[u8]) -> Option<Self> {
        let words: Vec<&str> = std::str::from_utf8(line).ok()?.split(' ').collect();
        let [tree, name, arch, id] = words[..] else { return None };
        let package =
            Package { tree: tree.parse().ok()?, name: name.parse().ok()?, arch: arch.parse().ok()? };
        Some(Self { package, id: id.parse().ok()? })
    }
}

/// Holds back `batch`, to which `tickets` of these trees belong, if there are any, and those of the lists that are there.
///
/// # Errors
/// A failing system call.
pub fn hold(
    spool: &Spool,
    batch: &Word,
    mut tickets: Vec<(&Tree, &(Id, Item))>,
    clock: &Clock,
) -> Result<()> {
    if tickets.is_empty() {
        return Ok(());
    }
    // As their lines are in order: a space comes before all that a name may have.
    tickets.sort_unstable_by_key(|&(tree, (id, item))| (tree, &item.name, &item.arch, id));
    let line =
        |(tree, (id, Item { name, arch, .. })): &(&Tree, &(Id, Item))| format!("{tree} {name} {arch} {id}\n");
    // What is not filled takes no memory; growing would.
    let mut lines = String::with_capacity(tickets.len() * LINE);
    lines.extend(tickets.iter().map(line));
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
    for batch in batches(spool)? {
        if is_staged(spool, &batch, id)? {
            found.push(batch);
        }
    }
    Ok(found)
}

/// The batches that are held back, to look up single tickets in: the cost does not grow with the lists.
#[derive(Debug)]
pub struct HeldBack(Vec<List>);

/// A list of a batch, opened.
#[derive(Debug)]
struct List {
    batch: Word,
    path: PathBuf,
    /// Bytes.
    length: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Read(Vec<u8>),
    /// Too long to be read for one line of it.
    Open(File),
}

impl HeldBack {
    /// Opens the lists.
    ///
    /// # Errors
    /// One that cannot be read just now.
    pub fn open(spool: &Spool) -> Result<Self> {
        let mut all = Vec::new();
        for batch in batches(spool)? {
            for path in lists(spool, &batch)? {
                // One that is gone was let go; one that is damaged keeps back what is built, and nobody waits for it.
                all.extend(readable(List::open(&batch, path))?);
            }
        }
        Ok(Self(all))
    }

    /// Returns the batch that a ticket belongs to: one that is held back, else the one it was asked for with.
    ///
    /// # Errors
    /// A list that cannot be read just now.
    pub fn batch_of(&self, name: &TicketName, ticket: Option<&Word>) -> Result<Option<Word>> {
        for list in &self.0 {
            if list.has(&name.package(), &name.id)? {
                return Ok(Some(list.batch.clone()));
            }
        }
        Ok(ticket.cloned())
    }
}

impl List {
    fn open(batch: &Word, path: PathBuf) -> Result<Self> {
        let file = durable::open_regular(&path)?;
        let length = file.metadata().map_err(|source| Error::io("read", &path, source))?.len();
        let content = match length {
            0..=SHORT => Content::Read(durable::read_open(file, &path, SHORT)?),
            _ => Content::Open(file),
        };
        Ok(Self { batch: batch.clone(), path, length, content })
    }

    /// Tells whether a ticket of `package` belongs to the batch: it began with it, or comes after one that did.
    fn has(&self, package: &Package, ticket: &Id) -> Result<bool> {
        let Package { tree, name, arch } = package;
        let key = format!("{tree} {name} {arch} ");
        let lines = match &self.content {
            Content::Read(bytes) => sorted::lines(&mut Cursor::new(bytes), self.length, key.as_bytes()),
            Content::Open(file) => sorted::lines(&mut &*file, self.length, key.as_bytes()),
        };
        let lines = lines.map_err(|source| Error::io("read", &self.path, source))?;
        Ok(lines.iter().filter_map(|line| Member::read(line)).any(|member| member.id <= *ticket))
    }
}

/// Returns the batches of which there is something.
///
/// # Errors
/// A directory that cannot be read.
pub fn batches(spool: &Spool) -> Result<Vec<Word>> {
    list::directories(&spool.at("batch"))
}

/// Calls `each` with what belongs to `batch`. Returns whether that is all: of a list that is damaged or not in order,
/// something may be missed by whoever looks into it.
///
/// # Errors
/// A list that cannot be read just now; what `each` returns.
pub fn members(spool: &Spool, batch: &Word, mut each: impl FnMut(Member) -> Result<()>) -> Result<bool> {
    let mut is_all = true;
    for path in lists(spool, batch)? {
        // Let go of since it was listed.
        let Some(file) = readable(durable::open_regular(&path))? else {
            is_all &= !durable::present(&path)?;
            continue;
        };
        let mut last = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|source| Error::io("read", &path, source))?;
            is_all &= line >= last;
            match Member::read(&line) {
                Some(member) => each(member)?,
                None => is_all = false,
            }
            last = line;
        }
    }
    Ok(is_all)
}

/// Says what keeps `batch` back; none when all of it is built. What was never asked for, for its maker was killed, and
/// what somebody has removed, keeps nothing back.
///
/// # Errors
/// A directory or a list that cannot be read.
pub fn why(spool: &Spool, batch: &Word) -> Result<Option<String>> {
    let (mut look, mut seen, mut built) = (Look::new(spool), HashSet::new(), 0);
    let (mut ended, mut open) = (Vec::new(), Vec::new());
    let is_all = members(spool, batch, |member| {
        if seen.contains(&member.package) {
            return Ok(());
        }
        let said = |state| format!("{} {}", member.package.name, verb(state));
        match state(spool, &mut look, &member)? {
            Some(State::Built) => built += 1,
            Some(state @ (State::Waiting | State::Building)) => open.push(said(state)),
            Some(state) => ended.push(said(state)),
            None => {}
        }
        seen.insert(member.package);
        Ok(())
    })?;
    if !is_all {
        return Ok(Some(format!("batch {batch} is held back, and a list of it is damaged: syncpkg-check")));
    }
    // What goes on only when somebody acts comes first.
    ended.append(&mut open);
    Ok((!ended.is_empty()).then(|| said(batch, built, &ended)))
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
    let Package { tree, name, arch } = &member.package;
    // What is unfinished first: a ticket moves on from there.
    let unfinished = look.unfinished(&member.package)?;
    let ours = unfinished.iter().filter(|entry| entry.name.id >= member.id);
    let open = |state: &State| matches!(state, State::Waiting | State::Building);
    if let Some(state) = ours.map(super::Entry::state).find(open) {
        return Ok(Some(state));
    }
    let history = History::of(spool, tree, name)?.of_arch(arch);
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

/// Returns what lies in `batch/` and is no list, no note, or cannot be read: where, and what is wrong with it.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn strange(spool: &Spool) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut found = Vec::new();
    for batch in batches(spool)? {
        for name in list::names(&directory(spool, &batch))? {
            if name.strip_suffix(".staged").unwrap_or(&name).parse::<Id>().is_err() {
                found.push((
                    directory(spool, &batch).join(name),
                    "is neither a list of a batch nor a note of it",
                ));
            }
        }
        if !members(spool, &batch, |_| Ok(()))? {
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
    HeldBack::open(spool)?.batch_of(name, ticket.batch.as_ref())
}

#[cfg(test)]
mod tests;
