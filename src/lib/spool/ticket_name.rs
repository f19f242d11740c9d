//! The file name of a ticket: everything needed to choose, claim, find and fence it without opening it.
//!
//! ```text
//! new/ARCH/             5,20261122-144743-123-k3f9x2,current,gcc-14.2-1-x86_64,e0
//! new/ARCH/ (resting)   5,20261122-144743-123-k3f9x2,current,gcc-14.2-1-x86_64,e1,n20261122-145000
//! run/BUILDER/          5,20261122-144743-123-k3f9x2,current,gcc-14.2-1-x86_64,e1,ix7k2m9,s20261122-144801
//! done/TREE/NAME/       5,20261122-144743-123-k3f9x2,current,gcc-14.2-1-x86_64,e1,built
//! ```
//!
//! The comma is in no word's grammar, so a name is read in one way only. Names sort in claim order.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::base::{Error, Result};
use crate::names::{Id, Instance, Item, Outcome, Package, Priority, State, Tree};

/// The longest file name, bytes: below NAME_MAX with room for a temporary name's dot and random word.
const LONGEST: usize = 240;

/// A time in a file name, to the second, UTC: `YYYYMMDD-HHMMSS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub Timestamp);

impl Stamp {
    /// Returns `time` to the second, as it will be read back.
    pub fn new(time: Timestamp) -> Self {
        Self(Timestamp::from_second(time.as_second()).unwrap_or(time))
    }
}

/// How a builder holds a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The builder's word for the request that claimed it.
    pub instance: Instance,
    /// Since when.
    pub since: Stamp,
}

/// Where a ticket is, as far as its own name says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// In `new`; if it had trouble, not before that time.
    Waiting(Option<Stamp>),
    /// In `run`.
    Building(Hold),
    /// In `done`.
    Done(Outcome),
}

/// The parsed file name of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketName {
    /// Claimed in this order, best first.
    pub priority: Priority,
    /// Never changes.
    pub id: Id,
    /// The tree it comes from.
    pub tree: Tree,
    /// What is to be built.
    pub item: Item,
    /// How many claims it has had: the fencing token.
    pub epoch: u32,
    /// The rest, which depends on the place.
    pub stand: Stand,
}

impl TicketName {
    /// Returns the state the name says.
    pub fn state(&self) -> State {
        match &self.stand {
            Stand::Waiting(_) => State::Waiting,
            Stand::Building(_) => State::Building,
            Stand::Done(outcome) => (*outcome).into(),
        }
    }

    /// Returns what identifies the package.
    pub fn package(&self) -> Package {
        Package { tree: self.tree.clone(), name: self.item.name.clone(), arch: self.item.arch.clone() }
    }

    /// Returns the word its reports and logs are filed under: `ID.EPOCH`.
    pub fn try_word(&self) -> String {
        format!("{}.{}", self.id, self.epoch)
    }

    /// Returns the same ticket standing elsewhere.
    pub fn standing(&self, stand: Stand) -> Self {
        Self { stand, ..self.clone() }
    }

    /// Fails when the name would be too long for a file system.
    ///
    /// # Errors
    /// Wrong use, naming the item.
    pub fn check_length(&self) -> Result<()> {
        // The longest form it will ever have: a claim by an instance of 16 characters at a two digit epoch.
        let growth = ",e99,iaaaaaaaaaaaaaaaa,s20261122-144743".len();
        let base = format!("5,{},{},{}", self.id, self.tree, self.item).len();
        if base + growth > LONGEST {
            return Err(Error::wrong(format!("{}/{} is too long for a file name", self.tree, self.item)));
        }
        Ok(())
    }
}

impl fmt::Display for TicketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{},e{}", self.priority.digit(), self.id, self.tree, self.item, self.epoch)?;
        match &self.stand {
            Stand::Waiting(None) => Ok(()),
            Stand::Waiting(Some(stamp)) => write!(f, ",n{stamp}"),
            Stand::Building(hold) => write!(f, ",i{},s{}", hold.instance, hold.since),
            Stand::Done(outcome) => write!(f, ",{outcome}"),
        }
    }
}

impl FromStr for TicketName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::wrong(format!("\"{}\" is no ticket's name", crate::base::output::inert(text)));
        let parts: Vec<&str> = text.split(',').collect();
        let [priority, id, tree, item, epoch, rest @ ..] = parts.as_slice() else { return Err(wrong()) };
        let name = Self {
            priority: Priority::from_digit(priority).ok_or_else(wrong)?,
            id: id.parse()?,
            tree: tree.parse()?,
            item: item.parse()?,
            epoch: epoch.strip_prefix('e').and_then(plain_number).ok_or_else(wrong)?,
            stand: stand(rest).ok_or_else(wrong)?,
        };
        // One spelling only: what would be written differently is foreign.
        if name.to_string() == text { Ok(name) } else { Err(wrong()) }
    }
}

fn stand(rest: &[&str]) -> Option<Stand> {
    match rest {
        [] => Some(Stand::Waiting(None)),
        [only] => match only.strip_prefix('n').and_then(|stamp| stamp.parse().ok()) {
            Some(stamp) => Some(Stand::Waiting(Some(stamp))),
            None => only.parse().ok().map(Stand::Done),
        },
        [instance, since] => Some(Stand::Building(Hold {
            instance: instance.strip_prefix('i')?.parse().ok()?,
            since: since.strip_prefix('s')?.parse().ok()?,
        })),
        _ => None,
    }
}

fn plain_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y%m%d-%H%M%S"))
    }
}

impl FromStr for Stamp {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        DateTime::strptime("%Y%m%d-%H%M%S", text)
            .and_then(|second| second.to_zoned(TimeZone::UTC))
            .map(|zoned| Self(zoned.timestamp()))
            .map_err(|_| Error::wrong("that is no time of a file name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: &str = "5,20261122-144743-123-k3f7x2,current,gtk+-2-14.2-1-x86_64,e0";

    #[test]
    fn every_stand_is_read_as_it_is_written() {
        for tail in ["", ",n20261122-145000", ",ix7k2m9,s20261122-144801", ",built", ",superseded"] {
            let text = format!("{WAITING}{tail}");
            assert_eq!(text.parse::<TicketName>().unwrap().to_string(), text);
        }
        let name: TicketName = WAITING.parse().unwrap();
        assert_eq!((name.item.name.as_str(), name.state()), ("gtk+-2", State::Waiting));
    }

    #[test]
    fn what_is_not_spelled_exactly_so_is_no_ticket() {
        for bad in [
            "",
            "README",
            ".5,20261122-144743-123-k3f7x2,current,a-1-1-any,e0",
            "5,20261122-144743-123-k3f7x2,current,a-1-1-any",
            "5,20261122-144743-123-k3f7x2,current,a-1-1-any,e+1",
            "5,20261122-144743-123-k3f7x2,current,a-1-1-any,e01",
            "5,20261122-144743-123-k3f7x2,../x,a-1-1-any,e0",
            "5,20261122-144743-123-k3f7x2,current,a-1-1-any,e0,done",
            "5,20261122-144743-123-k3f7x2,current,a-1-1-any,e0~",
            "5,20261122-144743-123-k3f7x2,current,a-1-1-any,e0\n",
        ] {
            assert!(bad.parse::<TicketName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_sort_in_claim_order() {
        let urgent = WAITING.replacen('5', "2", 1).replace("1447", "1547");
        let later = WAITING.replace("1447", "1547");
        let mut names = vec![later.as_str(), WAITING, &urgent];
        names.sort_unstable();
        assert_eq!(names, [urgent.as_str(), WAITING, &later]);
    }
}
