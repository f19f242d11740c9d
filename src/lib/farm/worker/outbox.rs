//! Reports on the builder's own disk: durable before they are delivered, removed after the answer.
//!
//! `outbox/CLAIM/` has the growing `log`; `files/`; and last, when the build has ended, `report.toml`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::life::Life;
use crate::base::error::Kind;
use crate::base::{Clock, Error, Result, durable, lock};
use crate::config::Config;
use crate::farm::master::Master;
use crate::names::Outcome;
use crate::spool::report::Ending;
use crate::spool::{Claim, list};

/// The largest report that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// How a build ended, as it is written down here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ended {
    pub outcome: Outcome,
    pub stage: Option<String>,
    pub reason: String,
    pub exit: Option<i32>,
}

/// The reports of one slot.
pub(super) struct Outbox {
    place: PathBuf,
    host: String,
}

impl Outbox {
    pub fn new(place: &Path, host: &str) -> Self {
        Self { place: place.to_owned(), host: host.to_owned() }
    }

    /// Makes the place of a new try's report.
    pub fn open(&self, claim: &Claim) -> Result<PathBuf> {
        let place = self.place.join(claim.to_string());
        durable::make_dir(&place)?;
        Ok(place)
    }

    /// Writes the report down: first all it speaks of, then itself.
    pub fn close(&self, claim: &Claim, ended: &Ended) -> Result<()> {
        let place = self.open(claim)?;
        let text = toml::to_string(ended)
            .map_err(|source| Error::wrong(format!("cannot write the report: {source}")))?;
        durable::sync_fs(&place)?;
        durable::put(&place, &place.join("report.toml"), text.as_bytes()).map(drop)
    }

    /// Forgets a try that nobody wants to hear of any more.
    pub fn drop(&self, claim: &Claim) -> Result<()> {
        durable::remove_tree(&self.place.join(claim.to_string()))
    }

    /// Tells whether a try is still here.
    pub fn has(&self, claim: &Claim) -> bool {
        self.place.join(claim.to_string()).exists()
    }

    /// Tries without a report were being built when this builder was killed.
    pub fn give_back_interrupted(&self) -> Result<()> {
        let why = "the builder was killed while it was building";
        self.claims()?.iter().try_for_each(|claim| self.give_back(claim, why))
    }

    /// Writes a report on a try that has none: the farm's trouble, not the package's.
    pub fn give_back(&self, claim: &Claim, reason: &str) -> Result<()> {
        if self.is_complete(claim) {
            return Ok(());
        }
        let (stage, reason) = (Some("builder".to_owned()), reason.to_owned());
        self.close(claim, &Ended { outcome: Outcome::Trouble, stage, reason, exit: None })
    }

    fn is_complete(&self, claim: &Claim) -> bool {
        self.place.join(claim.to_string()).join("report.toml").exists()
    }

    /// Delivers what is complete, oldest first; returns what people should know, none when another process or slot is
    /// at it. `alive` is told that it goes on.
    ///
    /// # Errors
    /// The master cannot take it now: it stays, and those after it.
    pub fn deliver(
        &self,
        master: &Master,
        config: &Config,
        clock: &Clock,
        alive: &(dyn Fn() + Sync),
    ) -> Result<Option<Vec<String>>> {
        let mut lines = Vec::new();
        let Some(_alone) = lock::if_free(&self.place.with_file_name("delivering"))? else { return Ok(None) };
        for claim in self.claims()?.iter().filter(|claim| self.is_complete(claim)) {
            let report = |ending: &Ending| master.report(claim, ending, config, clock);
            let kept = |ending: &Ending| Life::kept(master, config, claim, alive, || report(ending));
            lines.extend(self.deliver_one(claim, kept)?);
        }
        Ok(Some(lines))
    }

    fn deliver_one(
        &self,
        claim: &Claim,
        report: impl FnOnce(&Ending) -> Result<()>,
    ) -> Result<Option<String>> {
        let place = self.place.join(claim.to_string());
        let line = |error: &Error| format!("{}: {error}", claim.id);
        let ending = match ending(&place, &self.host) {
            Ok(ending) => ending,
            Err(error) if error.kind == Kind::Again => return Err(error),
            Err(error) => return self.set_aside(claim).map(|()| Some(line(&error))),
        };
        match report(&ending) {
            Ok(()) => durable::remove_tree(&place).map(|()| None),
            // Refused, and kept by the master as far as it wanted it.
            Err(error) if error.kind == Kind::No => durable::remove_tree(&place).map(|()| Some(line(&error))),
            Err(error) if error.kind == Kind::Again => Err(error),
            // Something is wrong with the master; once that is mended, it takes the report.
            Err(error) => Ok(Some(line(&error))),
        }
    }

    /// A report that cannot be read here is kept for a person to look at, and the ticket goes back with its lease.
    fn set_aside(&self, claim: &Claim) -> Result<()> {
        let aside = self.place.with_file_name("undeliverable");
        durable::make_dir(&aside)?;
        durable::shift(&self.place.join(claim.to_string()), &aside.join(claim.to_string())).map(drop)
    }

    fn claims(&self) -> Result<Vec<Claim>> {
        let mut claims: Vec<Claim> =
            list::names(&self.place)?.iter().filter_map(|name| name.parse().ok()).collect();
        claims.sort_by_key(|a| a.id);
        Ok(claims)
    }
}

fn ending(place: &Path, host: &str) -> Result<Ending> {
    let path = place.join("report.toml");
    let bytes = durable::read(&path, LARGEST)?;
    let ended: Ended = toml::from_str(&String::from_utf8_lossy(&bytes))
        .map_err(|source| Error::wrong(format!("cannot read {}: {}", path.display(), source.message())))?;
    let mut files: Vec<PathBuf> =
        list::names(&place.join("files"))?.iter().map(|name| place.join("files").join(name)).collect();
    files.sort_unstable();
    Ok(Ending {
        outcome: ended.outcome,
        stage: ended.stage,
        reason: ended.reason,
        exit: ended.exit,
        host: host.to_owned(),
        log: Some(place.join("log")).filter(|log| log.exists()),
        files,
    })
}
