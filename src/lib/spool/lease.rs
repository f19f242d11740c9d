//! Leases: a builder says that it lives; whoever is not heard of for a whole lease loses its claim.
//!
//! No two clocks are ever compared. The reaper remembers each claim's file time and, by the boot clock of its
//! own host, when it first saw that pair; a beat changes the pair.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::check::quarantine;
use super::report::{LEASE, blank, destination, file, why_refused, why_unknown};
use super::{Claim, Entry, Report, Spool, Stand, builder, list, queue, record, waiting};
use crate::base::durable::{self, Shift};
use crate::base::error::{Kind, readable};
use crate::base::watch::Watch;
use crate::base::{Clock, Error, Result, lock};
use crate::config::{LimitSection, TroubleSection};
use crate::names::Outcome;

/// The most a live log grows by in one beat, bytes.
pub const LOG_STEP: u64 = 4 << 20;

/// What a log has grown by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// Where in the log the bytes stand.
    pub at: u64,
    /// At most [`LOG_STEP`] of them.
    pub bytes: Vec<u8>,
}

impl Growth {
    /// Reads what `log` has behind its first `at` bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(log: &Path, at: u64) -> Result<Self> {
        let fail = |error| Error::io("read", log, error);
        let mut source = durable::open_regular(log)?;
        source.seek(SeekFrom::Start(at)).map_err(fail)?;
        let mut bytes = Vec::new();
        source.take(LOG_STEP).read_to_end(&mut bytes).map_err(fail)?;
        Ok(Self { at, bytes })
    }
}

/// The answer to a beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// The claim holds for another lease.
    GoOn,
    /// Stop building; why.
    Stop(String),
}

/// Extends the lease of `claim` and hands over what `log` has grown by since the last beat, up to the limit for
/// logs of that package.
///
/// # Errors
/// A failing system call.
pub fn beat(spool: &Spool, claim: &Claim, log: Option<&Path>, limit: &LimitSection) -> Result<Beat> {
    let growth = |have| log.map(|log| Growth::of(log, have)).transpose();
    beat_with(spool, claim, growth, limit)
}

/// Extends the lease of `claim` and keeps what a log of another host has grown by, as far as it follows what is here.
///
/// # Errors
/// A failing system call.
pub fn beat_from_afar(spool: &Spool, claim: &Claim, growth: Growth, limit: &LimitSection) -> Result<Beat> {
    beat_with(spool, claim, |have| Ok(Some(growth).filter(|growth| growth.at <= have)), limit)
}

/// Beats with what `growth` returns for a log of which so many bytes are here.
fn beat_with(
    spool: &Spool,
    claim: &Claim,
    growth: impl FnOnce(u64) -> Result<Option<Growth>>,
    limit: &LimitSection,
) -> Result<Beat> {
    spool.stays()?;
    let Some(entry) = hear(spool, claim)? else { return why_lost(spool, claim).map(Beat::Stop) };
    builder::touch(spool, &claim.builder)?;
    let live = spool.live(&claim.id, claim.epoch);
    if let Some(Growth { at, mut bytes }) = growth(known(spool, claim))? {
        let (_, _, limit) = limit.of(&entry.name.item.name);
        bytes.truncate(usize::try_from(limit.0.saturating_sub(at)).unwrap_or(usize::MAX));
        if !bytes.is_empty() {
            durable::write_at(&live, at, &bytes)?;
        }
    }
    Ok(Beat::GoOn)
}

fn why_lost(spool: &Spool, claim: &Claim) -> Result<String> {
    match list::find(spool, &claim.id)? {
        Some(entry) => why_refused(spool, claim, &entry),
        None => Ok(why_unknown(claim)),
    }
}

/// Waits, for at most `limit`, until the claim does not hold any more or `stop` says so. It extends nothing.
///
/// # Errors
/// A failing system call.
pub fn watch(spool: &Spool, claim: &Claim, limit: Duration, stop: &dyn Fn() -> bool) -> Result<Beat> {
    let (start, directory) = (Instant::now(), spool.run_dir(&claim.builder));
    durable::make_dir(&directory)?;
    let mut watch = Watch::empty().removals(&directory)?;
    while claim.entry(spool)?.is_some() {
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() || stop() {
            return Ok(Beat::GoOn);
        }
        // Nobody wakes it when it is to stop; and events may be lost.
        let again = Instant::now() + left.min(LOOK_AGAIN);
        while !watch.wait(STEP)? && !stop() && Instant::now() < again {}
    }
    why_lost(spool, claim).map(Beat::Stop)
}

/// How long nothing is looked at while nothing happens.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How soon it is heard that nobody wants to know any more.
const STEP: Duration = Duration::from_millis(200);

/// Returns how much of the log of a running try is here, bytes.
pub fn known(spool: &Spool, claim: &Claim) -> u64 {
    fs::metadata(spool.live(&claim.id, claim.epoch)).map_or(0, |meta| meta.len())
}

/// Touches the claim, if it is there. The shared lock keeps the reaper, which takes it exclusively, from moving
/// a claim between our look and our touch.
fn hear(spool: &Spool, claim: &Claim) -> Result<Option<Entry>> {
    let directory = spool.run_dir(&claim.builder);
    if !durable::present(&directory)? {
        return Ok(None);
    }
    let _lock = lock::shared_dir(&directory, lock::PATIENCE)?;
    let Some(entry) = claim.entry(spool)? else { return Ok(None) };
    Ok(durable::touch(&entry.path, SystemTime::now())?.then_some(entry))
}

/// What the reaper knew after its last round; a cache: without it everybody gets a whole lease again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    /// Times of the boot clock mean something only under the same boot, and in the spool they were noted in.
    boot: String,
    /// By file name of the claim.
    claims: BTreeMap<String, Sighting>,
}

/// The largest table that is read, bytes: some 400,000 claims.
const LARGEST_TABLE: u64 = 64 << 20;

/// How long a beat may take: meanwhile nobody can ask for anything.
const BEAT: Duration = Duration::from_millis(200);

/// A claim's file time, and when the reaper first saw it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sighting {
    /// Modification time, nanoseconds since 1970; only ever compared for being the same.
    mtime: i64,
    /// Boot clock, milliseconds.
    first: u64,
}

/// Judges the claims that are there: the table for the next round, and which have been silent for a lease.
fn judge(
    known: &Table,
    there: &BTreeMap<String, i64>,
    boot: &str,
    now: u64,
    lease: u64,
) -> (Table, Vec<String>) {
    let mut next = Table { boot: boot.to_owned(), claims: BTreeMap::new() };
    let mut silent = Vec::new();
    for (name, mtime) in there {
        let before = known.claims.get(name).filter(|old| known.boot == boot && old.mtime == *mtime);
        let first = before.map_or(now, |old| old.first.min(now));
        if now - first >= lease && before.is_some() {
            silent.push(name.clone());
        }
        next.claims.insert(name.clone(), Sighting { mtime: *mtime, first });
    }
    (next, silent)
}

/// Takes back every claim that has not been heard of for `lease`; returns what each ticket became.
///
/// # Errors
/// A failing system call, or a builder's program that stands still in the middle of an answer: the others' claims are
/// taken back all the same.
pub fn reclaim(
    spool: &Spool,
    lease: Duration,
    trouble: &TroubleSection,
    clock: &Clock,
) -> Result<Vec<Entry>> {
    let Look { entries, there, mut next, silent } = look(spool, lease, clock)?;
    let (mut lost, mut done) = (Vec::new(), Ok(()));
    for entry in entries.iter().filter(|entry| silent.contains(&entry.name.to_string())) {
        match take_back(spool, entry, there.get(&entry.name.to_string()), trouble, clock) {
            Ok(Some(entry)) => {
                next.claims.remove(&entry.name.to_string());
                lost.push(entry);
            }
            Ok(None) => {}
            Err(error) => done = done.and(Err(error)),
        }
    }
    durable::replace(&table(spool), record::text(&next)?.as_bytes())?;
    done.map(|()| lost)
}

/// Returns the claims that [`reclaim`] would take back now; changes nothing.
///
/// # Errors
/// A directory that cannot be read.
pub fn silent(spool: &Spool, lease: Duration, clock: &Clock) -> Result<Vec<Entry>> {
    let Look { mut entries, silent, .. } = look(spool, lease, clock)?;
    entries.retain(|entry| silent.contains(&entry.name.to_string()));
    Ok(entries)
}

/// What a look at the claims finds.
struct Look {
    entries: Vec<Entry>,
    /// The file time of each.
    there: BTreeMap<String, i64>,
    /// What is to be known the next time.
    next: Table,
    /// Those that have not been heard of for a lease.
    silent: Vec<String>,
}

fn look(spool: &Spool, lease: Duration, clock: &Clock) -> Result<Look> {
    let known = readable(record::read_up_to(&table(spool), LARGEST_TABLE))?.unwrap_or_default();
    let entries = list::building(spool)?;
    let mut there = BTreeMap::new();
    for entry in &entries {
        if let Some(time) = mtime(&entry.path)? {
            there.insert(entry.name.to_string(), time);
        }
    }
    let now = u64::try_from(clock.boot().as_millis()).unwrap_or(u64::MAX);
    let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    let (next, silent) = judge(&known, &there, &life(spool, clock)?, now, lease);
    Ok(Look { entries, there, next, silent })
}

fn table(spool: &Spool) -> PathBuf {
    spool.at("cache").join("leases.toml")
}

/// What a table of sightings is good for: this boot, and this very spool. A backup put in its place does not know of the
/// beats since. No copy has the time of change of what it was copied from, and nothing else changes that file.
fn life(spool: &Spool, clock: &Clock) -> Result<String> {
    use std::os::unix::fs::MetadataExt;
    let path = spool.at("format");
    let meta = fs::symlink_metadata(&path).map_err(|source| Error::io("look at", &path, source))?;
    Ok(format!("{} {}.{:09}", clock.boot_id(), meta.ctime(), meta.ctime_nsec()))
}

fn take_back(
    spool: &Spool,
    entry: &Entry,
    seen: Option<&i64>,
    trouble: &TroubleSection,
    clock: &Clock,
) -> Result<Option<Entry>> {
    let (Some(builder), Stand::Building(hold)) = (&entry.builder, &entry.name.stand) else { return Ok(None) };
    let _queue = spool.lock_queue(lock::PATIENCE)?;
    let _beats = lock::exclusive_dir(&spool.run_dir(builder), BEAT)?;
    // Looked at once more: a beat may have come between the round's look and the lock.
    if mtime(&entry.path)?.as_ref() != seen {
        return Ok(None);
    }
    let ticket = match entry.ticket() {
        Ok(ticket) => ticket,
        Err(error) if error.kind == Kind::Again => return Err(error),
        // Moved on, or damaged: neither may keep those behind it from coming back.
        Err(error) => return quarantine(spool, &entry.path, &error.to_string()).map(|()| None),
    };
    let report = Report {
        stage: Some(LEASE.to_owned()),
        reason: format!("{builder} was not heard of for a whole lease"),
        builder: Some(builder.clone()),
        started: Some(hold.since.0),
        ..blank(&ticket, entry.name.epoch, Outcome::Trouble, clock.now())
    };
    let ended = entry.name.epoch >= trouble.claims;
    let name = if ended {
        destination(spool, &entry.name, Outcome::Trouble, trouble, clock)?
    } else {
        // Nobody but the builder was at fault, so the ticket need not rest.
        entry.name.standing(Stand::Waiting(None))
    };
    file(spool, &report, ended)?;
    if !ended {
        let moved = queue::come_back(spool, &entry.path, &name, clock)?;
        return Ok((moved == Shift::Moved).then(|| Entry { path: entry.path.clone(), name, builder: None }));
    }
    let lost = Entry { path: spool.done(&name), name, builder: None };
    let moved = durable::shift(&entry.path, &lost.path)?;
    waiting::settle_locked(spool, &lost)?;
    Ok((moved == Shift::Moved).then_some(lost))
}

/// Nanoseconds since 1970; none for what has moved on.
fn mtime(path: &Path) -> Result<Option<i64>> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(path).map_err(|source| Error::io("look at", path, source));
    Ok(readable(meta)?
        .map(|meta| meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())))
}

#[cfg(test)]
mod tests {
    use super::super::claim::{self, Request};
    use super::super::decide::tests::ask;
    use super::*;
    use crate::names::Instance;

    fn there(mtime: i64) -> BTreeMap<String, i64> {
        BTreeMap::from([("claim".to_owned(), mtime)])
    }

    #[test]
    fn a_claim_is_lost_only_when_seen_silent_for_a_whole_lease() {
        let (table, silent) = judge(&Table::default(), &there(1), "a", 1_000, 600);
        assert!(silent.is_empty(), "a first sight proves nothing");
        assert!(judge(&table, &there(1), "a", 1_599, 600).1.is_empty());
        assert_eq!(judge(&table, &there(1), "a", 1_600, 600).1, ["claim"]);
    }

    #[test]
    fn a_beat_gives_a_whole_lease_again() {
        let (table, _) = judge(&Table::default(), &there(1), "a", 1_000, 600);
        let (table, silent) = judge(&table, &there(2), "a", 5_000, 600);
        assert!(silent.is_empty());
        assert!(judge(&table, &there(2), "a", 5_599, 600).1.is_empty());
    }

    #[test]
    fn after_a_restart_of_the_master_everybody_gets_a_whole_lease_again() {
        let (table, _) = judge(&Table::default(), &there(1), "a", 5_000, 600);
        for since_boot in [10, 9_000_000] {
            let (table, silent) = judge(&table, &there(1), "b", since_boot, 600);
            assert!(silent.is_empty());
            assert_eq!(judge(&table, &there(1), "b", since_boot + 600, 600).1, ["claim"]);
        }
    }

    #[test]
    fn a_beat_between_the_look_and_the_lock_keeps_the_claim() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::create(&directory.path().join("spool")).unwrap();
        let (clock, trouble) = (Clock::fixed(jiff::Timestamp::UNIX_EPOCH), TroubleSection::default());
        queue::enqueue(&spool, &[ask()], &clock, Duration::ZERO).unwrap();
        let archs = vec!["x86_64".parse().unwrap()];
        let request = Request {
            builder: "b1".parse().unwrap(),
            instance: Instance::random().unwrap(),
            archs,
            count: 1,
            choice: Default::default(),
        };
        let claimed = claim::take(&spool, &request, &clock).unwrap().remove(0);
        let entry = list::building(&spool).unwrap().remove(0);
        let seen = mtime(&entry.path).unwrap();
        assert!(durable::touch(&entry.path, SystemTime::UNIX_EPOCH).unwrap());
        let back = take_back(&spool, &entry, seen.as_ref(), &trouble, &clock).unwrap();
        assert!(back.is_none() && claimed.claim.entry(&spool).unwrap().is_some());
        let seen = mtime(&entry.path).unwrap();
        assert!(take_back(&spool, &entry, seen.as_ref(), &trouble, &clock).unwrap().is_some());
    }
}
