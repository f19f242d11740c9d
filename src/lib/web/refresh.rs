//! One package, when something about it has changed: what is new is read, the pages of its tickets are written.
//!
//! What has ended never changes, so a ticket that is known is not read again: however long the history, a new result
//! costs one listing of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::cache::{Cache, Kept, Known, Places};
use super::ledger::{Ledger, Line};
use super::load::{Holds, ended_ticket, hash};
use super::log::{Excerpt, Place, publish};
use super::model::{Counts, Package, Row, StandRow, TicketRow, Try};
use super::pages::{self, LogView, Neighbours, Site};
use super::stand::{More, standings};
use super::writer::Writer;
use super::{Shipped, Sources};
use crate::base::{Error, Result};
use crate::names::{Id, State};
use crate::spool::expire::Expired;
use crate::spool::{self, Entry, Spool, Stand, TicketName, list};

/// What is the same for all packages of a round.
pub(super) struct Round<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// What others know.
    pub sources: &'a Sources<'a>,
    /// What was known before.
    pub cache: &'a Cache,
    /// What is held.
    pub holds: &'a Holds,
    /// What waits and is being built, by package.
    pub open: &'a BTreeMap<String, Open>,
    /// What has expired since, by package.
    pub gone: &'a BTreeMap<String, Vec<(Expired, Timestamp)>>,
    /// The lists of results.
    pub ledger: &'a Mutex<Ledger>,
}

/// What waits and is being built of a package.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// A number for all of it.
    pub stamp: u64,
    /// The tickets.
    pub tickets: Vec<TicketRow>,
}

/// What came of looking at a package.
#[derive(Debug)]
pub(super) struct Fresh {
    /// What is known of it now.
    pub known: Known,
    /// Its tickets, oldest first.
    pub tickets: Vec<Kept>,
}

/// Looks at the package `name` and writes the pages of its tickets.
///
/// # Errors
/// What cannot be read or written.
pub(super) fn refresh(
    round: &Round<'_>,
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    (name, places, before): (&str, &Places, Option<&Known>),
) -> Result<Fresh> {
    let old: BTreeMap<Id, Kept> =
        round.cache.tickets(name).into_iter().map(|kept| (kept.row.id, kept)).collect();
    let mut look = Look { round, name, full: HashMap::new(), rows: BTreeMap::new(), holds: BTreeMap::new() };
    look.expired(&old);
    look.open(&old)?;
    look.ended(&old, places, before)?;
    look.settle(&old)?;
    let rows: Vec<Row> = std::mem::take(&mut look.rows).into_values().collect();
    let stands = look.stands(&rows)?;
    let pages = look.pages(site, writer, &old, (&rows, &stands))?;
    let package = Package { counts: counts(&rows), held: held(&rows), stands: stands.into() };
    let known = Known {
        places: places.clone(),
        holds: look.holds,
        open: round.open.get(name).map_or(0, |open| open.stamp),
        rows: hash(&pages),
        pages: before.map_or(0, |known| known.pages),
        package,
        line: None,
    };
    let tickets = rows.into_iter().zip(pages).map(|(row, page)| Kept { row, page }).collect();
    Ok(Fresh { known, tickets })
}

struct Look<'a> {
    round: &'a Round<'a>,
    name: &'a str,
    /// All that is known of some of the tickets.
    full: HashMap<Id, TicketRow>,
    /// All of them, by age.
    rows: BTreeMap<Id, Row>,
    holds: BTreeMap<Id, u64>,
}

impl Look<'_> {
    fn expired(&mut self, old: &BTreeMap<Id, Kept>) {
        let known = old.values().filter(|kept| kept.row.went.is_some()).map(|kept| kept.row.clone());
        let new = self.round.gone.get(self.name).into_iter().flatten();
        let new = new.map(|(line, went)| Row::expired(line, *went));
        self.rows.extend(known.chain(new).map(|row| (row.id, row)));
    }

    fn open(&mut self, old: &BTreeMap<Id, Kept>) -> Result<()> {
        for ticket in self.round.open.get(self.name).iter().flat_map(|open| &open.tickets) {
            self.rows.insert(ticket.id, Row::from(ticket));
            self.full.insert(ticket.id, ticket.clone());
        }
        // One that came back to the queue while it was read is missed: its page stays.
        for kept in old.values().filter(|kept| kept.row.is_open() && !self.full.contains_key(&kept.row.id)) {
            if list::find(self.round.spool, &kept.row.id)?.is_some() {
                self.rows.insert(kept.row.id, kept.row.clone());
            }
        }
        Ok(())
    }

    /// What has ended is listed last: a ticket that moves on meanwhile is met twice, and this is where it is.
    fn ended(&mut self, old: &BTreeMap<Id, Kept>, places: &Places, before: Option<&Known>) -> Result<()> {
        let ended = old.values().filter(|kept| kept.row.went.is_none() && !kept.row.is_open());
        let known: HashMap<String, &Row> = ended.map(|kept| (kept.row.file(), &kept.row)).collect();
        for (tree, _) in places {
            let directory = self.round.spool.at("done").join(tree).join(self.name);
            for file in list::names(&directory)? {
                let row = known.get(&file).copied().filter(|row| self.is_as_before(row, before));
                match (row, file.parse::<TicketName>()) {
                    (Some(row), _) => {
                        self.note_hold(&row.id);
                        self.full.remove(&row.id);
                        self.rows.insert(row.id, row.clone());
                    }
                    (None, Ok(name)) if is_of(&name, tree, self.name) => {
                        self.read(name, directory.join(file))?
                    }
                    (None, _) => {}
                }
            }
        }
        Ok(())
    }

    fn is_as_before(&self, row: &Row, before: Option<&Known>) -> bool {
        let held = before.and_then(|known| known.holds.get(&row.id)).copied();
        held == self.round.holds.stamp(&row.id)
    }

    fn note_hold(&mut self, id: &Id) {
        if let Some(stamp) = self.round.holds.stamp(id) {
            self.holds.insert(*id, stamp);
        }
    }

    fn read(&mut self, name: TicketName, path: PathBuf) -> Result<()> {
        let id = name.id;
        self.note_hold(&id);
        let entry = Entry { path, builder: None, name };
        let ticket = ended_ticket(self.round.spool, self.round.holds, &entry)?;
        self.rows.insert(id, Row::from(&ticket));
        self.full.insert(id, ticket);
        Ok(())
    }

    /// Returns all that is known of a ticket; none of one that expired.
    fn whole(&mut self, row: &Row) -> Result<Option<&mut TicketRow>> {
        if !self.full.contains_key(&row.id) && row.went.is_none() && !row.is_open() {
            let Ok(name) = row.file().parse::<TicketName>() else { return Ok(None) };
            let path = self.round.spool.done(&name);
            self.read(name, path)?;
        }
        Ok(self.full.get_mut(&row.id))
    }

    /// Tells the lists of results what is new and what is no more.
    fn settle(&self, old: &BTreeMap<Id, Kept>) -> Result<()> {
        let ended = |row: &&Row| !row.is_open();
        let gone = old.values().map(|kept| &kept.row).filter(ended);
        let gone: Vec<&Row> = gone.filter(|row| self.rows.get(&row.id) != Some(*row)).collect();
        let new = self.rows.values().filter(ended);
        let new = new.filter(|row| old.get(&row.id).map(|kept| &kept.row) != Some(*row));
        let new = new.map(Line::of).collect::<Result<Vec<_>>>()?;
        let mut ledger = self.round.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        gone.into_iter().for_each(|row| ledger.remove(row));
        new.iter().try_for_each(|line| ledger.add(line))
    }

    fn stands(&mut self, rows: &[Row]) -> Result<Vec<StandRow>> {
        let Sources { published, commits, .. } = self.round.sources;
        let mut stands = Vec::new();
        for standing in standings(rows.iter().filter(|row| row.went.is_none())) {
            let more = |row: &Row| -> Result<More> {
                Ok(self.whole(row)?.map(|ticket| More::from(&*ticket)).unwrap_or_default())
            };
            let is_published = |row: &Row, packages: &[String]| published(&Shipped::of(row, packages));
            let mut stand = standing.row::<Error>(more, is_published)?;
            stand.commits = stand.broke_between().map(|between| commits(&between)).unwrap_or_default();
            stands.push(stand);
        }
        Ok(stands)
    }

    /// Writes the pages that have changed; returns a number for each, as the rows are.
    fn pages(
        &mut self,
        site: &Site<'_>,
        writer: &mut Writer<'_>,
        old: &BTreeMap<Id, Kept>,
        (rows, stands): (&[Row], &[StandRow]),
    ) -> Result<Vec<u64>> {
        let published: Vec<Id> = stands
            .iter()
            .filter_map(|stand| stand.last_good.as_ref().filter(|good| good.published))
            .map(|good| good.id)
            .collect();
        let mut pages = Vec::with_capacity(rows.len());
        for (row, near) in rows.iter().zip(&Neighbours::among(rows)) {
            let is_published = published.contains(&row.id);
            let page = self.stamp(row, near, is_published);
            let kept = old.get(&row.id);
            if kept.is_none_or(|kept| kept.page != page) {
                if kept.is_some() {
                    self.forget_old_logs(writer, row)?;
                }
                self.page(site, writer, row, near, is_published)?;
            }
            pages.push(page);
        }
        let is_there = |id: &Id| rows.binary_search_by_key(id, |row| row.id).is_ok();
        for kept in old.values().filter(|kept| !is_there(&kept.row.id)) {
            writer.remove(&format!("ticket/{}/index.html", kept.row.id));
            writer.forget_logs(&kept.row.id, kept.row.epoch);
        }
        Ok(pages)
    }

    /// Removes copies of logs that a ticket's page led to, and does not any more.
    fn forget_old_logs(&mut self, writer: &mut Writer<'_>, row: &Row) -> Result<()> {
        let Some(ticket) = self.whole(row)? else { return Ok(()) };
        let has_log = |epoch: u32| ticket.tries.iter().any(|one| one.epoch == epoch && one.log);
        (1..=row.epoch).filter(|epoch| !has_log(*epoch)).for_each(|epoch| writer.forget_log(&row.id, epoch));
        Ok(())
    }

    /// Returns a number for all that the page of a ticket says.
    fn stamp(&self, row: &Row, near: &Neighbours, published: bool) -> u64 {
        let open = row.is_open().then(|| self.round.open.get(self.name).map(|open| open.stamp));
        hash(&(row, near, published, open))
    }

    fn page(
        &mut self,
        site: &Site<'_>,
        writer: &mut Writer<'_>,
        row: &Row,
        near: &Neighbours,
        published: bool,
    ) -> Result<()> {
        if let Some(went) = row.went {
            writer.forget_logs(&row.id, row.epoch);
            let (path, text) = pages::expired(site, row, went)?;
            return writer.file(&path, text.as_bytes());
        }
        let (spool, sources) = (self.round.spool, self.round.sources);
        let Some(ticket) = self.whole(row)? else { return Ok(()) };
        ticket.published = published;
        let mut logs = Vec::new();
        for one in ticket.tries.iter().filter(|one| one.log) {
            if let Some(excerpt) = log(spool, ticket, one, sources, writer)? {
                logs.push(LogView { epoch: one.epoch, excerpt });
            }
        }
        let (path, text) = pages::ticket(site, ticket, near, &logs)?;
        writer.file(&path, text.as_bytes())
    }
}

fn counts(rows: &[Row]) -> Counts {
    let mut counts = Counts::default();
    for row in rows {
        if row.went.is_some() { counts.add_expired() } else { counts.add(row.state) }
    }
    counts
}

fn held(rows: &[Row]) -> Vec<Row> {
    let open = |(at, held): (usize, &Row)| {
        let later = rows.iter().skip(at);
        later.filter(|row| row.is_open()).any(|row| row.tree == held.tree && row.arch == held.arch)
    };
    // What waits only for a later ticket of its package needs nobody.
    let held = rows.iter().enumerate().filter(|(_, row)| row.held);
    held.filter(|held| !open(*held)).map(|(_, row)| row.clone()).collect()
}

fn is_of(name: &TicketName, tree: &str, package: &str) -> bool {
    let ended = matches!(name.stand, Stand::Done(_));
    ended && name.tree.as_str() == tree && name.item.name.as_str() == package
}

impl From<&TicketRow> for More {
    fn from(ticket: &TicketRow) -> Self {
        Self {
            path: ticket.path.clone(),
            maintainer: ticket.maintainer.clone(),
            revision: ticket.revision.clone(),
            depends: ticket.depends.clone(),
            packages: ticket.packages.clone(),
        }
    }
}

/// Copies the log of one try; none if it has gone meanwhile (a build that just ended moves its log).
fn log(
    spool: &Spool,
    ticket: &TicketRow,
    one: &Try,
    sources: &Sources<'_>,
    writer: &mut Writer<'_>,
) -> Result<Option<Excerpt>> {
    let live = one.outcome == State::Building;
    let path: PathBuf =
        if live { spool.live(&ticket.id, one.epoch) } else { spool.log(&ticket.id, one.epoch) };
    let stem = writer.root().join(format!("log/{}.{}", ticket.id, one.epoch));
    let broken = matches!(one.outcome, State::Failed | State::Trouble);
    let place = Place { log: &path, stem: &stem, live, broken };
    match publish(&place, sources) {
        Ok((excerpt, changed)) => {
            writer.written.changed += changed;
            Ok(Some(excerpt))
        }
        Err(_) if !spool::log::is_kept(&path)? => Ok(None),
        Err(error) => Err(error),
    }
}
