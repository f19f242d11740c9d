//! What a builder offers, and what of the waiting packages it may have: their needs are the master's to know, its
//! own room and tags the builder's.

use std::collections::BTreeMap;

use crate::config::{Bytes, NeedSection};
use crate::names::{Name, Word};
use crate::spool::Vitals;
use crate::spool::claim::Choice;
use crate::spool::vitals::Load;

/// What a builder says of itself when it asks for work.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// Its tags.
    pub tags: Vec<Word>,
    /// Memory it has for a build; one that does not say is taken to have enough.
    pub memory: Option<Bytes>,
    /// Free space it has for a build; as for memory.
    pub disk: Option<Bytes>,
    /// The load of its host.
    pub load: Option<Load>,
    /// Packages it leaves to others.
    pub except: Vec<Name>,
    /// Packages it takes when there is nothing else.
    pub last: Vec<Name>,
}

impl Offer {
    /// Returns what it does not want, or cannot build: packages that need more than it has.
    pub fn choice(&self, needs: &BTreeMap<Name, NeedSection>) -> Choice {
        let cannot = needs.iter().filter(|(_, need)| !self.meets(need)).map(|(name, _)| name);
        Choice {
            except: self.except.iter().chain(cannot).cloned().collect(),
            last: self.last.iter().cloned().collect(),
        }
    }

    /// Returns what people are shown of it.
    pub fn vitals(&self) -> Vitals {
        Vitals { load: self.load, disk: self.disk.map(|disk| disk.0) }
    }

    fn meets(&self, need: &NeedSection) -> bool {
        let enough =
            |have: Option<Bytes>, need: Option<Bytes>| have.zip(need).is_none_or(|(have, need)| have >= need);
        need.tags.iter().all(|tag| self.tags.contains(tag))
            && enough(self.memory, need.memory)
            && enough(self.disk, need.disk)
    }

    /// Returns it as options of syncpkg-claim.
    pub fn words(&self) -> Vec<String> {
        let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>().join(",");
        let tags = self.tags.iter().map(Word::to_string).collect::<Vec<_>>().join(",");
        let bytes = |bytes: Option<Bytes>| bytes.map_or_else(String::new, |bytes| bytes.0.to_string());
        let options = [
            ("--tag", tags),
            ("--memory", bytes(self.memory)),
            ("--disk", bytes(self.disk)),
            ("--load", self.load.map_or_else(String::new, |load| load.to_string())),
            ("--except", names(&self.except)),
            ("--last", names(&self.last)),
        ];
        let given = options.into_iter().filter(|(_, value)| !value.is_empty());
        given.flat_map(|(option, value)| [option.to_owned(), value]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs() -> BTreeMap<Name, NeedSection> {
        let config =
            "[need.chromium]\ntags = [\"big\"]\nmemory = \"16GiB\"\n[need.texlive]\ndisk = \"30GiB\"\n";
        crate::config::parse(config, "f").unwrap().need
    }

    fn except(offer: &Offer) -> Vec<String> {
        offer.choice(&needs()).except.iter().map(Name::to_string).collect()
    }

    #[test]
    fn a_builder_is_not_given_what_needs_more_than_it_has() {
        let small = Offer { memory: Some(Bytes(8 << 30)), disk: Some(Bytes(20 << 30)), ..Offer::default() };
        assert_eq!(except(&small), ["chromium", "texlive"]);
        let tags = vec!["big".parse().unwrap(), "ssd".parse().unwrap()];
        let tagged = Offer { tags: tags.clone(), disk: Some(Bytes(30 << 30)), ..small };
        assert_eq!(except(&tagged), ["chromium"]);
        assert!(except(&Offer { memory: Some(Bytes(16 << 30)), ..tagged }).is_empty());
        assert!(except(&Offer { tags, ..Offer::default() }).is_empty(), "who does not say has enough room");
    }

    #[test]
    fn what_it_leaves_to_others_is_told_by_name() {
        let offer = Offer {
            except: vec!["gcc".parse().unwrap()],
            last: vec!["qt".parse().unwrap(), "kde".parse().unwrap()],
            ..Offer::default()
        };
        assert_eq!(except(&offer), ["chromium", "gcc"]);
        assert_eq!(offer.words().join(" "), "--except gcc --last qt,kde");
        assert_eq!(offer.choice(&needs()).last.len(), 2);
    }
}
