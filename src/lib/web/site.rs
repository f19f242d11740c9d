//! Writing the site: what has changed is read, what follows from it is written, the front page last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use super::cache::{Cache, Index, Kept, Known, Places};
use super::ledger::Ledger;
use super::load::{Holds, hash};
use super::model::{Model, Row, TicketRow};
use super::pages::{self, Frames, Site};
use super::refresh::{Fresh, Open, Round, refresh};
use super::templates::{Engine, Texts};
use super::writer::Writer;
use super::{Facts, Shipped, Sources, expected, lists, load, need};
use crate::base::{Clock, Result, durable, lock, together, together_with};
use crate::config::Config;
use crate::names::Id;
use crate::spool::expire::{self, Expired};
use crate::spool::{Spool, list, report};

/// A directory that changed less than so long before it was read is read again the next time, nanoseconds: another
/// change may bear the same time.
const GRAIN: i64 = 2_000_000_000;

/// What writing the site did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// How many files were written because they are new or have changed.
    pub changed: usize,
    /// How many were removed.
    pub removed: usize,
    /// At how many packages it looked.
    pub looked: usize,
}

/// Writes the site of `spool` into `config.site`, which is made when it is missing.
///
/// # Errors
/// Somebody else is writing it (`Again`); a template that cannot be used; a failing system call.
pub fn write(
    config: &Config,
    spool: &Spool,
    facts: &Facts,
    sources: &Sources<'_>,
    clock: &Clock,
) -> Result<Written> {
    make(config, spool, facts, sources, clock).map(|(written, _)| written)
}

/// Writes the site; returns also what it shows.
pub(super) fn make(
    config: &Config,
    spool: &Spool,
    facts: &Facts,
    sources: &Sources<'_>,
    clock: &Clock,
) -> Result<(Written, Model)> {
    let _lock = lock::exclusive(&spool.at("lock").join("site"), lock::PATIENCE)?;
    let texts = Texts::read(config.templates.as_deref())?;
    let cache = Cache::of(spool);
    let mut index = cache.index(key(config, &texts)?)?;
    let pages = std::mem::take(&mut index.pages);
    let mut writer = Writer::new(&config.site, &pages);
    let work = Work { config, spool, sources, texts: &texts, cache: &cache };
    let open = open(spool)?;
    let (fresh, ledger) = work.packages(&mut index, &open, &mut writer)?;
    let engine = Engine::compile(&texts)?;
    let site = Site { engine: &engine, frames: &Frames::default(), config };
    let touched = lists::settle(&work, &mut index, ledger, &mut writer)?;
    for (name, fresh) in &fresh {
        cache.keep_tickets(name, &fresh.tickets)?;
    }
    let mut model = work.model(&mut index, open, facts, &touched, clock)?;
    work.package_pages(&mut index, &model, &fresh, &mut writer)?;
    for (name, text) in texts.assets() {
        writer.list(name, text.as_bytes())?;
    }
    pages::acts(&site, &mut writer, (&facts.asked, sources))?;
    lists::write(&site, &model, &touched, &mut writer)?;
    writer.finish();
    index.pages = std::mem::take(&mut writer.pages);
    index.key = key(config, &texts)?;
    index.regain(std::mem::take(&mut model.packages), std::mem::take(&mut model.days));
    // It vouches for all that was written.
    cache.keep(&mut index)?;
    (model.packages, model.days) = index.lend();
    Ok((writer.written, model))
}

/// Returns a number for what decides how the whole site looks: this program, the configuration, the templates; and for
/// the directory it is in, so that one that was removed is made anew.
fn key(config: &Config, texts: &Texts) -> Result<u64> {
    durable::make_dir(&config.site)?;
    let front = durable::look(&config.site.join("index.html"))?.is_some_and(|meta| meta.is_file());
    let place = front.then(|| durable::identity(&config.site)).transpose()?;
    Ok(hash(&(env!("CARGO_PKG_VERSION"), format!("{config:?}"), texts.stamp(), place)))
}

fn open(spool: &Spool) -> Result<BTreeMap<String, Open>> {
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    for ticket in load::open(spool)? {
        let tickets = &mut open.entry(ticket.name.clone()).or_default().tickets;
        // It moved on meanwhile.
        tickets.retain(|other: &TicketRow| other.id != ticket.id);
        tickets.push(ticket);
    }
    for open in open.values_mut() {
        let logs =
            open.tickets.iter().map(|ticket| load::log_stamp(spool, ticket)).collect::<Result<Vec<_>>>()?;
        open.stamp = hash(&(serde_json::to_vec(&open.tickets).unwrap_or_default(), logs));
    }
    Ok(open)
}

type Gone = BTreeMap<String, Vec<(Expired, jiff::Timestamp)>>;

/// What writing the site works with.
pub(super) struct Work<'a> {
    config: &'a Config,
    spool: &'a Spool,
    sources: &'a Sources<'a>,
    texts: &'a Texts,
    cache: &'a Cache,
}

impl Work<'_> {
    /// Looks at the packages of which something may have changed; the index knows them then.
    fn packages(
        &self,
        index: &mut Index,
        open: &BTreeMap<String, Open>,
        writer: &mut Writer<'_>,
    ) -> Result<(BTreeMap<String, Fresh>, Ledger)> {
        let (places, holds, gone) = (self.places()?, Holds::of(self.spool)?, self.gone(index)?);
        let none = Places::new();
        let place = |name: &String| places.get(name).unwrap_or(&none);
        let names = self.changed(index, open, &holds, &gone, &places)?;
        writer.written.looked = names.len();
        let ledger = Mutex::new(Ledger::new(self.cache.clone()));
        let round = Round {
            spool: self.spool,
            sources: self.sources,
            cache: self.cache,
            holds: &holds,
            open,
            gone: &gone,
            ledger: &ledger,
        };
        // With nothing known before, nothing is lost by a round that is killed: what is read need not be kept in memory.
        let anew = index.packages.is_empty();
        let before = &index.packages;
        let work = |site: &Site<'_>, writer: &mut Writer<'_>, name: &String| {
            let mut fresh = refresh(&round, site, writer, (name, place(name), before.get(name)))?;
            if anew {
                self.cache.keep_tickets(name, &fresh.tickets)?;
                fresh.tickets = Vec::new();
            }
            Ok((name.clone(), fresh))
        };
        let fresh = self.share(&names, writer, work)?;
        let kept = learn(index, fresh, !anew, writer);
        Ok((kept, ledger.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))
    }

    /// Returns the packages of which something may have changed.
    fn changed(
        &self,
        index: &Index,
        open: &BTreeMap<String, Open>,
        holds: &Holds,
        gone: &Gone,
        places: &BTreeMap<String, Places>,
    ) -> Result<Vec<String>> {
        let (strays, none) = (self.strays(index, holds)?, Places::new());
        let names: BTreeSet<&String> =
            places.keys().chain(open.keys()).chain(gone.keys()).chain(index.packages.keys()).collect();
        let changed = |name: &&String| {
            let (place, open) =
                (places.get(*name).unwrap_or(&none), open.get(*name).map_or(0, |open| open.stamp));
            gone.contains_key(*name)
                || strays.contains(*name)
                || index.packages.get(*name).is_none_or(|known| self.has_changed(known, place, open, holds))
        };
        Ok(names.into_iter().filter(changed).cloned().collect())
    }

    /// Returns the directories of ended tickets and when each changed last, by package and tree.
    fn places(&self) -> Result<BTreeMap<String, Places>> {
        durable::make_dir(self.cache.root())?;
        durable::ring(self.cache.root())?;
        let now = durable::changed(self.cache.root())?.unwrap_or_default();
        let mut places: BTreeMap<String, Places> = BTreeMap::new();
        for (tree, name, time) in list::changes(self.spool)? {
            let time = if time > now - GRAIN { 0 } else { time };
            places.entry(name.to_string()).or_default().push((tree.to_string(), time));
        }
        Ok(places)
    }

    /// Returns what has expired since the last time; all of it when a file of lines has vanished.
    fn gone(&self, index: &mut Index) -> Result<Gone> {
        let files: BTreeSet<String> = list::names(&self.spool.at("expired"))?.into_iter().collect();
        let mut gone = Gone::new();
        for (line, went) in expire::gone_in(self.spool, files.difference(&index.expired))? {
            gone.entry(line.item.name.to_string()).or_default().push((line, went));
        }
        index.expired = files;
        Ok(gone)
    }

    /// Returns the packages of tickets of which nothing was held before, and something is now.
    fn strays(&self, index: &Index, holds: &Holds) -> Result<BTreeSet<String>> {
        let known: BTreeSet<&Id> = index.packages.values().flat_map(|known| known.holds.keys()).collect();
        let mut strays = BTreeSet::new();
        for (id, epoch) in holds.tries().filter(|(id, _)| !known.contains(id)) {
            strays
                .extend(report::ended(self.spool, id, epoch)?.map(|entry| entry.name.item.name.to_string()));
        }
        Ok(strays)
    }

    fn has_changed(&self, known: &Known, places: &Places, open: u64, holds: &Holds) -> bool {
        let published = |stand: &super::model::StandRow| {
            stand.last_good.as_ref().is_none_or(|good| {
                let shipped = Shipped {
                    id: &good.id,
                    tree: &stand.newest.tree,
                    packages: &good.packages,
                    version: &good.version,
                    arch: &stand.newest.arch,
                };
                (self.sources.published)(&shipped) == good.published
            })
        };
        known.places != *places
            || places.iter().any(|(_, time)| *time == 0)
            || known.open != open
            || known.holds.iter().any(|(id, stamp)| holds.stamp(id) != Some(*stamp))
            || !known.package.stands.iter().all(published)
    }

    /// Does the same with each of `items`, on several threads when there are many.
    pub fn share<I: Sync, T: Send>(
        &self,
        items: &[I],
        writer: &mut Writer<'_>,
        work: impl Fn(&Site<'_>, &mut Writer<'_>, &I) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let (done, whole) = (AtomicUsize::new(0), &*writer);
        let begin = || Ok((Engine::compile(self.texts)?, Frames::default()));
        let parts = together_with(items, begin, |(engine, frames), item| {
            let mut part = whole.part();
            let result = work(&Site { engine, frames, config: self.config }, &mut part, item)?;
            (self.sources.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
            Ok((result, part))
        })?;
        let take_in = |(result, part)| {
            writer.take_in(part);
            result
        };
        Ok(parts.into_iter().map(take_in).collect())
    }

    fn model(
        &self,
        index: &mut Index,
        open: BTreeMap<String, Open>,
        facts: &Facts,
        touched: &lists::Touched,
        clock: &Clock,
    ) -> Result<Model> {
        let config = self.config;
        let (packages, days) = index.lend();
        let mut counts = super::Counts::default();
        packages.values().for_each(|package| counts.add_all(&package.counts));
        counts.bad = load::bad(self.spool)?;
        counts.asked += counts.bad;
        let mut model = Model {
            title: super::say::line(&config.title, 80),
            made: clock.now(),
            paused: self.spool.is_paused(),
            free: facts.free,
            undelivered: facts.undelivered.iter().map(load::undelivered).collect(),
            counts,
            needs: Vec::new(),
            builders: load::builders(self.spool, config, clock)?,
            waiting: Vec::new(),
            building: Vec::new(),
            open: BTreeMap::new(),
            expected: BTreeMap::new(),
            packages,
            recent: touched.recent.clone(),
            days,
            unbuilt: facts.unbuilt.as_ref().map(|rows| rows.iter().map(load::unbuilt).collect()),
        };
        model.fill(open);
        model.expected = expected::starts(&model);
        model.needs = need::needs(&model);
        Ok(model)
    }

    /// Writes the pages of the packages of which they would say something else now.
    fn package_pages(
        &self,
        index: &mut Index,
        model: &Model,
        fresh: &BTreeMap<String, Fresh>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        let (needed, missing) = (lists::needed_by(model), lists::missing(model));
        let look = |(name, known): &(&String, &Known)| {
            let near = lists::near(model, &needed, &missing, name);
            let pages = hash(&(known.rows, model.packages.get(*name), &near));
            Ok((known.pages != pages).then(|| ((*name).clone(), near, pages)))
        };
        let looked = together(&index.packages.iter().collect::<Vec<_>>(), look)?;
        let due: Vec<_> = looked.into_iter().flatten().collect();
        for (name, _, pages) in &due {
            index.packages.entry(name.clone()).and_modify(|known| known.made_from(*pages));
        }
        let page =
            |site: &Site<'_>, writer: &mut Writer<'_>, (name, near, _): &(String, lists::Near<'_>, u64)| {
                let tickets: Vec<Kept> = match fresh.get(name) {
                    Some(fresh) => fresh.tickets.clone(),
                    None => self.cache.tickets(name),
                };
                let rows: Vec<Row> = tickets.into_iter().rev().map(|kept| kept.row).collect();
                let Some(package) = model.packages.get(name) else { return Ok(()) };
                pages::package_files(site, writer, &pages::Whole { name, package, rows: &rows, near })
            };
        self.share(&due, writer, page).map(drop)
    }
}

/// Lets the index know what was read, and removes the pages that are no more. Returns what was read, if it is to be kept.
fn learn(
    index: &mut Index,
    fresh: Vec<(String, Fresh)>,
    keep: bool,
    writer: &mut Writer<'_>,
) -> BTreeMap<String, Fresh> {
    let (mut kept, mut gone_paths) = (BTreeMap::new(), BTreeSet::new());
    for (name, fresh) in fresh {
        if let Some(known) = index.packages.get(&name) {
            let (old, new) = (
                pages::package_paths(&name, &known.package),
                pages::package_paths(&name, &fresh.known.package),
            );
            gone_paths.extend(old.difference(&new).cloned());
        }
        match fresh.known.package.stands.is_empty() && fresh.known.package.counts.asked == 0 {
            true => drop(index.packages.remove(&name)),
            false => drop(index.packages.insert(name.clone(), fresh.known.clone())),
        }
        if keep {
            kept.insert(name, fresh);
        }
    }
    // A badge may have become another package's, whose name ends in an architecture.
    let taken = |path: &String| {
        let name = path.strip_prefix("badge/").and_then(|name| name.strip_suffix(".svg"));
        name.is_some_and(|name| index.packages.contains_key(name))
    };
    gone_paths.iter().filter(|path| !taken(path)).for_each(|path| writer.remove(path));
    kept
}
