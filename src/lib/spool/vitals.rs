//! How a builder's host does, as it says itself: shown to people, believed by nobody.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Spool, record};
use crate::base::error::readable;
use crate::base::output::inert;
use crate::base::{Error, Result, durable};
use crate::config::Bytes;
use crate::names::Builder;

/// What a builder says of its host when it asks for work, and in a beat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// Its load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// The space that is free where it builds, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u64>,
}

impl Vitals {
    /// Returns load and disk as people read them; empty what was not said.
    pub fn shown(&self) -> [String; 2] {
        let load = self.load.map(|load| format!("load {load}"));
        let disk = self.disk.map(|disk| format!("{} free", Bytes(disk)));
        [load, disk].map(Option::unwrap_or_default)
    }

    /// Returns them as options of syncpkg-beat.
    pub fn words(&self) -> Vec<String> {
        let load = self.load.map(|load| ["--load".to_owned(), load.to_string()]);
        let disk = self.disk.map(|disk| ["--disk".to_owned(), disk.to_string()]);
        load.into_iter().chain(disk).flatten().collect()
    }
}

/// How many processes ran or wanted to, on average over the last minute, as uptime(1) has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load(f64);

impl Load {
    /// Returns the number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl FromStr for Load {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let load = text.parse().ok().filter(|load| (0.0..1e6).contains(load));
        let wrong =
            || Error::wrong(format!("cannot read the load \"{}\": it is a number like 1.52", inert(text)));
        load.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// Returns the file that keeps them.
pub(super) fn file(spool: &Spool, name: &Builder) -> PathBuf {
    spool.at("builder").join(format!("{name}.vitals"))
}

/// Keeps what a builder says of its host, if it says something. Not fsynced: it says so again.
///
/// # Errors
/// A failing system call.
pub fn note(spool: &Spool, name: &Builder, vitals: Vitals) -> Result<()> {
    if vitals == Vitals::default() {
        return Ok(());
    }
    durable::replace(&file(spool, name), record::text(&vitals)?.as_bytes()).map(drop)
}

/// Returns what a builder said last; nothing if it never did.
///
/// # Errors
/// It cannot be read just now.
pub fn of(spool: &Spool, name: &Builder) -> Result<Vitals> {
    Ok(readable(record::read(&file(spool, name)))?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_plain_number() {
        assert_eq!("1.5".parse::<Load>().unwrap().to_string(), "1.50");
        for text in ["", "-1", "nan", "inf", "1e9", "0x1", "1 2"] {
            assert!(text.parse::<Load>().is_err(), "{text}");
        }
    }
}
