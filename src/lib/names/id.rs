//! The ID of a ticket: when it was asked for, and something random. It never changes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::base::random;
use crate::base::{Error, Result};

/// `YYYYMMDD-HHMMSS-mmm-rrrrrr`, UTC: sorts by age, fits a file name, an address, a mouth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id([u8; LENGTH]);

const LENGTH: usize = 26;

impl Id {
    /// Makes a new one for the time `now`.
    pub fn new(now: Timestamp) -> Self {
        let milliseconds = now.as_millisecond().rem_euclid(1000);
        let mut id = [b'0'; LENGTH];
        let text = format!("{}-{milliseconds:03}-{}", now.strftime("%Y%m%d-%H%M%S"), random::word(6));
        // Years below 0 and above 9999 have other lengths; no clock of ours shows them.
        id.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// Makes `count` of them for the time `now`, in ascending order: a batch keeps the order it was given in.
    pub fn batch(now: Timestamp, count: usize) -> Vec<Self> {
        let mut ids = std::collections::BTreeSet::new();
        while ids.len() < count {
            ids.insert(Self::new(now));
        }
        ids.into_iter().collect()
    }

    /// Returns itself, or a new one that sorts after `last`.
    pub fn after(self, last: Option<&Self>) -> Self {
        let step = jiff::SignedDuration::from_millis(1);
        match last.filter(|last| **last >= self).map(|last| last.time().checked_add(step)) {
            Some(Ok(time)) => Self::new(time),
            Some(Err(_)) | None => self,
        }
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the day, `YYYYMMDD`: the directory its reports and logs are kept in.
    pub fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    /// Returns when the ticket was made, to the millisecond.
    pub fn time(&self) -> Timestamp {
        time_of(self.as_str()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn time_of(text: &str) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(civil_of(text)?).ok()
}

/// Read by hand: a listing of a directory reads thousands.
fn civil_of(text: &str) -> Option<DateTime> {
    let two = |at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse::<i16>().ok()?;
    let nanoseconds = text.get(16..19)?.parse::<i32>().ok()? * 1_000_000;
    DateTime::new(year, two(4)?, two(6)?, two(9)?, two(11)?, two(13)?, nanoseconds).ok()
}

impl FromStr for Id {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let digits =
            |range| text.get(range).is_some_and(|part: &str| part.bytes().all(|b| b.is_ascii_digit()));
        let shape = text.len() == LENGTH
            && digits(0..8)
            && digits(9..15)
            && digits(16..19)
            && [8, 15, 19].iter().all(|&at| text.as_bytes().get(at) == Some(&b'-'))
            && text
                .get(20..)
                .is_some_and(|part| part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')))
            && civil_of(text).is_some();
        match text.as_bytes().try_into() {
            Ok(bytes) if shape => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(Error::wrong("that is no ticket ID")),
        }
    }
}

impl TryFrom<String> for Id {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.as_str().to_owned()
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_made() {
        let now: Timestamp = "2026-11-22T14:47:43.123Z".parse().unwrap();
        let id = Id::new(now);
        assert!(id.as_str().starts_with("20261122-144743-123-"), "{id}");
        assert_eq!((id.time(), id.day()), (now, "20261122"));
        assert_eq!(id.as_str().parse::<Id>().unwrap(), id);
    }

    #[test]
    fn what_only_looks_like_an_id_is_none() {
        for bad in
            ["", "20261122-144743-123-abc", "20269922-144743-123-abcdef", "20261122-144743-123-abcde\n"]
        {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }
}
