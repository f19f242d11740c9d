//! Where waiting tickets lie: loose in `new/ARCH` while they are few, else in chunks, directories named like the
//! first ticket they took (`PRIORITY,ID`). So nothing that a claim or an enqueue lists grows with the queue.
//!
//! A chunk's tickets sort after its name, so whoever takes the least name, ticket or chunk, and unpacks chunks as they
//! come, meets all tickets in claim order without listing more than the chunks before them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Entry, Spool, Stand, TicketName, list};
use crate::base::{Result, durable};
use crate::names::{Arch, Id, Priority};

/// How many tickets lie loose before chunks are begun.
const LOOSE: usize = 128;

/// A directory that takes no more is not listed before it gets one ticket, bytes: two hundred of them on ext4.
const SMALL: u64 = 16 << 10;

/// A chunk whose directory takes so much is full, bytes: eight blocks of ext4.
const FULL: u64 = 32 << 10;

/// What one ticket takes in a directory, bytes, rounded up.
const TICKET: u64 = 128;

/// The shelves of all architectures, each read when it is first needed.
#[derive(Debug)]
pub(super) struct Shelves<'a> {
    spool: &'a Spool,
    shelves: HashMap<Arch, Shelf>,
}

/// `new/ARCH` as it was when it was read, and what was placed there since.
#[derive(Debug)]
struct Shelf {
    directory: PathBuf,
    loose: usize,
    /// How many tickets still fit, where that was looked up.
    chunks: BTreeMap<String, Option<u64>>,
}

impl<'a> Shelves<'a> {
    pub fn new(spool: &'a Spool) -> Self {
        Self { spool, shelves: HashMap::new() }
    }

    /// Returns the path that a waiting ticket gets. The queue's lock is held.
    pub fn place(&mut self, name: &TicketName) -> Result<PathBuf> {
        let text = name.to_string();
        let shelf = self.of(&name.item.arch)?;
        let directory = shelf.room(&key(name.priority, &name.id));
        Ok(directory.join(text))
    }

    /// Returns the path that a waiting ticket gets which comes alone: a small directory takes it without being listed.
    pub fn place_one(&mut self, name: &TicketName) -> Result<PathBuf> {
        let directory = self.spool.new_dir(&name.item.arch);
        if fs::metadata(&directory).is_ok_and(|meta| meta.len() <= SMALL) {
            return Ok(directory.join(name.to_string()));
        }
        self.place(name)
    }

    /// Returns the directories that a ticket most likely lies in.
    pub fn likely(&mut self, arch: &Arch, priority: Priority, id: &Id) -> Result<Vec<PathBuf>> {
        let shelf = self.of(arch)?;
        let mut directories = vec![shelf.directory.clone()];
        directories.extend(shelf.before(&key(priority, id)).map(|chunk| shelf.directory.join(chunk)));
        Ok(directories)
    }

    fn of(&mut self, arch: &Arch) -> Result<&mut Shelf> {
        if !self.shelves.contains_key(arch) {
            self.shelves.insert(arch.clone(), Shelf::read(self.spool.new_dir(arch))?);
        }
        // Just put there.
        Ok(self.shelves.entry(arch.clone()).or_insert_with(|| Shelf::empty(self.spool.new_dir(arch))))
    }
}

impl Shelf {
    fn empty(directory: PathBuf) -> Self {
        Self { directory, loose: 0, chunks: BTreeMap::new() }
    }

    fn read(directory: PathBuf) -> Result<Self> {
        let (mut loose, mut chunks) = (0, BTreeMap::new());
        list::each_name(&directory, |name| {
            if is_chunk(name) {
                chunks.insert(name.to_owned(), None);
            } else {
                loose += 1;
            }
        })?;
        Ok(Self { directory, loose, chunks })
    }

    /// The last chunk of this priority whose name is not after `key`.
    fn before(&self, key: &str) -> Option<&String> {
        let (chunk, _) = self.chunks.range(..=key.to_owned()).next_back()?;
        (chunk.get(..2) == key.get(..2)).then_some(chunk)
    }

    /// The directory for a ticket of this key, with room for it.
    fn room(&mut self, key: &str) -> PathBuf {
        let before = self.before(key).cloned();
        if before.is_none() && self.loose < LOOSE {
            self.loose += 1;
            return self.directory.clone();
        }
        let chunk = before.filter(|chunk| self.left(chunk) > 0).unwrap_or_else(|| key.to_owned());
        let path = self.directory.join(&chunk);
        let left = self.chunks.entry(chunk).or_insert(None);
        *left = Some(left.unwrap_or(FULL / TICKET).saturating_sub(1));
        path
    }

    fn left(&mut self, chunk: &str) -> u64 {
        let path = self.directory.join(chunk);
        let look = || {
            // An empty one may have been left by somebody who died before it was durable: it is made anew.
            durable::prune(&path);
            let size = fs::metadata(&path).map(|meta| meta.len()).unwrap_or(0);
            FULL.saturating_sub(size) / TICKET
        };
        let left = self.chunks.entry(chunk.to_owned()).or_insert(None);
        *left.get_or_insert_with(look)
    }
}

fn key(priority: Priority, id: &Id) -> String {
    format!("{},{id}", priority.digit())
}

/// Tells whether an entry of `new/ARCH` is a chunk, by its shape.
pub(super) fn is_chunk(name: &str) -> bool {
    name.len() == "5,20261122-144743-123-k3f9x2".len()
        && name.bytes().filter(|byte| *byte == b',').count() == 1
}

/// Wakes who waits for tickets of this architecture, by touching the directory that they watch.
pub(super) fn ring(spool: &Spool, arch: &Arch) -> Result<()> {
    durable::ring(&spool.new_dir(arch))
}

/// Waiting tickets in claim order; of an unpacked chunk and of what is parked only the names are held.
#[derive(Debug, Default)]
pub struct InOrder {
    pending: BinaryHeap<Reverse<(String, Arc<Path>)>>,
    prune: bool,
}

impl InOrder {
    /// Returns what may be claimed for `archs`; chunks that turn out to be empty are removed.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn to_claim<'a>(spool: &Spool, archs: impl IntoIterator<Item = &'a Arch>) -> Result<Self> {
        let mut order = Self { prune: true, ..Self::default() };
        archs.into_iter().try_for_each(|arch| order.add(&spool.new_dir(arch)).map(drop))?;
        Ok(order)
    }

    /// Returns what may be claimed for `archs`, changing nothing.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn to_look<'a>(spool: &Spool, archs: impl IntoIterator<Item = &'a Arch>) -> Result<Self> {
        Ok(Self { prune: false, ..Self::to_claim(spool, archs)? })
    }

    /// Returns all that waits, parked or not.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn all(spool: &Spool) -> Result<Self> {
        let mut order = Self::default();
        for arch in list::directories::<Arch>(&spool.at("new"))? {
            order.add(&spool.new_dir(&arch))?;
        }
        for (_, _, directory) in list::parking(spool)? {
            order.add(&directory)?;
        }
        Ok(order)
    }

    /// Adds a directory's names; tells whether there were any.
    fn add(&mut self, directory: &Path) -> Result<bool> {
        let (before, shared) = (self.pending.len(), Arc::from(directory));
        let mut names = std::mem::take(&mut self.pending).into_vec();
        list::each_name(directory, |name| names.push(Reverse((name.to_owned(), Arc::clone(&shared)))))?;
        self.pending = names.into();
        Ok(self.pending.len() > before)
    }

    fn unpack(&mut self, chunk: &Path) -> Result<()> {
        if !self.add(chunk)? && self.prune {
            durable::prune(chunk);
        }
        Ok(())
    }

    /// Returns the next name and its directory.
    fn pop(&mut self) -> Result<Option<(String, Arc<Path>)>> {
        while let Some(Reverse((name, directory))) = self.pending.pop() {
            if !is_chunk(&name) {
                return Ok(Some((name, directory)));
            }
            self.unpack(&directory.join(&name))?;
        }
        Ok(None)
    }

    /// Returns how many come before the ticket `id`, `most` at the most; their names are not taken apart.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn before(mut self, id: &Id, most: usize) -> Result<usize> {
        let mut count = 0;
        while count < most && self.pop()?.is_some_and(|(name, _)| name.split(',').nth(1) != Some(id.as_str()))
        {
            count += 1;
        }
        Ok(count)
    }
}

impl Iterator for InOrder {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, directory) = match self.pop().transpose()? {
                Ok(next) => next,
                Err(error) => return Some(Err(error)),
            };
            if let Ok(parsed) = name.parse::<TicketName>()
                && matches!(parsed.stand, Stand::Waiting(_))
            {
                return Some(Ok(Entry { name: parsed, builder: None, path: directory.join(name) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::claim::{self, Request};
    use super::super::queue::{self, Ask};
    use super::*;
    use crate::base::Clock;
    use crate::names::Instance;

    fn ask(name: &str, priority: Priority) -> Ask {
        let item = format!("{name}-1-1-x86_64").parse().unwrap();
        Ask { item, priority, ..super::super::decide::tests::ask() }
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::create(&place.path().join("spool")).unwrap();
        (place, spool)
    }

    fn enqueue(spool: &Spool, names: std::ops::Range<usize>, priority: Priority) {
        let asks: Vec<Ask> = names.map(|n| ask(&format!("p{n}"), priority)).collect();
        queue::enqueue(spool, &asks, &Clock::system(), Duration::ZERO).unwrap();
    }

    fn take(spool: &Spool) -> Option<String> {
        let request = Request {
            builder: "b1".parse().unwrap(),
            instance: Instance::random().unwrap(),
            archs: vec!["x86_64".parse().unwrap()],
            count: 1,
            choice: Default::default(),
        };
        let claimed = claim::take(spool, &request, &Clock::system()).ok()?.remove(0);
        Some(claimed.ticket.name.to_string())
    }

    #[test]
    fn however_many_wait_they_are_met_in_claim_order_and_no_directory_is_large() {
        let (_place, spool) = spool();
        enqueue(&spool, 0..500, Priority::Push);
        (500..520).for_each(|n| enqueue(&spool, n..n + 1, Priority::Push));
        enqueue(&spool, 520..900, Priority::Background);
        enqueue(&spool, 900..901, Priority::Urgent);
        let waiting = list::waiting(&spool).unwrap();
        let names: Vec<String> = waiting.iter().map(|entry| entry.name.to_string()).collect();
        assert!(names.is_sorted() && names.len() == 901);
        let shelf = spool.new_dir(&"x86_64".parse().unwrap());
        for chunk in list::names(&shelf).unwrap().iter().filter(|name| is_chunk(name)) {
            assert!(list::names(&shelf.join(chunk)).unwrap().len() <= 300);
        }
        assert!(list::names(&shelf).unwrap().len() < LOOSE + 30);
        let taken: Vec<String> = std::iter::from_fn(|| take(&spool)).collect();
        let expected: Vec<String> = waiting.iter().map(|entry| entry.name.item.name.to_string()).collect();
        assert_eq!(taken, expected);
        assert_eq!(list::names(&shelf).unwrap(), Vec::<String>::new(), "empty chunks are gone");
    }

    #[test]
    fn a_ticket_that_comes_back_has_its_old_place_in_the_order() {
        let (_place, spool) = spool();
        enqueue(&spool, 0..400, Priority::Push);
        let order = list::waiting(&spool).unwrap();
        let taken: Vec<String> = (0..300).map(|_| take(&spool).unwrap()).collect();
        super::super::builder::release(&spool, &"b1".parse().unwrap(), &Clock::system()).unwrap();
        let again: Vec<String> = (0..300).map(|_| take(&spool).unwrap()).collect();
        assert_eq!(taken, again);
        assert_eq!(order.len(), 400);
        assert_eq!(super::super::check::check(&spool, false, &Clock::system()).unwrap(), []);
    }

    #[test]
    fn a_waiting_ticket_is_found_by_its_package_wherever_it_was_put() {
        let (_place, spool) = spool();
        enqueue(&spool, 0..400, Priority::Push);
        let cache = spool.at("cache");
        let by_name = |name: &str| {
            let package =
                list::of_package(&spool, None, &name.parse().unwrap(), |history| history.all()).unwrap();
            package.into_iter().map(|entry| entry.path).collect::<Vec<_>>()
        };
        let path = by_name("p399").remove(0);
        // By hand: elsewhere and more urgent; without the index; with one that was made before.
        let moved = spool
            .new_dir(&"x86_64".parse().unwrap())
            .join("2".to_owned() + &path.file_name().unwrap().to_str().unwrap()[1..]);
        fs::rename(&path, &moved).unwrap();
        assert_eq!(by_name("p399"), std::slice::from_ref(&moved));
        fs::remove_dir_all(&cache).unwrap();
        assert_eq!(by_name("p399"), std::slice::from_ref(&moved));
        let answers =
            queue::enqueue(&spool, &[ask("p399", Priority::Push)], &Clock::system(), Duration::ZERO).unwrap();
        assert!(matches!(answers.as_slice(), [queue::Answer::There(_)]), "{answers:?}");
        assert_eq!(list::names(&cache).unwrap().len(), 1, "the index was made again");
        assert_eq!(super::super::check::check(&spool, false, &Clock::system()).unwrap(), []);
    }
}
