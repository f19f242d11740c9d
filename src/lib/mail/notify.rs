//! The round of mails: looks at every note in `owed/`, tells whom it concerns, forgets the note.

use std::path::{Path, PathBuf};

use lettre::Message;
use lettre::message::Mailbox;

use super::message::{about_builder, admin, cut, same};
use super::{Audience, Decision, Failure, FirstError, Letter, Mailer, News, address, compose, decide};
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, durable, lock};
use crate::config::Config;
use crate::names::{Builder, Id, Outcome, State};
use crate::spool::{Entry, History, Report, Spool, Stand, Ticket, aside, builder, list, report};

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Mails that were accepted.
    pub sent: usize,
    /// Notes that stay owed: a report still in progress, a mail nobody took.
    pub kept: usize,
    /// Notes that came to nothing: void, or nobody is to be told.
    pub dropped: usize,
}

/// What became of one note.
enum Done {
    Sent,
    Kept,
    Dropped,
}

/// What the round works with.
struct Round<'a> {
    spool: &'a Spool,
    config: &'a Config,
    mailer: Mailer,
    first_error: &'a dyn Fn(&Path) -> Option<FirstError>,
    clock: &'a Clock,
}

type Note = (Id, u32, Outcome);

/// Sends the mails owed. `first_error` looks into a log.
///
/// # Errors
/// The first mail that could not be sent, after all others were tried (none, when the server is not there at
/// all): its note stays, try again later. Wrong addresses in the configuration.
pub fn notify(
    spool: &Spool,
    config: &Config,
    first_error: &dyn Fn(&Path) -> Option<FirstError>,
    clock: &Clock,
) -> Result<Summary> {
    let _lock = lock::exclusive(&spool.at("lock").join("notify"), lock::PATIENCE)?;
    let round = Round { spool, config, mailer: Mailer::open(&config.mail)?, first_error, clock };
    let (mut summary, mut first) = (Summary::default(), None);
    let builders = builder::listed(spool, clock.now())?;
    let about_builders = builders.iter().filter_map(|builder| round.tell_of(&builder.name).transpose());
    let notes = report::owed(spool)?;
    for done in about_builders.chain(notes.iter().map(|note| round.settle(note))) {
        match done {
            Ok(Done::Sent) => summary.sent += 1,
            Ok(Done::Kept) => summary.kept += 1,
            Ok(Done::Dropped) => summary.dropped += 1,
            // A thousand timeouts would tell no more than one.
            Err(Failure::Unreachable(error)) => return Err(first.unwrap_or(error)),
            Err(failure @ (Failure::Later(_) | Failure::Refused(_))) => {
                summary.kept += 1;
                first.get_or_insert(failure.into_error());
            }
        }
    }
    first.map_or(Ok(summary), Err)
}

impl Round<'_> {
    fn settle(&self, note: &Note) -> Result<Done, Failure> {
        let (id, epoch, outcome) = note;
        let copy = self.copy(note);
        if copy.exists() {
            // Accepted before; whoever took it may have died between the copy and its fsync.
            durable::confirm(&copy)?;
            return self.forget(note, Done::Sent);
        }
        let ended = report::ended(self.spool, id, *epoch)?;
        let Some(entry) = ended.filter(|entry| entry.name.stand == Stand::Done(*outcome)) else {
            return if self.in_progress(note)? { Ok(Done::Kept) } else { self.forget(note, Done::Dropped) };
        };
        let ticket = entry.ticket()?;
        let earlier = self.earlier(&entry)?;
        match decide(&ticket, *outcome, &earlier) {
            Decision::Silent => self.forget(note, Done::Dropped),
            Decision::Tell(audience, news) => {
                let report = Report::read(&self.spool.report(id, *epoch, *outcome))?;
                if news == News::Failed && self.waits(&report)? {
                    return Ok(Done::Kept);
                }
                let message = self.deliver(audience, news, &ticket, &report)?;
                durable::put(&self.spool.tmp(), &copy, &message.formatted())?;
                self.forget(note, Done::Sent)
            }
        }
    }

    /// Whose fault it was is not clear yet.
    fn waits(&self, report: &Report) -> Result<bool> {
        let Some(builder) = &report.builder else { return Ok(false) };
        let (rules, now) = (&self.config.trouble, self.clock.now());
        aside::holds_mail(self.spool, builder, (&report.id, report.epoch), rules, now)
    }

    /// Tells the admin of a builder that was set aside, once.
    fn tell_of(&self, name: &Builder) -> Result<Option<Done>, Failure> {
        let now = self.clock.now();
        let Some(aside) = aside::untold(self.spool, name, now)? else { return Ok(None) };
        let message = about_builder(self.config, name, &aside, self.clock)?;
        self.mailer.send(&message)?;
        let day = now.strftime("%Y%m%d").to_string();
        let copy = self.spool.at("sent").join(day).join(format!("{name}.{}.aside.eml", now.as_second()));
        durable::put(&self.spool.tmp(), &copy, &message.formatted())?;
        aside::told(self.spool, name)?;
        Ok(Some(Done::Sent))
    }

    fn copy(&self, (id, epoch, outcome): &Note) -> PathBuf {
        self.spool.at("sent").join(id.day()).join(format!("{id}.{epoch}.{outcome}.eml"))
    }

    fn forget(&self, (id, epoch, outcome): &Note, done: Done) -> Result<Done, Failure> {
        durable::remove(&self.spool.owed(id, *epoch, *outcome))?;
        Ok(done)
    }

    /// The note is written before the rename that makes it true: until the ticket has moved on otherwise, it may
    /// still become so.
    fn in_progress(&self, (id, epoch, _): &Note) -> Result<bool, Failure> {
        let found = list::find(self.spool, id)?;
        Ok(found.is_some_and(|entry| match entry.name.stand {
            Stand::Waiting(_) | Stand::Building(_) => entry.name.epoch == *epoch,
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

    /// Sends the mail to whom it concerns; to the admin when that is nobody the server takes.
    fn deliver(
        &self,
        audience: Audience,
        news: News,
        ticket: &Ticket,
        report: &Report,
    ) -> Result<Message, Failure> {
        let admin = admin(self.config)?;
        let (to, because) = recipient(audience, ticket, &admin);
        let first = match self.hand_over(news, ticket, report, to.clone(), because) {
            Err(Failure::Refused(error)) if !same(&to, &admin) => error,
            other => return other,
        };
        let because = format!(
            "You get this mail as the admin of the farm, because the maintainer's address was\nrefused: {}",
            cut(&first.to_string(), 400)
        );
        self.hand_over(news, ticket, report, admin, because)
    }

    fn hand_over(
        &self,
        news: News,
        ticket: &Ticket,
        report: &Report,
        to: Mailbox,
        because: String,
    ) -> Result<Message, Failure> {
        let log = self.spool.log(&report.id, report.epoch);
        let first_error = match news {
            News::Failed | News::Trouble if report.log => (self.first_error)(&log),
            News::Failed | News::Trouble | News::Fixed => None,
        };
        let letter = Letter { news, ticket, report, first_error, to, because };
        let message = compose(self.config, &letter, self.clock)?;
        self.mailer.send(&message).map(|()| message)
    }
}

/// Returns who gets the mail, and the sentence that says why.
fn recipient(audience: Audience, ticket: &Ticket, admin: &Mailbox) -> (Mailbox, String) {
    let as_admin = "You get this mail as the admin of the farm".to_owned();
    match (audience, &ticket.maintainer) {
        (Audience::Admin, _) => (admin.clone(), format!("{as_admin}.")),
        (Audience::Maintainer, None) => {
            (admin.clone(), format!("{as_admin}, because the recipe names no maintainer."))
        }
        (Audience::Maintainer, Some(text)) => match address(text) {
            Some(mailbox) => {
                (mailbox, "You get this mail because the recipe names you as its maintainer.".to_owned())
            }
            None => (
                admin.clone(),
                format!(
                    "{as_admin}, because the recipe's maintainer has no usable\naddress: {}",
                    cut(text, 200)
                ),
            ),
        },
    }
}

/// A failing disk is no reason to stop: the next note may lie elsewhere.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Later(error)
    }
}
