//! Whom to tell what of an end: the rule, without a disk.

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

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whom the recipe names.
    Maintainer,
    /// Who runs the farm.
    Admin,
}

/// What is done about a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Somebody is told.
    Tell(Audience, News),
    /// Nobody is.
    Silent,
}

/// Decides who hears that `ticket` ended with `outcome`. `earlier` are the older ended tickets of the same version and
/// architecture, and after them the last of any version that was built or failed, each with what it says if that can
/// be read.
pub fn decide(ticket: &Ticket, outcome: Outcome, earlier: &[(Entry, Option<Ticket>)]) -> Decision {
    match outcome {
        Outcome::Failed if is_known(ticket, earlier) => Decision::Silent,
        Outcome::Failed => Decision::Tell(Audience::Maintainer, News::Failed),
        Outcome::Trouble => Decision::Tell(Audience::Admin, News::Trouble),
        Outcome::Built if was_failing(earlier) => Decision::Tell(Audience::Maintainer, News::Fixed),
        Outcome::Built | Outcome::Aborted | Outcome::Superseded => Decision::Silent,
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

    const MAIL: Decision = Decision::Tell(Audience::Maintainer, News::Failed);

    #[test]
    fn each_failing_revision_is_mailed_and_automatic_tries_of_it_are_silent() {
        let before = [earlier("failed", "aaaa")];
        assert_eq!(decide(&ticket("aaaa", false, "me"), Outcome::Failed, &[]), MAIL);
        assert_eq!(decide(&ticket("bbbb", false, "me"), Outcome::Failed, &before), MAIL);
        assert_eq!(decide(&ticket("aaaa", false, "me"), Outcome::Failed, &before), Decision::Silent);
        for revision in ["aaaa", "bbbb"] {
            let again = decide(&ticket(revision, true, AUTOMATIC), Outcome::Failed, &before);
            assert_eq!(again, Decision::Silent);
        }
    }

    #[test]
    fn each_forced_failure_is_mailed() {
        let before = [earlier("failed", "aaaa")];
        assert_eq!(decide(&ticket("aaaa", true, "me"), Outcome::Failed, &before), MAIL);
    }

    #[test]
    fn the_farms_failure_is_the_admins_news() {
        let told = decide(&ticket("aaaa", false, "me"), Outcome::Trouble, &[]);
        assert_eq!(told, Decision::Tell(Audience::Admin, News::Trouble));
    }

    #[test]
    fn back_to_green_is_told_once() {
        let failing = [earlier("failed", "aaaa"), earlier("aborted", "aaaa")];
        let told = decide(&ticket("bbbb", false, "me"), Outcome::Built, &failing);
        assert_eq!(told, Decision::Tell(Audience::Maintainer, News::Fixed));
        let green = [earlier("failed", "aaaa"), earlier("built", "bbbb")];
        assert_eq!(decide(&ticket("cccc", false, "me"), Outcome::Built, &green), Decision::Silent);
    }
}
