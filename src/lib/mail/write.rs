//! Writing the letters: what each address is told, alone or in a digest.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lettre::message::Mailbox;

use super::alarm::{Alarm, Kind};
use super::contacts::{Contact, Contacts, key};
use super::digest::{self, Item, Unbuilt};
use super::message::{Letter, Past, compose, cut};
use super::note::{self, Audience, Note};
use super::notify::Round;
use super::{News, decide, hour, memory, post};
use crate::base::{Error, Result};
use crate::names::{Id, Name, Outcome};
use crate::spool::{Entry, History, Report, Stand, Ticket, waiting};

/// So many packages that wait for one are named.
const WAITING: usize = 200;

/// One thing that somebody is told.
struct Case {
    note: Note,
    news: News,
    ticket: Ticket,
    report: Report,
    past: Past,
    to: Mailbox,
    because: String,
}

/// What becomes of a note.
enum Fate {
    Told(Box<Case>),
    /// Nobody is to be told any more.
    Void,
}

impl Round<'_> {
    /// Writes the letters that may be written now; what was found out about addresses goes to `unusable`.
    pub fn write(&mut self, unusable: &mut Vec<Alarm>) -> Result<()> {
        let notes = note::all(self.spool)?;
        let owed: BTreeSet<Note> = notes.iter().copied().collect();
        // What is not decided for all is told to none; the programs have their own time.
        let decided =
            |note: &&Note| note.to.is_some_and(Audience::is_person) && !owed.contains(&note.plain());
        let (mut cases, mut void): (BTreeMap<String, Vec<Case>>, Vec<Note>) = Default::default();
        for note in notes.iter().filter(decided) {
            match self.fate(note, &owed, unusable) {
                Ok(Fate::Told(case)) => cases.entry(key(&case.to)).or_default().push(*case),
                Ok(Fate::Void) => void.push(*note),
                Err(error) => self.hear(Err(error)),
            }
        }
        // Youngest first: what was fixed before anybody knew of it goes before the failure it goes with.
        void.iter().rev().try_for_each(|note| self.drop_note(note))?;
        let mut mails = memory::Mails::read(self.spool, self.clock.now())?;
        for (address, cases) in &cases {
            let sizes = hour::share(cases.len(), mails.count(address), self.config.mail.hourly);
            let mut rest = cases.as_slice();
            for size in sizes {
                let (these, others) = rest.split_at_checked(size).unwrap_or((rest, &[]));
                rest = others;
                self.letter(these)?;
                mails.add(address, self.clock.now());
            }
        }
        mails.write(self.spool)
    }

    fn fate(&self, note: &Note, owed: &BTreeSet<Note>, unusable: &mut Vec<Alarm>) -> Result<Fate> {
        let (Some(to), Some(news)) = (note.to, News::of(note.outcome)) else { return Ok(Fate::Void) };
        let Some(entry) = self.ended(note)? else { return Ok(Fate::Void) };
        let name = &entry.name;
        let history = History::of(self.spool, &name.tree, &name.item.name)?.of_arch(&name.item.arch);
        let ended: Vec<Entry> = history.entries().collect();
        if decide::is_over(note.outcome, &later(&ended, &entry)) {
            return Ok(Fate::Void);
        }
        let failures = failures(&ended, &entry);
        if note.outcome == Outcome::Built && failures.first().is_some_and(|first| is_owed(first, owed)) {
            return Ok(Fate::Void);
        }
        let ticket = entry.ticket()?;
        let (to, because) = match self.contacts.of(to, &ticket)? {
            Contact::Nobody => return Ok(Fate::Void),
            Contact::Known(to, because) => (to, because),
            Contact::Unusable(text, why) => {
                let text_of = format!("{} ({}): {why}", cut(&text, 200), ticket.path);
                unusable.push(Alarm { kind: Kind::Address, key: memory::hash(&text), text: text_of });
                (self.contacts.admin.clone(), Contacts::in_place_of(&text, &why))
            }
        };
        let report = Report::read(&self.spool.report(&note.id, note.epoch, note.outcome))?;
        let past = self.past(&ended, &entry, &failures)?;
        Ok(Fate::Told(Box::new(Case { note: *note, news, ticket, report, past, to, because })))
    }

    /// Looks up what came before.
    fn past(&self, ended: &[Entry], entry: &Entry, failures: &[&Entry]) -> Result<Past> {
        let older = ended.iter().rev().filter(|other| other.name.id < entry.name.id);
        let good = older.clone().find(|other| other.name.stand == Stand::Done(Outcome::Built));
        let good = match good {
            Some(good) => good.report(self.spool)?.map(|report| {
                (format!("{}-{}", report.version, report.release), report.revision, report.ended)
            }),
            None => None,
        };
        let first = match failures.first() {
            Some(first) => Some((mail_of(first), self.time(first)?)),
            None => None,
        };
        Ok(Past { first, failures: failures.len(), good, commits: Vec::new() })
    }

    fn time(&self, entry: &Entry) -> Result<Timestamp> {
        Ok(entry.report(self.spool)?.map_or_else(|| entry.name.id.time(), |report| report.ended))
    }

    /// Puts one letter about these things, all for the same address, into the post.
    fn letter(&self, cases: &[Case]) -> Result<()> {
        let [first, more @ ..] = cases else { return Ok(()) };
        let now = self.clock.now();
        let (name, mail) = if more.is_empty() {
            let name = first.note.to_string();
            (name.clone(), self.single(&name, first)?)
        } else {
            let name = format!("{}.digest", Id::new(now));
            let items: Vec<Item> = cases
                .iter()
                .map(|case| Item { news: case.news, ticket: &case.ticket, report: &case.report })
                .collect();
            let mail = digest::digest(self.config, &name, &first.to, (&items, &first.because), self.clock)?;
            (name, mail)
        };
        let settles = cases.iter().map(|case| format!("owed/{}", case.note)).collect();
        post::put(self.spool, &name, &mail.formatted(), &first.to.email, settles, now)
    }

    fn single(&self, name: &str, case: &Case) -> Result<lettre::Message> {
        let Case { news, ticket, report, past, to, because, .. } = case;
        let log = self.spool.log(&report.id, report.epoch);
        let first_error = match news {
            News::Failed | News::Trouble if report.log => (self.sources.first_error)(&log),
            News::Failed | News::Trouble | News::Fixed => None,
        };
        let commits = match (news, &past.good) {
            (News::Failed | News::Trouble, Some((_, good, _))) => {
                (self.sources.commits)(ticket, good, &report.revision)
            }
            _ => Vec::new(),
        };
        let waiting: Vec<Name> = waiting::behind(self.spool, &ticket.tree, &ticket.name, WAITING)?;
        let letter = Letter {
            news: *news,
            ticket,
            report,
            past: Past { commits, ..past.clone() },
            waiting,
            first_error,
            to: to.clone(),
            because: because.clone(),
        };
        compose(self.config, name, &letter, self.clock)
    }

    /// Writes the daily lists of what is unbuilt: each maintainer's own, and all of it.
    pub fn lists(&self, rows: &[Unbuilt], word: &str) -> Result<()> {
        if let (Some(list), false) = (&self.contacts.list, rows.is_empty()) {
            let rows: Vec<&Unbuilt> = rows.iter().collect();
            self.list(list, &rows, "This list is sent each day on which something is missing.", word)?;
        }
        let mut own: BTreeMap<String, (Mailbox, Vec<&Unbuilt>)> = BTreeMap::new();
        for row in rows.iter().filter(|row| self.config.mail.daily && row.maintainer.is_some()) {
            // What is whose whom nobody can reach is in the list of all.
            if let Contact::Known(to, _) = self.contacts.maintainer(row.maintainer.as_deref())? {
                own.entry(key(&to)).or_insert_with(|| (to, Vec::new())).1.push(row);
            }
        }
        let because = "You get this mail because their recipes name you as their maintainer; it is sent each\nday on which something is missing.";
        own.values().try_for_each(|(to, rows)| self.list(to, rows, because, word))
    }

    fn list(&self, to: &Mailbox, rows: &[&Unbuilt], because: &str, word: &str) -> Result<()> {
        let name = format!("unbuilt-{word}.{}", memory::hash(&key(to)));
        let mail = digest::unbuilt(self.config, &name, to, (rows, because), self.clock)?;
        post::put(self.spool, &name, &mail.formatted(), &to.email, Vec::new(), self.clock.now())
    }

    /// Delivers what is in the post and due. Tells whether some address was refused, and what was for it is owed again.
    pub fn deliver(&mut self) -> Result<bool> {
        let (letters, now) = (post::letters(self.spool)?, self.clock.now());
        let server = post::server(self.spool)?;
        if letters.is_empty() || !server.is_due(now) {
            // The same is said until it is tried again: whoever has heard of it need not hear of it as if it were new.
            self.hear(if letters.is_empty() { Ok(()) } else { Err(Error::again(server.error)) });
            self.summary.kept += letters.len();
            return Ok(false);
        }
        let mut mailer = super::Mailer::open(self.config)?;
        let (mut taken_back, mut gone) = (false, None::<Error>);
        for letter in letters {
            if let Some(error) = &gone {
                // One that is old enough is given up all the same.
                self.summary.kept += usize::from(!letter.expired(self.spool, &error.to_string(), now)?);
                continue;
            }
            if !letter.tried.is_due(now) {
                self.summary.kept += 1;
                self.hear(Err(Error::again(letter.tried.error)));
                continue;
            }
            let to = letter.to()?;
            match mailer.send(&to, &letter.mail(self.spool)?) {
                Ok(()) => {
                    letter.sent(self.spool)?;
                    self.summary.sent += 1;
                }
                Err(super::Failure::Refused(error)) if self.takes_back(&letter, &error)? => taken_back = true,
                Err(super::Failure::Refused(error) | super::Failure::Later(error)) => {
                    self.summary.kept += usize::from(!letter.failed(self.spool, &error.to_string(), now)?);
                    self.hear(Err(error));
                }
                // No fault of the letter's.
                Err(super::Failure::Unreachable(error)) => {
                    self.summary.kept += usize::from(!letter.expired(self.spool, &error.to_string(), now)?);
                    gone = Some(error);
                }
            }
        }
        mailer.close();
        post::server_failed(self.spool, gone.as_ref().map(ToString::to_string).as_deref(), now)?;
        self.hear(gone.map_or(Ok(()), Err));
        Ok(taken_back)
    }

    /// An address was refused: that is remembered, and what was for it is owed again; tells whether there is such. Not the
    /// admin's, in whose place nobody stands.
    fn takes_back(&self, letter: &post::Letter, error: &Error) -> Result<bool> {
        let address = letter.slip.to.to_ascii_lowercase();
        if address == key(&self.contacts.admin) {
            return Ok(false);
        }
        let word = super::contacts::refused(&address);
        memory::remember(self.spool, &word, self.clock.now(), &error.to_string())?;
        let owed = letter.is_about_tries();
        if owed {
            letter.take_back(self.spool)?;
        }
        Ok(owed)
    }
}

/// How the later tickets of the package ended.
fn later(ended: &[Entry], entry: &Entry) -> Vec<Outcome> {
    let later = ended.iter().filter(|other| other.name.id > entry.name.id);
    later
        .filter_map(|other| match other.name.stand {
            Stand::Done(outcome) => Some(outcome),
            Stand::Waiting(_) | Stand::Building(_) => None,
        })
        .collect()
}

/// Returns the failures since the package was built last before `entry`, oldest first; `entry` among them if it failed.
fn failures<'a>(ended: &'a [Entry], entry: &Entry) -> Vec<&'a Entry> {
    let known = ended.iter().rev().filter(|other| other.name.id <= entry.name.id);
    let is_good =
        |other: &&Entry| other.name.stand == Stand::Done(Outcome::Built) && other.name.id != entry.name.id;
    let since = known.take_while(|other| !is_good(other));
    let mut failures: Vec<&Entry> =
        since.filter(|other| other.name.stand == Stand::Done(Outcome::Failed)).collect();
    failures.reverse();
    failures
}

/// Tells whether the maintainer has still to hear of that failure.
fn is_owed(entry: &Entry, owed: &BTreeSet<Note>) -> bool {
    let note = Note { id: entry.name.id, epoch: entry.name.epoch, outcome: Outcome::Failed, to: None };
    owed.contains(&note) || owed.contains(&note.to(Audience::Maintainer))
}

/// The name of the letter that told the maintainer of that failure.
fn mail_of(entry: &Entry) -> String {
    let note = Note { id: entry.name.id, epoch: entry.name.epoch, outcome: Outcome::Failed, to: None };
    note.to(Audience::Maintainer).to_string()
}
