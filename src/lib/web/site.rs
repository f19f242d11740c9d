//! Writing the site: every page into its place, only what changed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::log::{Excerpt, Place, publish};
use super::model::{TicketRow, Try};
use super::pages::{self, LogView, Page, Site};
use super::templates::{Engine, Texts};
use super::{Facts, Sources, api, load};
use crate::base::{Clock, Result, durable, lock};
use crate::config::Config;
use crate::names::State;
use crate::spool::Spool;
use crate::spool::expire::Expired;

/// What writing the site did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// How many files the site has.
    pub files: usize,
    /// How many of them were written because they are new or have changed.
    pub changed: usize,
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
    let _lock = lock::exclusive(&spool.at("lock").join("site"), lock::PATIENCE)?;
    let texts = Texts::read(config.templates.as_deref())?;
    let engine = Engine::compile(&texts)?;
    let model = load(spool, config, facts, clock)?;
    let mut writer = Writer { root: &config.site, written: Written::default() };
    for (name, text) in texts.assets() {
        writer.file(name, text.as_bytes())?;
    }
    let site = Site { model: &model, engine: &engine, config };
    tickets(&site, spool, sources, &mut writer)?;
    for (ticket, went) in site.model.expired.values() {
        writer.forget_logs(ticket);
        writer.page(pages::expired(&site, ticket, *went)?)?;
    }
    lists(&site, &mut writer)?;
    for (path, bytes) in api::files(&model)? {
        writer.file(path, &bytes)?;
    }
    // Last: what it links to is there.
    writer.page(pages::front(&site)?)?;
    Ok(writer.written)
}

struct Writer<'a> {
    root: &'a Path,
    written: Written,
}

impl Writer<'_> {
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let changed = durable::replace(&self.root.join(path), bytes)?;
        self.count(1, usize::from(changed));
        Ok(())
    }

    fn page(&mut self, (path, text): Page) -> Result<()> {
        self.file(&path, text.as_bytes())
    }

    fn pages(&mut self, pages: impl IntoIterator<Item = Page>) -> Result<()> {
        pages.into_iter().try_for_each(|page| self.page(page))
    }

    /// Their excerpts go first: they vouch for the copies.
    fn forget_logs(&self, ticket: &Expired) {
        for epoch in 1..=ticket.epoch {
            for end in ["json", "txt"] {
                durable::forget(&self.root.join(format!("log/{}.{epoch}.{end}", ticket.id)));
            }
        }
    }

    fn count(&mut self, files: usize, changed: usize) {
        self.written.files += files;
        self.written.changed += changed;
    }
}

fn lists(site: &Site<'_>, writer: &mut Writer<'_>) -> Result<()> {
    for builder in &site.model.builders {
        writer.page(pages::builder(site, builder)?)?;
    }
    for package in site.model.packages.values() {
        writer.page(pages::package(site, package)?)?;
    }
    writer.pages(pages::packages(site)?)?;
    writer.pages(pages::recent(site)?)?;
    writer.pages(pages::unbuilt(site)?)?;
    writer.pages([
        pages::queue(site)?,
        pages::builders(site)?,
        pages::failing(site)?,
        pages::help(site)?,
        pages::missing(site)?,
    ])
}

fn tickets(site: &Site<'_>, spool: &Spool, sources: &Sources<'_>, writer: &mut Writer<'_>) -> Result<()> {
    let all = site.model.tickets.len();
    for (done, ticket) in site.model.tickets.values().enumerate() {
        (sources.progress)(done, all);
        let mut last = None;
        for one in ticket.tries.iter().filter(|one| one.log) {
            if let Some(excerpt) = log(spool, ticket, one, sources, writer)? {
                last = Some(LogView { epoch: one.epoch, excerpt });
            }
        }
        writer.page(pages::ticket(site, ticket, last.as_ref())?)?;
    }
    (sources.progress)(all, all);
    Ok(())
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
    let file = |end: &str| writer.root.join(format!("log/{}.{}.{end}", ticket.id, one.epoch));
    let (text, excerpt) = (file("txt"), file("json"));
    let broken = matches!(one.outcome, State::Failed | State::Trouble);
    let place = Place { log: &path, text: &text, excerpt: &excerpt, live, broken };
    match publish(&place, sources) {
        Ok((excerpt, changed)) => {
            writer.count(2, changed);
            Ok(Some(excerpt))
        }
        Err(_) if !durable::present(&path)? => Ok(None),
        Err(error) => Err(error),
    }
}
