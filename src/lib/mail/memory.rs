//! What was told, `told/`: a file for each thing, with when and what. Lost, the same is told once more.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::base::error::readable;
use crate::base::output::inert;
use crate::base::{Result, durable};
use crate::spool::{Spool, list};

/// The largest file of it that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// Returns a file name for any text.
pub(super) fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Tells whether `word` can be a file name here.
pub(super) fn is_word(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    !word.is_empty() && !word.starts_with('.') && word.len() < 128 && word.bytes().all(fits)
}

fn file(spool: &Spool, word: &str) -> PathBuf {
    spool.at("told").join(word)
}

/// Returns what was told and when.
pub(super) fn told(spool: &Spool) -> Result<BTreeMap<String, Timestamp>> {
    let mut told = BTreeMap::new();
    for word in list::names(&spool.at("told"))?.into_iter().filter(|word| is_word(word) && word != MAILS) {
        if let Some((at, _)) = recall(spool, &word)? {
            told.insert(word, at);
        }
    }
    Ok(told)
}

/// Returns when `word` was told, and what was remembered with it.
pub(super) fn recall(spool: &Spool, word: &str) -> Result<Option<(Timestamp, String)>> {
    let path = file(spool, word);
    if !durable::present(&path)? {
        return Ok(None);
    }
    let Some(bytes) = readable(durable::read(&path, LARGEST))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (at, rest) = text.trim_end().split_once(' ').unwrap_or((text.trim_end(), ""));
    // Whatever somebody wrote into it, it is there: told long ago.
    Ok(Some((at.parse().unwrap_or(Timestamp::UNIX_EPOCH), rest.to_owned())))
}

/// Remembers that `word` was told; what is remembered of it already stays.
pub(super) fn remember(spool: &Spool, word: &str, at: Timestamp, text: &str) -> Result<()> {
    let line = format!("{at} {}\n", inert(text));
    durable::put(&spool.tmp(), &file(spool, word), line.as_bytes()).map(drop)
}

/// Forgets it: should it happen again, it is told again.
pub(super) fn forget(spool: &Spool, word: &str) -> Result<()> {
    durable::remove(&file(spool, word))
}

/// The file that says when each address got its last mails.
const MAILS: &str = "mails";

/// When each address got its mails of the last hour. Not fsynced: lost, somebody gets a few more.
#[derive(Debug, Default)]
pub(super) struct Mails(BTreeMap<String, Vec<Timestamp>>);

impl Mails {
    pub fn read(spool: &Spool, now: Timestamp) -> Result<Self> {
        let path = file(spool, MAILS);
        if !durable::present(&path)? {
            return Ok(Self::default());
        }
        let bytes = readable(durable::read(&path, LARGEST))?.unwrap_or_default();
        let mut mails = Self::default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Some((at, address)) = line.split_once(' ') else { continue };
            mails.0.entry(address.to_owned()).or_default().extend(at.parse::<Timestamp>());
        }
        mails.0.values_mut().for_each(|times| *times = super::hour::recent(times, now));
        mails.0.retain(|_, times| !times.is_empty());
        Ok(mails)
    }

    pub fn count(&self, address: &str) -> usize {
        self.0.get(address).map_or(0, Vec::len)
    }

    pub fn add(&mut self, address: &str, at: Timestamp) {
        self.0.entry(address.to_owned()).or_default().push(at);
    }

    pub fn write(&self, spool: &Spool) -> Result<()> {
        let lines = self.0.iter().flat_map(|(address, times)| times.iter().map(move |at| (address, at)));
        let text: String = lines.map(|(address, at)| format!("{at} {address}\n")).collect();
        durable::replace(&file(spool, MAILS), text.as_bytes()).map(drop)
    }
}
