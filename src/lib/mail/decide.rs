//! Whom to tell what of an end: the rule, without a disk.

use super::Audience;
use crate::names::Outcome;
use crate::spool::{Entry, Stand, Ticket};

/// Who asks when nobody in person does; a forced ticket of theirs is an automatic try.
pub const AUTOMATIC: &str = "syncpkgd";

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The package cannot be built.
    Failed,
    /// The farm could not build it, five times.
    Trouble,
    /// It is built again, after it had failed.
    Fixed,
}

impl News {
    /// Returns the one spelling, used in Message-IDs.
    pub fn as_str(self) -> &'static str {
        match self {
            News::Failed => "failed",
            News::Trouble => "trouble",
            News::Fixed => "fixed",
        }
    }
}

impl News {
    /// Returns what an end is news of, if of anything.
    pub fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Failed => Some(News::Failed),
            Outcome::Trouble => Some(News::Trouble),
            Outcome::Built => Some(News::Fixed),
            Outcome::Aborted | Outcome::Superseded => None,
        }
    }
}

/// Decides who hears that `ticket` ended with `outcome`; nobody when the list is empty. `earlier` are the older ended
/// tickets of the same version and architecture, and after them the last of any version that was built or failed, each
/// with what it says if that can be read. `pusher`: who asked in person and is not the maintainer hears of it too.
pub fn decide(
    ticket: &Ticket,
    outcome: Outcome,
    earlier: &[(Entry, Option<Ticket>)],
    pusher: bool,
) -> Vec<Audience> {
    match outcome {
        Outcome::Failed if is_known(ticket, earlier) => Vec::new(),
        Outcome::Failed if pusher && ticket.by != AUTOMATIC => vec![Audience::Maintainer, Audience::Pusher],
        Outcome::Failed => vec![Audience::Maintainer],
        Outcome::Trouble => vec![Audience::Admin],
        Outcome::Built if was_failing(earlier) => vec![Audience::Maintainer],
        Outcome::Built | Outcome::Aborted | Outcome::Superseded => Vec::new(),
    }
}

/// Tells whether news that waited are none any more: what failed was built `later`, what was built has failed. Each of
/// `later` is how a later ticket of the package ended.
pub(super) fn is_over(outcome: Outcome, later: &[Outcome]) -> bool {
    match outcome {
        Outcome::Failed | Outcome::Trouble => later.contains(&Outcome::Built),
        Outcome::Built => later.contains(&Outcome::Failed),
        Outcome::Aborted | Outcome::Superseded => true,
    }
}

/// Each failing version and revision is told once; again only to those who forced it in person. What the farm tries
/// again by itself is no news, whatever else has changed in the tree meanwhile.
fn is_known(ticket: &Ticket, earlier: &[(Entry, Option<Ticket>)]) -> bool {
    let automatic = ticket.by == AUTOMATIC;
    let in_person = ticket.forced && !automatic;
    let same = |(entry, other): &(Entry, Option<Ticket>)| {
        entry.name.stand == Stand::Done(Outcome::Failed)
            && entry.name.item == ticket.item()
            && other.as_ref().is_some_and(|other| automatic || other.revision == ticket.revision)
    };
    !in_person && earlier.iter().any(same)
}

fn was_failing(earlier: &[(Entry, Option<Ticket>)]) -> bool {
    let judged = |(entry, _): &&(Entry, Option<Ticket>)| match entry.name.stand {
        Stand::Done(Outcome::Built | Outcome::Failed) => true,
        Stand::Done(Outcome::Trouble | Outcome::Aborted | Outcome::Superseded)
        | Stand::Waiting(_)
        | Stand::Building(_) => false,
    };
    let last = earlier.iter().rev().find(judged);
    last.is_some_and(|(entry, _)| entry.name.stand == Stand::Done(Outcome::Failed))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn ticket(revision: &str, forced: bool, by: &str) -> Ticket {
        toml::from_str(&format!(
            "format = 1\nid = \"20261122-144743-123-aaaaaa\"\ntree = \"current\"\nname = \"gcc\"\nversion = \"1\"\n\
             release = \"1\"\narch = \"x86_64\"\nrevision = \"{revision}\"\npath = \"gcc/PKGBUILD\"\n\
             priority = \"push\"\nasked = \"2026-11-22T14:47:43Z\"\nby = \"{by}\"\nforced = {forced}\n"
        ))
        .unwrap()
    }

    fn earlier(end: &str, revision: &str) -> (Entry, Option<Ticket>) {
        let name = format!("5,20261121-144743-123-aaaaaa,current,gcc-1-1-x86_64,e1,{end}").parse().unwrap();
        (Entry { name, builder: None, path: PathBuf::new() }, Some(ticket(revision, false, "me")))
    }

    const MAINTAINER: [Audience; 1] = [Audience::Maintainer];
    const NOBODY: [Audience; 0] = [];

    fn failed(ticket: &Ticket, earlier: &[(Entry, Option<Ticket>)]) -> Vec<Audience> {
        decide(ticket, Outcome::Failed, earlier, false)
    }

    #[test]
    fn the_maintainer_is_told_of_every_failing_new_version() {
        assert_eq!(failed(&ticket("aaaa", false, "me"), &[]), MAINTAINER);
        let mut before = earlier("failed", "aaaa");
        before.0.name.item.version = "0.9".parse().unwrap();
        assert_eq!(failed(&ticket("aaaa", false, "me"), &[before]), MAINTAINER);
    }

    #[test]
    fn the_maintainer_is_told_of_every_failing_new_revision() {
        assert_eq!(failed(&ticket("bbbb", false, "me"), &[earlier("failed", "aaaa")]), MAINTAINER);
    }

    #[test]
    fn the_maintainer_is_told_of_every_forced_failure() {
        assert_eq!(failed(&ticket("aaaa", true, "me"), &[earlier("failed", "aaaa")]), MAINTAINER);
    }

    #[test]
    fn automatic_tries_of_the_same_revision_are_silent() {
        let before = [earlier("failed", "aaaa")];
        assert_eq!(failed(&ticket("aaaa", false, "me"), &before), NOBODY);
        for revision in ["aaaa", "bbbb"] {
            assert_eq!(failed(&ticket(revision, true, AUTOMATIC), &before), NOBODY);
        }
    }

    #[test]
    fn back_to_green_is_told_once() {
        let built = |earlier: &[_]| decide(&ticket("bbbb", false, "me"), Outcome::Built, earlier, true);
        assert_eq!(built(&[earlier("failed", "aaaa"), earlier("aborted", "aaaa")]), MAINTAINER);
        assert_eq!(built(&[earlier("failed", "aaaa"), earlier("built", "bbbb")]), NOBODY);
        assert_eq!(built(&[]), NOBODY);
    }

    #[test]
    fn the_pusher_is_told_too_when_that_is_wished_and_he_is_a_person() {
        let told = |by: &str, wished| decide(&ticket("aaaa", false, by), Outcome::Failed, &[], wished);
        assert_eq!(told("me", true), [Audience::Maintainer, Audience::Pusher]);
        assert_eq!(told("me", false), MAINTAINER);
        assert_eq!(told(AUTOMATIC, true), MAINTAINER);
    }

    #[test]
    fn the_admin_is_told_of_trouble_and_nobody_of_an_abort() {
        let told = |outcome| decide(&ticket("aaaa", false, "me"), outcome, &[], true);
        assert_eq!(told(Outcome::Trouble), [Audience::Admin]);
        assert_eq!(told(Outcome::Aborted), NOBODY);
        assert_eq!(told(Outcome::Superseded), NOBODY);
    }

    #[test]
    fn what_waited_is_dropped_only_when_it_was_fixed_meanwhile() {
        use Outcome::{Aborted, Built, Failed, Trouble};
        for outcome in [Failed, Trouble] {
            assert!(is_over(outcome, &[Built]) && is_over(outcome, &[Built, Failed]));
            assert!(!is_over(outcome, &[]) && !is_over(outcome, &[Failed, Aborted, Trouble]));
        }
        assert!(is_over(Built, &[Failed]) && !is_over(Built, &[Built, Aborted]));
    }
}
