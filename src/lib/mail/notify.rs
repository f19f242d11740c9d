//! The round of mails: decides who is told of what has ended, writes the letters, delivers them.
//!
//! Each step is finished before the next begins, and leaves its result on the disk before it takes away what it came
//! from: a note, the same note for each who is told, a letter, the copy of it. So whoever is killed leaves what the next
//! round goes on with.

use std::collections::BTreeSet;
use std::path::Path;

use super::alarm::{self, Alarm, Kind};
use super::contacts::Contacts;
use super::digest::{self, Unbuilt};
use super::memory;
use super::note::{self, Audience, Note};
use super::{FirstError, Mailer, decide, post};
use crate::base::error::readable;
use crate::base::{Clock, Result, durable, lock};
use crate::config::Config;
use crate::names::{Id, Outcome, Revision, State};
use crate::spool::{Entry, History, Report, Spool, Stand, Ticket, aside, builder, list, report};

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Mails that were accepted.
    pub sent: usize,
    /// What is still to be told: a report still in progress, what waits for the next mail, a mail nobody took.
    pub kept: usize,
    /// Notes that came to nothing: void, or nobody is to be told.
    pub dropped: usize,
}

/// Tells whether the admin has heard of a word.
pub type Told<'a> = &'a dyn Fn(&str) -> bool;

/// What the other rooms know.
pub struct Sources<'a> {
    /// Looks for the first error of a log.
    pub first_error: &'a dyn Fn(&Path) -> Option<FirstError>,
    /// Says what is wrong with the farm now; told whether the admin has heard of that word.
    pub alarms: &'a dyn Fn(Told) -> Result<Vec<Alarm>>,
    /// Says, once a day, what is unbuilt, and what does not add up.
    pub daily: &'a dyn Fn() -> Result<(Vec<Unbuilt>, Vec<Alarm>)>,
    /// Names the latest commits to the ticket's recipe between two revisions, a line each, latest first.
    pub commits: &'a dyn Fn(&Ticket, &Revision, &Revision) -> Vec<String>,
    /// Tells whether some program wants to hear of such an end.
    pub hooked: &'a dyn Fn(Outcome) -> bool,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

/// What the round works with.
pub(super) struct Round<'a> {
    pub spool: &'a Spool,
    pub config: &'a Config,
    pub sources: &'a Sources<'a>,
    pub contacts: Contacts<'a>,
    pub clock: &'a Clock,
    pub summary: Summary,
    /// What went wrong first; the rest went on.
    pub error: Option<crate::base::Error>,
}

/// From this hour on, UTC, the daily lists are sent.
const MORNING: i8 = 6;

/// For so long it is believed that an address is refused, days.
const REFUSED: i64 = 7;

/// Decides who is told of what has ended, and sends the mails.
///
/// # Errors
/// The first thing that went wrong, after all else was tried; what is owed stays owed. Wrong addresses in the
/// configuration.
pub fn notify(spool: &Spool, config: &Config, sources: &Sources, clock: &Clock) -> Result<Summary> {
    let _lock = lock::exclusive(&spool.at("lock").join("notify"), lock::PATIENCE)?;
    let contacts = Contacts::new(spool, config)?;
    // What is wrong with the configuration is said before there is a mail that cannot be sent.
    drop(Mailer::open(config)?);
    let mut round =
        Round { spool, config, sources, contacts, clock, summary: Summary::default(), error: None };
    // What is in the post already is told: nothing of it may be written once more.
    post::letters(spool)?;
    for note in note::all(spool)?.iter().filter(|note| note.to.is_none()) {
        let settled = round.settle(note);
        round.hear(settled);
    }
    let told = round.tell_of_builders();
    round.hear(told);
    let daily = round.daily();
    round.hear(daily);
    let mut unusable = Vec::new();
    let written = round.write(&mut unusable);
    round.hear(written);
    let alarmed = round.alarm(unusable);
    round.hear(alarmed);
    if round.deliver()? {
        // An address was refused: whoever stands in for it is told at once.
        let mut unusable = Vec::new();
        round.write(&mut unusable)?;
        round.alarm(unusable)?;
        round.deliver()?;
    }
    let Round { mut summary, error, .. } = round;
    summary.kept += note::all(spool)?.iter().filter(|note| note.to.is_none_or(Audience::is_person)).count();
    error.map_or(Ok(summary), Err)
}

impl Round<'_> {
    pub fn hear(&mut self, done: Result<()>) {
        if let Err(error) = done {
            self.error.get_or_insert(error);
        }
    }

    /// Decides who is told: a note for each of them, in place of the one.
    fn settle(&mut self, note: &Note) -> Result<()> {
        let Some(entry) = self.ended(note)? else {
            if !self.in_progress(note)? {
                self.drop_note(note)?;
            }
            return Ok(());
        };
        let ticket = entry.ticket()?;
        if note.outcome == Outcome::Failed && self.waits(note)? {
            return Ok(());
        }
        let pusher = self.contacts.pusher(&ticket).is_some();
        let mut told = decide(&ticket, note.outcome, &self.earlier(&entry)?, pusher);
        told.extend((self.sources.hooked)(note.outcome).then_some(Audience::Hook));
        for audience in &told {
            let note = note.to(*audience);
            // A copy that is there says that it was sent, whoever put the note there again.
            if !post::is_known(self.spool, &note.to_string(), self.clock.now())? {
                durable::put(&self.spool.tmp(), &note.path(self.spool), b"")?;
            }
        }
        match told.iter().any(|audience| audience.is_person()) {
            true => durable::remove(&note.path(self.spool)),
            false => self.drop_note(note),
        }
    }

    pub fn drop_note(&mut self, note: &Note) -> Result<()> {
        self.summary.dropped += 1;
        durable::remove(&note.path(self.spool))
    }

    /// Returns the ended ticket whose end the note is about; none if it did not end so.
    pub fn ended(&self, note: &Note) -> Result<Option<Entry>> {
        let ended = report::ended(self.spool, &note.id, note.epoch)?;
        Ok(ended.filter(|entry| entry.name.stand == Stand::Done(note.outcome)))
    }

    /// Whose fault it was is not clear yet.
    fn waits(&self, note: &Note) -> Result<bool> {
        let report = Report::read(&self.spool.report(&note.id, note.epoch, note.outcome))?;
        let Some(builder) = &report.builder else { return Ok(false) };
        let (rules, now) = (&self.config.trouble, self.clock.now());
        aside::holds_mail(self.spool, builder, (&report.id, report.epoch), rules, now)
    }

    /// The note is written before the rename that makes it true: until the ticket has moved on otherwise, it may
    /// still become so.
    fn in_progress(&self, note: &Note) -> Result<bool> {
        let found = list::find(self.spool, &note.id)?;
        Ok(found.is_some_and(|entry| match entry.name.stand {
            Stand::Waiting(_) | Stand::Building(_) => entry.name.epoch == note.epoch,
            Stand::Done(_) => false,
        }))
    }

    fn earlier(&self, entry: &Entry) -> Result<Vec<(Entry, Option<Ticket>)>> {
        let name = &entry.name;
        let history = History::of(self.spool, &name.tree, &name.item.name)?.of_arch(&name.item.arch);
        let is_older = |other: &Entry| other.name.id < name.id;
        let is_judged = |other: &Entry| matches!(other.state(), State::Built | State::Failed);
        let judged = history.entries().filter(is_older).rfind(is_judged);
        let same = history.of_item(&name.item);
        same.entries()
            .filter(is_older)
            .chain(judged)
            .map(|other| {
                let ticket = readable(other.ticket())?;
                Ok((other, ticket))
            })
            .collect()
    }

    /// Tells the admin of builders that were set aside, each once.
    fn tell_of_builders(&mut self) -> Result<()> {
        let now = self.clock.now();
        for builder in builder::listed(self.spool, now)? {
            let Some(aside) = aside::untold(self.spool, &builder.name, now)? else { continue };
            let since = aside.since.or(aside.until).unwrap_or(now);
            let name = format!("{}.{}.aside", builder.name, since.as_second());
            let admin = &self.contacts.admin;
            let mail = digest::about_builder(self.config, &name, admin, (&builder.name, &aside), self.clock)?;
            let settles = vec![format!("builder/{}", builder.name)];
            post::put(self.spool, &name, &mail.formatted(), &admin.email, settles, now)?;
        }
        Ok(())
    }

    /// Tells the admin what is wrong with the farm, each thing once; `more` is what was found meanwhile.
    fn alarm(&mut self, more: Vec<Alarm>) -> Result<()> {
        let told = memory::told(self.spool)?;
        let mut alarms = (self.sources.alarms)(&|word| told.contains_key(word))?;
        alarms.extend(more);
        self.tell(&alarms, &[Kind::Disk, Kind::Held, Kind::Address])
    }

    /// Tells the admin of what is new among the alarms, and forgets what is over of these kinds.
    fn tell(&mut self, alarms: &[Alarm], kinds: &[Kind]) -> Result<()> {
        let (told, now) = (memory::told(self.spool)?, self.clock.now());
        let (new, over) = alarm::due(alarms, &told, kinds, now);
        for kind in Kind::ALL {
            let alarms: Vec<&Alarm> = new.iter().copied().filter(|alarm| alarm.kind == kind).collect();
            if alarms.is_empty() {
                continue;
            }
            let name = format!("{}.{}", Id::new(now), kind.as_str());
            let admin = &self.contacts.admin;
            let mail = digest::alarms(self.config, &name, admin, (kind, &alarms), self.clock)?;
            let settles: BTreeSet<String> =
                alarms.iter().map(|alarm| format!("told/{}", alarm.word())).collect();
            let settles = settles.into_iter().collect();
            post::put(self.spool, &name, &mail.formatted(), &admin.email, settles, now)?;
        }
        over.iter().try_for_each(|word| memory::forget(self.spool, word))
    }

    /// Sends the lists of the day, and looks at what is looked at once a day.
    fn daily(&mut self) -> Result<()> {
        let now = self.clock.now();
        let morning = now.to_zoned(jiff::tz::TimeZone::UTC);
        let today = format!("daily-{}", morning.strftime("%Y%m%d"));
        let told = memory::told(self.spool)?;
        if morning.hour() < MORNING || told.contains_key(&today) {
            return Ok(());
        }
        let (rows, alarms) = (self.sources.daily)()?;
        self.tell(&alarms, &[Kind::Sum, Kind::Unbuilt])?;
        self.lists(&rows, &today)?;
        let old = |(word, at): &(&String, &jiff::Timestamp)| {
            let days = now.duration_since(**at).as_hours() / 24;
            word.starts_with("daily-") || (word.starts_with("refused-") && days >= REFUSED)
        };
        told.iter().filter(old).try_for_each(|(word, _)| memory::forget(self.spool, word))?;
        memory::remember(self.spool, &today, now, "")
    }
}
