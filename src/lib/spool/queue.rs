//! Asking for builds: what becomes of a request, given what is in the spool already.

mod made;
mod succession;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

pub use super::decide::{Answer, Ask};
use super::decide::{Decision, Known, decide, is_same};
use super::index::Index;
use super::waiting::{Needy, Queue};
use super::{Entry, History, Spool, Stand, Ticket, TicketName, list, shelf, waiting};
use crate::base::durable::{self, Shift};
use crate::base::error::Kind;
use crate::base::lock::Lock;
use crate::base::{Clock, Error, Result};
use crate::names::{Arch, Id, Name, Outcome, Package, Priority, State};

use made::{Made, What};
pub(super) use succession::{come_back, supersede};

/// Asks for builds, durably and as one batch: when it returns, every ticket of the answers is on the disk.
///
/// # Errors
/// A name too long for a file system; the queue's lock not to be had within `patience`; a failing system call.
pub fn enqueue(spool: &Spool, asks: &[Ask], clock: &Clock, patience: Duration) -> Result<Vec<Answer>> {
    let mut batch = Batch::begin(spool, asks.len(), clock, patience)?;
    let answers = asks.iter().map(|ask| batch.ask(ask)).collect::<Result<_>>()?;
    batch.finish().map(|()| answers)
}

/// Requests that become durable together: drafts are written as they come, named at the end. Nobody is answered before
/// [`Batch::finish`] has returned; a batch that is dropped before asked for nothing.
pub struct Batch<'a> {
    spool: &'a Spool,
    clock: &'a Clock,
    queue: Queue<'a>,
    ids: std::vec::IntoIter<Id>,
    drafts: PathBuf,
    made: Vec<Made>,
    /// No more than one request comes.
    is_one: bool,
    /// The text of its ticket.
    one: String,
    by_package: HashMap<Package, usize>,
    supersede: Vec<(Entry, Id)>,
    _lock: Lock,
}

impl<'a> Batch<'a> {
    /// Takes the queue's lock for a batch of at most `count` requests.
    ///
    /// # Errors
    /// The lock not to be had within `patience`; a failing system call.
    pub fn begin(spool: &'a Spool, count: usize, clock: &'a Clock, patience: Duration) -> Result<Self> {
        let lock = spool.lock_queue(patience)?;
        Ok(Self {
            spool,
            clock,
            queue: Queue::locked(spool)?,
            ids: Id::batch(clock.now(), count).into_iter(),
            drafts: drafts(spool, count),
            made: Vec::with_capacity(count),
            is_one: count == 1,
            one: String::new(),
            by_package: HashMap::with_capacity(count),
            supersede: Vec::new(),
            _lock: lock,
        })
    }

    /// Decides what becomes of one request.
    ///
    /// # Errors
    /// A failing system call; more requests than were announced.
    pub fn ask(&mut self, ask: &Ask) -> Result<Answer> {
        let id =
            self.ids.next().ok_or_else(|| Error::wrong("a batch got more requests than were announced"))?;
        let package = ask.package();
        let before = self.asked_before(&package).next();
        if let Some(made) = before
            && made.is_same(ask)
        {
            return Ok(Answer::There(made.name()));
        }
        // What this batch asked for makes way as what waited did: its successor is newer, and no less urgent.
        let before = before.map(|made| (made.id, made.priority));
        let mut known = self.known(ask, &package)?;
        known.extend(self.made_way(ask, &package));
        // Newer means asked for later, also when the clock was set back or has not ticked.
        let ids = known.iter().map(|known| &known.entry.name.id).chain(before.as_ref().map(|(id, _)| id));
        let id = id.after(ids.max());
        match decide(&known, ask) {
            Decision::Refuse(why) => Ok(Answer::Refused(why)),
            Decision::Keep(id, priority) => self.keep(&known, &id, priority),
            Decision::Make(priority) => {
                let priority = before.map_or(priority, |(_, before)| before.min(priority));
                self.make(&known, ask, package, id, priority)
            }
        }
    }

    /// Looked for in `new`, `run` and `done`, in that order: a ticket moves only forward while the lock is held.
    fn known(&mut self, ask: &Ask, package: &Package) -> Result<Vec<Known>> {
        let mut entries = self.queue.look().unfinished(package)?;
        entries.retain(|entry| entry.state() == State::Waiting || entry.state() == State::Building);
        let history = History::of(self.spool, &ask.tree, &ask.item.name)?.of_arch(&ask.item.arch);
        // No other version decides; but the ID will come after all of them.
        let newest = history.entries().next_back();
        let mut done = history.of_item(&ask.item).all();
        done.extend(newest.filter(|newest| done.last() != Some(newest)));
        // What waits has made way already if this batch has asked for the package before.
        if self.by_package.contains_key(package) {
            let waits = |entry: &mut Entry| entry.state() == State::Waiting;
            let superseded = Stand::Done(Outcome::Superseded);
            let ends = |entry: Entry| Entry { name: entry.name.standing(superseded.clone()), ..entry };
            done.extend(entries.extract_if(.., waits).map(ends));
            done.sort_unstable_by_key(|entry| entry.name.id);
        }
        let read = |entry| with_revision(self.spool, entry, ask);
        let mut known = entries.into_iter().map(read).collect::<Result<Vec<Known>>>()?;
        // Only the last that is the same decides; how long the history before it is costs nothing.
        let (mut decided, mut ended) = (ask.force || ask.published, Vec::new());
        for entry in done.into_iter().rev() {
            let one = if decided { Known { entry, revision: None } } else { read(entry)? };
            decided |= is_same(&one, ask);
            ended.push(one);
        }
        known.extend(ended.into_iter().rev());
        Ok(known)
    }

    fn keep(&mut self, known: &[Known], id: &Id, priority: Option<Priority>) -> Result<Answer> {
        let Some(found) = known.iter().find(|known| known.entry.name.id == *id) else {
            return Ok(Answer::Refused("the ticket has vanished".to_owned()));
        };
        let entry = &found.entry;
        self.finish_superseding(entry)?;
        if let Some(priority) = priority {
            let better = TicketName { priority, ..entry.name.clone() };
            let path = match waiting::parked_for(self.spool, entry) {
                Some(needed) => self.spool.parking(&better.tree, &needed).join(better.to_string()),
                None => self.queue.look().shelves().place_one(&better)?,
            };
            // If somebody claimed it just now, it needs no better place.
            if durable::shift(&entry.path, &path)? == Shift::Moved {
                shelf::ring(self.spool, &better.item.arch)?;
                return Ok(Answer::There(better));
            }
        } else {
            confirm(entry)?;
        }
        Ok(Answer::There(entry.name.clone()))
    }

    fn make(
        &mut self,
        known: &[Known],
        ask: &Ask,
        package: Package,
        id: Id,
        priority: Priority,
    ) -> Result<Answer> {
        let waits = |known: &&Known| known.entry.state() == State::Waiting;
        let replaced: Vec<Entry> = known.iter().filter(waits).map(|known| known.entry.clone()).collect();
        let replaces = replaced.iter().map(|entry| entry.name.id).collect();
        let ticket = Ticket { replaces, ..ticket(ask, id, self.clock) };
        let stand = Stand::Waiting(None);
        let (tree, item) = (ask.tree.clone(), ask.item.clone());
        let name = TicketName { priority, id, tree, item, epoch: 0, stand };
        if let Err(error) = name.check_length() {
            return Ok(Answer::Refused(error.to_string()));
        }
        let text = ticket.text()?;
        if self.is_one {
            self.one = text;
        } else {
            durable::draft(&self.drafts.join(name.to_string()), text.as_bytes())?;
        }
        self.supersede.extend(replaced.into_iter().map(|entry| (entry, id)));
        let before = self.by_package.insert(package, self.made.len());
        if let Some(before) = before.and_then(|at| self.made.get_mut(at)) {
            before.superseded = Some(id);
        }
        let what = What::of(ask);
        let shared = self.made.last().map(|made| &made.what).filter(|last| ***last == what).map(Rc::clone);
        let what = shared.unwrap_or_else(|| Rc::new(what));
        let arch = ask.item.arch.clone();
        self.made.push(Made { priority, id, arch, what, blocker: None, before, superseded: None });
        Ok(Answer::Made(name))
    }

    fn index(&mut self) -> Result<&Index> {
        self.queue.look().index().ok_or_else(|| Error::wrong("the queue has no index"))
    }

    /// Makes the batch durable: what waits for something is parked, the index knows of everything before it has its
    /// name, and then older tickets make way (between the two both wait, which the check mends).
    ///
    /// # Errors
    /// A failing system call: nothing was acknowledged, some of it may be there.
    pub fn finish(mut self) -> Result<()> {
        self.park()?;
        let made = std::mem::take(&mut self.made);
        if !made.is_empty() {
            self.name(&made)?;
        }
        self.supersede.iter().try_for_each(|(entry, by)| supersede(self.spool, entry, by, self.clock))
    }

    fn name(&mut self, made: &[Made]) -> Result<()> {
        match made {
            [made] if self.is_one => {
                let (text, target) = (std::mem::take(&mut self.one), self.place(made)?);
                self.index()?.put(&made.name().package(), &target, text.as_bytes())?;
            }
            _ => self.name_all(made)?,
        }
        let archs: BTreeSet<&Arch> = made.iter().map(|made| &made.arch).collect();
        archs.into_iter().try_for_each(|arch| shelf::ring(self.spool, arch))
    }

    fn name_all(&mut self, made: &[Made]) -> Result<()> {
        let drafts = self.drafts.clone();
        let index = self.index()?;
        for name in made.iter().map(Made::name) {
            index.add(&drafts.join(name.to_string()), &name.package())?;
        }
        durable::name_all(&drafts, &mut made.iter().map(|made| self.place(made)))?;
        if drafts != self.spool.tmp() {
            durable::prune(&drafts);
        }
        Ok(())
    }

    /// What waits for something is parked; not what makes way at once, whose needs are not those of its successor.
    fn park(&mut self) -> Result<()> {
        let needed: HashSet<&Name> = self.made.iter().flat_map(|made| made.what.depends.iter()).collect();
        if needed.is_empty() {
            return Ok(());
        }
        let stays = |made: &Made| made.superseded.is_none();
        for made in self.made.iter().filter(|made| stays(made)) {
            // What others wait for already may close a circle with them, or open one, in place of what it supersedes.
            let What { tree, name, .. } = &*made.what;
            if needed.contains(name) || self.queue.is_awaited(tree, name)? {
                self.queue.plan(&made.name());
            }
        }
        for made in self.made.iter_mut().filter(|made| stays(made) && !made.what.depends.is_empty()) {
            let name = made.name();
            let What { depends, batch, .. } = &*made.what;
            let needy = Needy { name: &name, depends, batch: batch.as_ref() };
            let Some(blocker) = self.queue.blocks(needy)? else { continue };
            if let Some(oldest) = self.queue.plan_to_park(&name, blocker.name())? {
                self.queue.unpark(&oldest)?;
            }
            made.blocker = Some(blocker.name().clone());
        }
        Ok(())
    }

    fn place(&mut self, made: &Made) -> Result<PathBuf> {
        let name = made.name();
        // One that others wait for may have been freed since: a circle was closed.
        let path = match self.queue.planned(&name).unwrap_or(made.blocker.as_ref()) {
            Some(needed) => self.spool.parking(&name.tree, needed).join(name.to_string()),
            None if self.is_one => self.queue.look().shelves().place_one(&name)?,
            None => self.queue.look().shelves().place(&name)?,
        };
        if let Some(by) = made.superseded {
            self.supersede.push((Entry { name, builder: None, path: path.clone() }, by));
        }
        Ok(path)
    }
}

/// A few drafts are written where all are; a directory that has held many stays large.
fn drafts(spool: &Spool, count: usize) -> PathBuf {
    match count {
        0..=64 => spool.tmp(),
        _ => spool.tmp().join(format!(".batch-{}", crate::base::random::word(8))),
    }
}

/// How often a ticket that moves on is followed.
const LOOKS: usize = 8;

/// A ticket that moved on since it was listed is followed, lest it pass for one of another revision.
fn with_revision(spool: &Spool, mut entry: Entry, ask: &Ask) -> Result<Known> {
    if entry.name.item != ask.item || !ask.exact {
        return Ok(Known { entry, revision: None });
    }
    for _ in 0..LOOKS {
        match entry.ticket() {
            Err(_) if !durable::present(&entry.path)? => {}
            Err(error) if error.kind == Kind::Again => return Err(error),
            read => return Ok(Known { entry, revision: read.ok().map(|ticket| ticket.revision) }),
        }
        match list::find(spool, &entry.name.id)? {
            Some(moved) => entry = moved,
            None => break,
        }
    }
    Ok(Known { entry, revision: None })
}

fn ticket(ask: &Ask, id: Id, clock: &Clock) -> Ticket {
    Ticket {
        format: 1,
        id,
        tree: ask.tree.clone(),
        name: ask.item.name.clone(),
        version: ask.item.version.clone(),
        release: ask.item.release.clone(),
        arch: ask.item.arch.clone(),
        revision: ask.revision.clone(),
        path: ask.path.clone(),
        priority: ask.priority,
        asked: clock.now(),
        by: ask.by.clone(),
        reason: ask.reason.clone(),
        forced: ask.force,
        maintainer: ask.maintainer.clone(),
        batch: ask.batch.clone(),
        packages: ask.packages.clone(),
        depends: ask.depends.to_vec(),
        replaces: Vec::new(),
    }
}

/// The ticket may have been put by somebody who died before the fsync; one that has moved on is durable.
fn confirm(entry: &Entry) -> Result<()> {
    match durable::confirm(&entry.path) {
        Err(_) if !durable::present(&entry.path)? => Ok(()),
        other => other,
    }
}

/// Tells whether a ticket's name and content speak of the same thing.
pub(super) fn agrees(name: &TicketName, ticket: &Ticket) -> bool {
    name.id == ticket.id && name.tree == ticket.tree && name.item == ticket.item()
}

#[cfg(test)]
mod tests;
