//! The drop box: what users who do not own the spool ask for, handed in as files and acted on by its owner.
//!
//! Whoever may create files in `drop/` (mode 1730, a group) may ask; the asker is the file's owner. What lies
//! there is hostile: it is read once, judged by that copy, and recipes are read by the owner himself.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::abort;
use super::ask::{Answered, Asker, Wish, ask};
use super::push::{self, Push};
use super::user_name;
use crate::base::durable::{self, Put};
use crate::base::error::Kind;
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, lock};
use crate::config::{Config, Role};
use crate::names::Id;
use crate::spool::{Entry, History, Spool, abort as tickets, check::quarantine, list};
use crate::web::Act;

/// The largest request that is read, bytes: a push of 10,000 recipes fits.
const LARGEST: u64 = 1 << 20;

/// The longest reason, and name of a maintainer, bytes.
const LONGEST: usize = 2000;

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Builds.
    Enqueue {
        /// What of.
        items: Vec<String>,
        /// How.
        wish: Wish,
    },
    /// Builds of what a push changed.
    Push(Push),
    /// An end.
    Abort {
        /// Of what.
        what: String,
        /// Why.
        reason: String,
    },
}

impl Request {
    /// What is copied into every ticket is short, or one request fills the disk.
    fn bounded(&self) -> Result<()> {
        let (reason, maintainer) = match self {
            Request::Enqueue { wish, .. } | Request::Push(Push { wish, .. }) => {
                (&wish.reason, wish.maintainer.as_deref())
            }
            Request::Abort { reason, .. } => (reason, None),
        };
        if reason.len() > LONGEST || maintainer.is_some_and(|text| text.len() > LONGEST) {
            return Err(Error::wrong(format!(
                "cannot take the request: a reason of more than {LONGEST} bytes"
            )));
        }
        Ok(())
    }
}

/// A request as a file.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    format: u32,
    /// Who has signed in at the web server; believed only in files of its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    request: Request,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    /// A user of this host.
    Host(String),
    /// Somebody who has signed in at the web server.
    Web(String),
}

/// What follows the name of whoever has asked through the web; no user of a host has a space in his.
const WEB: &str = " (web)";

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(name) => write!(f, "{name}"),
            Self::Web(name) => write!(f, "{name}{WEB}"),
        }
    }
}

/// A request that was acted on, as kept in `request/DAY/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Acted {
    format: u32,
    by: String,
    at: jiff::Timestamp,
    answers: Vec<String>,
    request: Request,
}

/// Puts a request into the drop box `place`, durably and complete.
///
/// # Errors
/// `Wrong` when this user may not; a request too large; a failing system call.
pub fn hand_in(place: &Path, request: &Request, clock: &Clock) -> Result<()> {
    hand_in_for(None, place, request, clock).map(drop)
}

/// Puts a request into the drop box `place` as [`hand_in`] does, for the `user` who has signed in at the web server;
/// returns its ID.
///
/// # Errors
/// As [`hand_in`].
pub(super) fn hand_in_for(user: Option<&str>, place: &Path, request: &Request, clock: &Clock) -> Result<Id> {
    request.bounded()?;
    let id = Id::new(clock.now());
    let letter = Letter { format: 1, user: user.map(str::to_owned), request: request.clone() };
    let text = toml::to_string(&letter)
        .map_err(|source| Error::wrong(format!("cannot write the request: {source}")))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::wrong("cannot hand in the request: it is larger than 1 MiB"));
    }
    durable::hand_in(place, &format!("{id}.toml"), text.as_bytes()).map_err(|error| {
        error.hint(format!("whoever may create files in {} may ask: see spool-layout.md", place.display()))
    })?;
    Ok(id)
}

/// How many requests one round acts on.
const MOST: usize = 1000;

/// Tells whether there is more in the drop box than one round acts on.
///
/// # Errors
/// A directory that cannot be read.
pub fn is_more(spool: &Spool) -> Result<bool> {
    Ok(list::names(&spool.at("drop"))?.len() > MOST)
}

/// Acts on what lies in the drop box, the oldest first; returns what was done, a line each. A request that must be tried
/// again stays.
///
/// # Errors
/// The worst of what went wrong; the other requests were acted on all the same.
pub fn act(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    let _lock = lock::exclusive(&spool.at("lock").join("drop"), lock::PATIENCE)?;
    let mut names = list::names(&spool.at("drop"))?;
    names.sort_unstable();
    let (mut done, mut failed) = (Vec::new(), Ok(()));
    for name in names.into_iter().take(MOST) {
        match act_on(config, spool, &spool.at("drop").join(&name), clock) {
            Ok(lines) => done.extend(lines),
            Err(error) => failed = Err(error.within(format!("request {name}"))),
        }
    }
    failed.map(|()| done)
}

fn act_on(config: &Config, spool: &Spool, path: &Path, clock: &Clock) -> Result<Vec<String>> {
    let (from, request) = match open(path, config.web.user.as_deref()) {
        Ok(opened) => opened,
        Err(error) if error.kind == Kind::Again => return Err(error),
        Err(error) => return quarantine(spool, path, &error.to_string()).map(|()| vec![error.to_string()]),
    };
    let by = from.to_string();
    let done =
        may(config, spool, &from, &request).and_then(|()| carry_out(config, spool, &by, &request, clock));
    let answers = match done {
        Ok(answers) => answers,
        Err(error) if error.may_pass() => return Err(error),
        Err(error) => vec![error.to_string()],
    };
    let lines = answers.iter().map(|answer| format!("{by}: {answer}")).collect();
    keep(spool, path, Acted { format: 1, by, at: clock.now(), answers, request })?;
    durable::remove(path)?;
    Ok(lines)
}

/// Who asks is who owns the file, or, when that is the web server's user, who has signed in there. A file with two names
/// may be somebody else's.
pub(super) fn open(path: &Path, web: Option<&str>) -> Result<(From, Request)> {
    let file = durable::open_regular(path)?;
    let meta = file.metadata().map_err(|source| Error::io("look at", path, source))?;
    if meta.nlink() != 1 {
        return Err(Error::wrong(format!("cannot take {}: it has more than one name", path.display())));
    }
    let bytes = durable::read_open(file, path, LARGEST)?;
    let wrong = |why: String| Error::wrong(format!("cannot read {}: {why}", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let letter: Letter =
        toml::from_str(&text).map_err(|source| wrong(source.message().replace('\n', " ")))?;
    if letter.format != 1 {
        return Err(wrong("its format is not 1".to_owned()));
    }
    letter.request.bounded()?;
    let owner = user_name(meta.uid());
    let from = match letter.user {
        _ if web != Some(owner.as_str()) => From::Host(owner),
        Some(user) => From::Web(user),
        None => return Err(wrong("it does not say who has signed in".to_owned())),
    };
    Ok((from, letter.request))
}

/// Who has signed in at the web server may do what the configuration says, and nothing else.
fn may(config: &Config, spool: &Spool, from: &From, request: &Request) -> Result<()> {
    let (From::Web(user), web) = (from, &config.web) else { return Ok(()) };
    let (role, act, what) = match request {
        Request::Enqueue { items, .. } => (web.force, "force", items.as_slice()),
        Request::Abort { what, .. } => (web.abort, "abort", std::slice::from_ref(what)),
        Request::Push(_) => return Err(Error::wrong(format!("{user} cannot push through the web"))),
    };
    let may = match role {
        _ if web.admins.contains(user) => true,
        Role::User => true,
        Role::Admin => false,
        Role::Maintainer => {
            what.iter().try_fold(true, |all, what| Ok::<_, Error>(all && maintains(spool, user, what)?))?
        }
    };
    let what = what.join(" ");
    if may { Ok(()) } else { Err(Error::wrong(format!("{user} may not {act} {what}: ask {}", asked(role)))) }
}

fn asked(role: Role) -> &'static str {
    match role {
        Role::User | Role::Admin => "an admin",
        Role::Maintainer => "its maintainer or an admin",
    }
}

/// Tells whether every ticket that `what` means names `user` as its maintainer: by address, or its part before the @.
fn maintains(spool: &Spool, user: &str, what: &str) -> Result<bool> {
    let meant = tickets::meant(spool, what, History::last)?;
    let is_theirs = |entry: &Entry| -> Result<bool> {
        let maintainer = readable(entry.ticket())?.and_then(|ticket| ticket.maintainer).unwrap_or_default();
        let address = maintainer.rsplit('<').next().unwrap_or_default().trim_end_matches('>').trim();
        let local = address.split('@').next().unwrap_or_default();
        Ok([address, local].iter().any(|name| name.eq_ignore_ascii_case(user)))
    };
    Ok(!meant.is_empty()
        && meant.iter().try_fold(true, |all, entry| Ok::<_, Error>(all && is_theirs(entry)?))?)
}

/// A request that was handed in, as far as it has come: what lies in the box, or what came of it.
pub(super) enum Progress {
    /// It waits for the next round.
    Waits(Request),
    /// It was acted on.
    Acted {
        /// Who asked.
        by: String,
        /// What for.
        request: Request,
        /// When.
        at: jiff::Timestamp,
        /// What came of it.
        answers: Vec<String>,
    },
}

/// Returns how far the request `id` has come; none when there is no such.
///
/// # Errors
/// It cannot be read just now.
pub(super) fn progress(spool: &Spool, id: &Id) -> Result<Option<Progress>> {
    let name = format!("{id}.toml");
    // The box first: it is emptied after the answer is filed.
    let waits = readable(durable::read(&spool.at("drop").join(&name), LARGEST))?;
    for day in list::names(&spool.at("request"))?.iter().filter(|day| day.as_str() >= id.day()) {
        let read = readable(durable::read(&spool.at("request").join(day).join(&name), 2 * LARGEST))?;
        if let Some(acted) = read.and_then(|bytes| toml::from_slice::<Acted>(&bytes).ok()) {
            let Acted { by, at, answers, request, .. } = acted;
            return Ok(Some(Progress::Acted { by, request, at, answers }));
        }
    }
    let letter = waits.and_then(|bytes| toml::from_slice::<Letter>(&bytes).ok());
    Ok(letter.map(|letter| Progress::Waits(letter.request)))
}

/// Returns what was asked for by hand on a day, `YYYYMMDD`, by age: all but pushes.
///
/// # Errors
/// It cannot be read just now.
pub(super) fn acts(spool: &Spool, day: &str) -> Result<Vec<Act>> {
    let place = spool.at("request").join(day);
    let mut acts = Vec::new();
    for name in list::names(&place)? {
        let read = readable(durable::read(&place.join(&name), 2 * LARGEST))?;
        let acted = read.and_then(|bytes| toml::from_slice::<Acted>(&bytes).ok());
        acts.extend(acted.and_then(Acted::shown));
    }
    acts.sort_by_key(|act| act.at);
    Ok(acts)
}

/// Returns the days on which something was asked for, each with a number that changes when there is more of it.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn days(spool: &Spool) -> Result<BTreeMap<String, u64>> {
    let place = spool.at("request");
    let count = |day: String| -> Result<(String, u64)> {
        let count = list::names(&place.join(&day))?.len();
        Ok((day, u64::try_from(count).unwrap_or(u64::MAX)))
    };
    list::names(&place)?.into_iter().map(count).collect()
}

impl Acted {
    /// What is to be shown of it; none of a push.
    fn shown(self) -> Option<Act> {
        let what = wanted(&self.request);
        let reason = match self.request {
            Request::Enqueue { wish, .. } => wish.reason,
            Request::Abort { reason, .. } => reason,
            Request::Push(_) => return None,
        };
        let (by, from) = match self.by.strip_suffix(WEB) {
            Some(user) => (user.to_owned(), "web"),
            None => (self.by, "host"),
        };
        Some(Act { at: self.at, by, from, what, reason, answers: self.answers })
    }
}

/// What somebody wants, in words.
pub(super) fn wanted(request: &Request) -> String {
    match request {
        Request::Enqueue { items, wish } if wish.force => format!("force {}", items.join(" ")),
        Request::Enqueue { items, .. } => format!("build {}", items.join(" ")),
        Request::Push(_) => "build what a push brought".to_owned(),
        Request::Abort { what, .. } => format!("abort {what}"),
    }
}

fn carry_out(
    config: &Config,
    spool: &Spool,
    by: &str,
    request: &Request,
    clock: &Clock,
) -> Result<Vec<String>> {
    let asker = Asker::unwatched(by, lock::PATIENCE);
    match request {
        Request::Enqueue { items, wish } => {
            // Whom to tell is the recipe's to say, and the owner's; nobody else chooses who gets mail.
            let wish = &Wish { maintainer: None, hold_publish: false, ..wish.clone() };
            let answers = ask(config, spool, items, wish, asker, clock)?;
            Ok(answers.iter().map(said).collect())
        }
        Request::Push(push) => {
            let wish = Wish { maintainer: None, hold_publish: false, ..push.wish.clone() };
            let push = Push { wish, ..push.clone() };
            let answers = push::act(config, spool, &push, usize::MAX, asker, clock)?;
            Ok(answers.iter().map(said).collect())
        }
        Request::Abort { what, reason } => {
            let wish = abort::Wish { by: by.to_owned(), reason: reason.clone() };
            let ended = abort::abort(spool, what, &wish, clock)?;
            Ok(ended.iter().map(|ticket| format!("aborted {} {}", ticket.id, ticket.item())).collect())
        }
    }
}

fn said(answer: &Answered) -> String {
    match &answer.ticket {
        Ok((id, item)) => format!("queued {id} {item}"),
        Err(error) => error.to_string(),
    }
}

/// Keeps what was asked, by whom, and what came of it; a repeat after a crash is kept beside its first answer.
fn keep(spool: &Spool, path: &Path, acted: Acted) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("request.toml");
    let day = acted.at.strftime("%Y%m%d").to_string();
    let text = toml::to_string(&acted)
        .map_err(|source| Error::wrong(format!("cannot write the request: {source}")))?;
    let path = spool.at("request").join(day).join(name);
    if durable::put(&spool.tmp(), &path, text.as_bytes())? == Put::Differs {
        // Askers choose the names: one used twice must not leave the second act unrecorded.
        let path = path.with_extension(format!("{}.toml", crate::base::random::word(4)));
        durable::put(&spool.tmp(), &path, text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
