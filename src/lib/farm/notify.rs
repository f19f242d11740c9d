//! The mails owed, with what the other rooms know: what logs say, what is wrong with the farm, what is unbuilt.

use std::cell::LazyCell;
use std::path::Path;

use jiff::SignedDuration;

use super::{hooks, publish, site};
use crate::base::{Clock, Result, durable};
use crate::build::first_error::Patterns;
use crate::config::Config;
use crate::mail::{self, Alarm, FirstError, Kind, Sources, Unbuilt, disk_text, held_text, is_full};
use crate::names::State;
use crate::spool::{Spool, batch, check, report};

/// What cannot be published for so long is the admin's business; what is mended sooner is not.
const HELD: SignedDuration = SignedDuration::from_hours(1);

/// Sends the mails owed, then tells the programs that want to hear of what has ended; returns what was done, and what those
/// failed in.
///
/// # Errors
/// The first mail that could not be sent, after the programs were told too; it stays owed.
pub fn notify(config: &Config, spool: &Spool, clock: &Clock) -> Result<Told> {
    let patterns = LazyCell::new(|| Patterns::of(config));
    let sources = Sources {
        first_error: &|log| first_error_of(&patterns, log),
        alarms: &|told| alarms(config, spool, told, clock),
        daily: &|| daily(config, spool, clock),
        commits: &|ticket, old, new| site::commits(config, (&ticket.tree, &ticket.path), (old, new)),
        hooked: &|outcome| hooks::wanted(&config.hooks, outcome.as_str()),
    };
    let mailed = mail::notify(spool, config, &sources, clock);
    let failed = hooks::tell(config, spool);
    Ok(Told { mails: mailed?.sent, failed: failed? })
}

/// Who was told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// How many mails were accepted.
    pub mails: usize,
    /// A line for each program of the hooks that failed.
    pub failed: Vec<String>,
}

impl Told {
    /// Returns a line for each thing done.
    pub fn lines(self) -> Vec<String> {
        let mut lines = match self.mails {
            0 => Vec::new(),
            1 => vec!["sent 1 mail".to_owned()],
            n => vec![format!("sent {n} mails")],
        };
        lines.extend(self.failed);
        lines
    }
}

fn first_error_of(patterns: &Patterns, log: &Path) -> Option<FirstError> {
    let found = patterns.of_file(log).ok()?.found?;
    Some(FirstError { line: found.line, before: found.before, text: found.text, after: found.after })
}

/// What is wrong with the farm now; `told`: whether its admin has heard of that word.
fn alarms(config: &Config, spool: &Spool, told: mail::Told, clock: &Clock) -> Result<Vec<Alarm>> {
    let mut alarms = held(spool, clock)?;
    let (free, least) = (durable::available(spool.root())?, config.quota.free.0);
    let disk = Alarm { kind: Kind::Disk, key: "spool".to_owned(), text: disk_text(free, least) };
    alarms.extend(is_full(free, least, told(&disk.word())).then_some(disk));
    Ok(alarms)
}

/// Built, not published.
fn held(spool: &Spool, clock: &Clock) -> Result<Vec<Alarm>> {
    let mut alarms = Vec::new();
    for (id, epoch) in report::held(spool)? {
        let Some(entry) = report::ended(spool, &id, epoch)?.filter(|entry| entry.state() == State::Built)
        else {
            continue;
        };
        let (Some(report), Some(why)) = (entry.report(spool)?, report::why_held(spool, &entry)?) else {
            continue;
        };
        let waits = why.contains(publish::LATER) || why.contains(batch::BACK);
        let kept = durable::present(&spool.hold(&id, epoch))?;
        if kept && clock.now().duration_since(report.ended) >= HELD && !waits {
            let text = held_text(&report.item().to_string(), report.ended, &why);
            alarms.push(Alarm { kind: Kind::Held, key: format!("{id}.{epoch}"), text });
        }
    }
    Ok(alarms)
}

/// What is unbuilt, and what is wrong with the spool.
fn daily(config: &Config, spool: &Spool, clock: &Clock) -> Result<(Vec<Unbuilt>, Vec<Alarm>)> {
    let mut alarms = Vec::new();
    let rows = match config.mail.daily || config.mail.list.is_some() {
        true => match site::missing(config, spool, clock) {
            Ok(rows) => rows,
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                alarms.push(Alarm { kind: Kind::Unbuilt, key: "trees".to_owned(), text: error.to_string() });
                Vec::new()
            }
        },
        false => Vec::new(),
    };
    let unbuilt = |row: crate::web::UnbuiltRow| Unbuilt {
        item: row.item,
        tree: row.tree,
        since: row.since,
        cause: row.cause,
        maintainer: row.maintainer,
    };
    let problems = check::check(spool, false, clock)?;
    let many = problems.len();
    alarms.extend(problems.first().map(|first| Alarm {
        kind: Kind::Sum,
        key: "spool".to_owned(),
        text: format!("syncpkg-check has {many} to say, first: {first}"),
    }));
    Ok((rows.into_iter().map(unbuilt).collect(), alarms))
}
