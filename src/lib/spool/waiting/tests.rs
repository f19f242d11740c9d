use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;

use super::super::claim::{self, Claimed, Request};
use super::super::decide::tests::ask;
use super::super::list;
use super::super::queue::{self, Ask};
use super::super::report::{self, Ending};
use super::*;
use crate::base::Clock;
use crate::config::TroubleSection;
use crate::names::Instance;

/// The end of a build that failed, without a log.
pub(in crate::spool) fn failed() -> Ending {
    Ending {
        outcome: Outcome::Failed,
        stage: None,
        reason: String::new(),
        exit: None,
        host: String::new(),
        log: None,
        files: Vec::new(),
    }
}

struct Place {
    spool: Spool,
    /// Seconds gone by.
    now: Cell<i64>,
    _directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::create(&directory.path().join("spool")).unwrap();
        Self { spool, now: Cell::new(1_795_000_000), _directory: directory }
    }

    /// The time, a second later each time.
    fn clock(&self) -> Clock {
        self.now.set(self.now.get() + 1);
        Clock::fixed(Timestamp::from_second(self.now.get()).unwrap())
    }

    /// Asks for items, each with what it needs, as one batch.
    fn enqueue(&self, items: &[(&str, &[&str])]) {
        let wanted = |(item, needs): &(&str, &[&str])| Ask {
            item: item.parse().unwrap(),
            depends: needs.iter().map(|name| name.parse().unwrap()).collect(),
            ..ask()
        };
        let asks: Vec<Ask> = items.iter().map(wanted).collect();
        queue::enqueue(&self.spool, &asks, &self.clock(), Duration::ZERO).unwrap();
    }

    fn claim(&self, count: usize) -> Vec<Claimed> {
        let archs = ["x86_64", "aarch64"].map(|arch| arch.parse().unwrap()).into();
        let request = Request {
            builder: "b1".parse().unwrap(),
            instance: Instance::random().unwrap(),
            archs,
            count,
            choice: Default::default(),
        };
        claim::take(&self.spool, &request, &self.clock()).unwrap_or_default()
    }

    fn end(&self, claimed: &Claimed) -> String {
        let trouble = TroubleSection::default();
        report::end(&self.spool, &claimed.claim, &failed(), &trouble, &self.clock()).unwrap();
        claimed.ticket.name.to_string()
    }

    /// Builds one after the other as long as there is something to claim; returns their names in that order.
    fn drain(&self) -> Vec<String> {
        std::iter::from_fn(|| self.claim(1).pop()).map(|claimed| self.end(&claimed)).collect()
    }
}

#[test]
fn a_circle_is_broken_that_goes_through_one_of_several_architectures() {
    let place = Place::new();
    place.enqueue(&[("c-1-1-any", &["b"])]);
    place.enqueue(&[("b-1-1-x86_64", &["a"]), ("a-1-1-any", &[])]);
    place.enqueue(&[("a-1-1-aarch64", &["c"])]);
    place.enqueue(&[("a-2-1-any", &["b"])]);
    assert_eq!(place.drain(), ["b", "c", "a", "a"]);
}

#[test]
fn a_circle_waits_for_what_somebody_can_build() {
    let place = Place::new();
    place.enqueue(&[("c-1-1-any", &["b"])]);
    place.enqueue(&[("b-1-1-x86_64", &["c"]), ("b-1-1-aarch64", &[])]);
    assert_eq!(place.drain(), ["b", "c", "b"]);
}

#[test]
fn a_circle_behind_a_circle_is_broken_by_the_same_claim() {
    let place = Place::new();
    place.enqueue(&[("c-2-1-x86_64", &[]), ("d-1-1-x86_64", &["c"]), ("a-1-1-x86_64", &["c", "d"])]);
    place.enqueue(&[("b-1-1-x86_64", &[])]);
    let first = place.claim(1);
    place.enqueue(&[("c-1-1-x86_64", &["b", "a"])]);
    first.iter().for_each(|claimed| drop(place.end(claimed)));
    assert_eq!(place.drain(), ["b", "d", "a", "c"]);
}

#[test]
fn what_makes_way_in_the_same_batch_is_in_no_circle() {
    let place = Place::new();
    place.enqueue(&[("c-1-1-x86_64", &[]), ("a-1-1-x86_64", &["c"])]);
    place.enqueue(&[("b-1-1-x86_64", &["a"])]);
    place.enqueue(&[("a-2-1-x86_64", &[]), ("c-2-1-x86_64", &["b"])]);
    assert_eq!(place.drain(), ["a", "b", "c"]);
}

#[test]
fn a_circle_is_not_broken_while_something_in_it_is_only_to_be_woken() {
    let place = Place::new();
    let needs_y: (&str, &[&str]) = ("x-1-1-any", &["y"]);
    place.enqueue(&[needs_y, ("y-1-1-x86_64", &["x"]), ("y-1-1-aarch64", &["z"]), ("z-1-1-aarch64", &[])]);
    let claimed = place.claim(1);
    // Whoever ends it cannot wake what waits for it.
    let lock = place.spool.lock_queue(Duration::ZERO).unwrap();
    assert_eq!(place.end(&claimed[0]), "z");
    drop(lock);
    let waiting = list::waiting(&place.spool).unwrap();
    let x = waiting.into_iter().find(|entry| entry.name.item.name.as_str() == "x").unwrap();
    assert!(Queue::new(&place.spool).blocker(&x.name, &x.ticket().unwrap()).unwrap().is_some());
    wake_all(&place.spool, 100).unwrap();
    assert_eq!(place.drain(), ["y", "x", "y"]);
}
