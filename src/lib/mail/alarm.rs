//! What is wrong with the farm itself, of which its admin hears once: the rule, without a disk.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// So much time passes between two mails about the same kind of thing.
const APART: SignedDuration = SignedDuration::from_hours(1);

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The master's disk is full.
    Disk,
    /// Packages were built and cannot be published.
    Held,
    /// The numbers of the farm do not add up.
    Sum,
    /// What is unbuilt cannot be told.
    Unbuilt,
    /// An address cannot be used.
    Address,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Disk, Kind::Held, Kind::Sum, Kind::Unbuilt, Kind::Address];

    /// Returns the one spelling, used in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Disk => "disk",
            Kind::Held => "held",
            Kind::Sum => "sum",
            Kind::Unbuilt => "unbuilt",
            Kind::Address => "address",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Of which kind.
    pub kind: Kind,
    /// Which one: the same as long as it is the same.
    pub key: String,
    /// What is wrong, in one line.
    pub text: String,
}

impl Alarm {
    /// Returns the word by which it is remembered.
    pub fn word(&self) -> String {
        format!("{}-{}", self.kind.as_str(), self.key)
    }
}

/// Tells whether a disk is full: below `least` it is, and stays so until there is twice as much.
pub fn is_full(free: u64, least: u64, was: bool) -> bool {
    free < if was { least.saturating_mul(2) } else { least }
}

/// Returns what of `alarms` the admin is told now, given what he was `told` and when; and what of that, of the `kinds` that
/// were looked at, he is told anew should it happen again. An address that cannot be used is never told again.
pub(super) fn due<'a>(
    alarms: &'a [Alarm],
    told: &BTreeMap<String, Timestamp>,
    kinds: &[Kind],
    now: Timestamp,
) -> (Vec<&'a Alarm>, Vec<String>) {
    let kind_of = |word: &str| {
        let (kind, _) = word.split_once('-')?;
        Kind::ALL.into_iter().find(|known| known.as_str() == kind)
    };
    let just_told = |kind: Kind| {
        let mut times = told.iter().filter(|(word, _)| kind_of(word) == Some(kind)).map(|(_, at)| *at);
        times.any(|at| at <= now && now.duration_since(at) < APART)
    };
    let new = alarms.iter().filter(|alarm| !told.contains_key(&alarm.word()) && !just_told(alarm.kind));
    let over = told.keys().filter(|word| match kind_of(word) {
        Some(Kind::Address) | None => false,
        Some(kind) => kinds.contains(&kind) && !alarms.iter().any(|alarm| alarm.word() == **word),
    });
    (new.collect(), over.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(kind: Kind, key: &str) -> Alarm {
        Alarm { kind, key: key.to_owned(), text: String::new() }
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}:00Z").parse().unwrap()
    }

    fn told(words: &[(&str, &str)]) -> BTreeMap<String, Timestamp> {
        words.iter().map(|(word, time)| ((*word).to_owned(), at(time))).collect()
    }

    #[test]
    fn the_admin_hears_of_each_thing_once() {
        let alarms = [alarm(Kind::Disk, "x"), alarm(Kind::Sum, "x")];
        let (new, over) = due(&alarms, &told(&[]), &Kind::ALL, at("10:00"));
        assert_eq!((new.len(), over.len()), (2, 0));
        let (new, over) =
            due(&alarms, &told(&[("disk-x", "10:00"), ("sum-x", "10:00")]), &Kind::ALL, at("23:00"));
        assert_eq!((new.len(), over.len()), (0, 0));
    }

    #[test]
    fn what_is_over_is_told_anew_when_it_happens_again() {
        let (_, over) = due(&[], &told(&[("disk-x", "10:00"), ("held-a", "10:00")]), &Kind::ALL, at("10:01"));
        assert_eq!(over, ["disk-x", "held-a"]);
    }

    #[test]
    fn an_unusable_address_is_told_once_and_for_all() {
        let (_, over) =
            due(&[], &told(&[("address-x", "10:00"), ("daily-20261122", "10:00")]), &Kind::ALL, at("20:00"));
        assert!(over.is_empty());
    }

    #[test]
    fn what_comes_within_an_hour_of_the_last_mail_of_its_kind_waits_and_goes_together() {
        let alarms = [alarm(Kind::Held, "a"), alarm(Kind::Held, "b"), alarm(Kind::Held, "c")];
        let told = told(&[("held-a", "10:00")]);
        assert!(due(&alarms, &told, &Kind::ALL, at("10:59")).0.is_empty());
        let (new, _) = due(&alarms, &told, &Kind::ALL, at("11:00"));
        assert_eq!(new.iter().map(|alarm| alarm.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn a_full_disk_is_told_once_until_there_is_twice_the_room() {
        assert!(is_full(99, 100, false) && !is_full(100, 100, false));
        assert!(is_full(199, 100, true) && !is_full(200, 100, true));
    }
}
