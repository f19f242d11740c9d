//! The post, `post/`: letters that are written and not delivered yet. Each is two files: `NAME.toml`, to whom it goes
//! and what it settles; and `NAME.eml`, the mail. The second one makes it a letter: from then on
//! what it settles is told, and its text is never written anew, so that a repeat is the same mail.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use lettre::Address;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{memory, note::Note};
use crate::base::error::readable;
use crate::base::{Error, Result, durable};
use crate::names::{Builder, Id};
use crate::spool::{Spool, aside, list};

/// The largest letter or slip that is read, bytes.
const LARGEST: u64 = 4 << 20;

/// For so long a letter is tried.
const PATIENCE: SignedDuration = SignedDuration::from_hours(5 * 24);

/// So long is waited after the first refusal, and twice as long after each further one.
const WAIT: SignedDuration = SignedDuration::from_mins(1);

/// The longest that is waited.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(4);

/// The longest that is waited for a server that is not there.
const SERVER_WAIT: SignedDuration = SignedDuration::from_mins(30);

/// What the file beside a letter ends in that says how it went so far.
const TRIED: &str = "tried";

/// The file that says so of the server.
const SERVER: &str = "server";

/// Where letters lie that nobody took.
const GIVEN_UP: &str = "given-up";

/// What is written on the outside of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slip {
    format: u32,
    /// Whose it is.
    pub to: String,
    /// When it was written.
    pub at: Timestamp,
    /// What is told by it: `owed/NOTE`, `told/WORD`, `builder/NAME`.
    pub settles: Vec<String>,
}

/// How it went so far. Not fsynced: lost, it begins anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tried {
    /// How often it was tried.
    pub tries: u32,
    /// It is not tried before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Why it was not taken.
    pub error: String,
}

impl Tried {
    /// Tells whether it is tried now. A wait that is longer than any came from a clock that was wrong.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_none_or(|next| next <= now || next.duration_since(now) > LONGEST_WAIT)
    }

    /// Returns it after one more try that failed: the wait is twice as long each time, up to `longest`.
    pub fn failed(self, error: &str, longest: SignedDuration, now: Timestamp) -> Self {
        let wait = WAIT.checked_mul(1 << self.tries.min(12)).unwrap_or(longest).min(longest);
        Self {
            tries: self.tries.saturating_add(1),
            next: now.checked_add(wait).ok(),
            error: error.to_owned(),
        }
    }
}

/// A letter that is to be delivered.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub name: String,
    pub slip: Slip,
    pub tried: Tried,
}

/// A letter that nobody took for five days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GivenUp {
    /// Its file in `post/given-up`, without `.eml`.
    pub name: String,
    /// Whose it was.
    pub to: String,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// Why it was not taken, when it was tried last.
    pub error: String,
}

fn at(spool: &Spool, name: &str, end: &str) -> PathBuf {
    spool.at("post").join(format!("{name}.{end}"))
}

/// Where the copy of a letter lies once it was taken.
fn sent(spool: &Spool, name: &str, written: Timestamp) -> PathBuf {
    let day = name.split('.').next().and_then(|id| id.parse::<Id>().ok()).map(|id| id.day().to_owned());
    let day = day.unwrap_or_else(|| written.strftime("%Y%m%d").to_string());
    spool.at("sent").join(day).join(format!("{name}.eml"))
}

/// Tells whether that letter is written already, or was sent.
pub(super) fn is_known(spool: &Spool, name: &str, written: Timestamp) -> Result<bool> {
    let copy = sent(spool, name, written);
    if durable::present(&copy)? {
        // Whoever sent it may have died between the rename and its fsync.
        return durable::confirm(&copy).map(|()| true);
    }
    durable::present(&at(spool, name, "eml"))
}

/// Puts a letter into the post, and forgets what it settles. One that is known is left as it is.
pub(super) fn put(
    spool: &Spool,
    name: &str,
    mail: &[u8],
    to: &Address,
    settles: Vec<String>,
    now: Timestamp,
) -> Result<()> {
    let slip = Slip { format: 1, to: to.to_string(), at: now, settles };
    if !is_known(spool, name, now)? {
        // One that is there has no letter: somebody died between the two.
        durable::remove(&at(spool, name, "toml"))?;
        durable::put(&spool.tmp(), &at(spool, name, "toml"), text(&slip)?.as_bytes())?;
        durable::put(&spool.tmp(), &at(spool, name, "eml"), mail)?;
    }
    settle(spool, &slip)
}

/// Forgets that somebody is to be told what is in a letter.
fn settle(spool: &Spool, slip: &Slip) -> Result<()> {
    for what in &slip.settles {
        match what.split_once('/') {
            Some(("owed", note)) => durable::remove(&note.parse::<Note>()?.path(spool))?,
            Some(("told", word)) if memory::is_word(word) => {
                memory::remember(spool, word, slip.at, "")?;
            }
            Some(("builder", name)) => aside::told(spool, &name.parse::<Builder>()?)?,
            Some(_) | None => return Err(Error::wrong(format!("a letter settles {what}: that is nothing"))),
        }
    }
    Ok(())
}

/// Returns the letters, oldest first, all of them settled; what was left by programs that were killed is gone.
pub(super) fn letters(spool: &Spool) -> Result<Vec<Letter>> {
    let mut letters = Vec::new();
    let mut names = list::names(&spool.at("post"))?;
    names.sort_unstable();
    for file in &names {
        let beside = file.strip_suffix(".toml").or_else(|| file.strip_suffix(".tried"));
        if beside.is_some_and(|name| names.binary_search(&format!("{name}.eml")).is_err()) {
            durable::remove(&spool.at("post").join(file))?;
        }
        let Some(name) = file.strip_suffix(".eml") else { continue };
        match readable(read(&at(spool, name, "toml")))? {
            Some(slip) => {
                settle(spool, &slip)?;
                let tried = tried(&at(spool, name, TRIED))?;
                letters.push(Letter { name: name.to_owned(), slip, tried });
            }
            // Nobody knows whose it is.
            None => give_up(spool, name)?,
        }
    }
    Ok(letters)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = durable::read(path, LARGEST)?;
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text).map_err(|source| Error::wrong(format!("cannot read {}: {source}", path.display())))
}

fn text<T: Serialize>(record: &T) -> Result<String> {
    toml::to_string(record).map_err(|source| Error::wrong(format!("cannot write a letter: {source}")))
}

fn write(path: &Path, tried: &Tried) -> Result<()> {
    durable::replace(path, text(tried)?.as_bytes()).map(drop)
}

/// How it went so far with the file `path`; whatever cannot be read begins anew.
fn tried(path: &Path) -> Result<Tried> {
    if !durable::present(path)? {
        return Ok(Tried::default());
    }
    Ok(readable(read(path))?.unwrap_or_default())
}

/// How it went so far with the server itself, while that is not there.
pub(super) fn server(spool: &Spool) -> Result<Tried> {
    tried(&spool.at("post").join(SERVER))
}

/// Notes that the server is not there, and waits for longer each time; it is there again with no error.
pub(super) fn server_failed(spool: &Spool, error: Option<&str>, now: Timestamp) -> Result<()> {
    let path = spool.at("post").join(SERVER);
    match error {
        Some(error) => write(&path, &tried(&path)?.failed(error, SERVER_WAIT, now)),
        None if durable::present(&path)? => durable::unlink(&path),
        None => Ok(()),
    }
}

impl Letter {
    /// Returns the bytes of the mail.
    pub fn mail(&self, spool: &Spool) -> Result<Vec<u8>> {
        durable::read(&at(spool, &self.name, "eml"), LARGEST)
    }

    /// It was taken: the letter becomes the copy, in one step.
    pub fn sent(&self, spool: &Spool) -> Result<()> {
        durable::shift(&at(spool, &self.name, "eml"), &sent(spool, &self.name, self.slip.at))?;
        self.clear(spool)
    }

    /// It was not taken: it waits for longer each time, and after five days is tried no more. Tells whether it is so.
    pub fn failed(&self, spool: &Spool, error: &str, now: Timestamp) -> Result<bool> {
        let tried = self.tried.clone().failed(error, LONGEST_WAIT, now);
        write(&at(spool, &self.name, TRIED), &tried)?;
        let over = now.duration_since(self.slip.at) >= PATIENCE;
        if over {
            give_up(spool, &self.name)?;
        }
        Ok(over)
    }

    /// Gives up a letter that is old enough, without a try; tells whether it did.
    pub fn expired(&self, spool: &Spool, error: &str, now: Timestamp) -> Result<bool> {
        let over = now.duration_since(self.slip.at) >= PATIENCE;
        if over { self.failed(spool, error, now) } else { Ok(false) }
    }

    /// Returns whose it is.
    pub fn to(&self) -> Result<Address> {
        let wrong = |_| Error::wrong(format!("cannot send {}: {} is no address", self.name, self.slip.to));
        self.slip.to.parse().map_err(wrong)
    }

    /// Tells whether it tells of tries.
    pub fn is_about_tries(&self) -> bool {
        self.slip.settles.iter().any(|what| what.starts_with("owed/"))
    }

    /// Its address will never take it: whom it told of is owed again, and somebody else hears of it.
    pub fn take_back(&self, spool: &Spool) -> Result<()> {
        for what in &self.slip.settles {
            if let Some(("owed", note)) = what.split_once('/') {
                durable::put(&spool.tmp(), &note.parse::<Note>()?.path(spool), b"")?;
            }
        }
        durable::remove(&at(spool, &self.name, "eml"))?;
        self.clear(spool)
    }

    fn clear(&self, spool: &Spool) -> Result<()> {
        durable::remove(&at(spool, &self.name, "toml"))?;
        durable::unlink(&at(spool, &self.name, TRIED))
    }
}

fn give_up(spool: &Spool, name: &str) -> Result<()> {
    let place = spool.at("post").join(GIVEN_UP);
    // The slip before the mail: a letter without one is given up again.
    for end in [TRIED, "toml", "eml"] {
        durable::shift(&at(spool, name, end), &place.join(format!("{name}.{end}")))?;
    }
    Ok(())
}

/// Returns the letters that nobody took for five days, oldest first: a person has to look at them. Removed, they are
/// forgotten; moved back into `post/`, they are tried again.
///
/// # Errors
/// A directory that cannot be read.
pub fn given_up(spool: &Spool) -> Result<Vec<GivenUp>> {
    let place = spool.at("post").join(GIVEN_UP);
    let mut names = list::names(&place)?;
    names.sort_unstable();
    let mut letters = Vec::new();
    for name in names.iter().filter_map(|file| file.strip_suffix(".eml")) {
        let slip: Option<Slip> = readable(read(&place.join(format!("{name}.toml"))))?;
        let error = tried(&place.join(format!("{name}.{TRIED}")))?.error;
        letters.push(GivenUp {
            name: name.to_owned(),
            at: slip.as_ref().map(|slip| slip.at),
            to: slip.map(|slip| slip.to).unwrap_or_default(),
            error,
        });
    }
    Ok(letters)
}
