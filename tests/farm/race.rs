//! Many at once: one of any number wins, and nothing is lost or had twice.

use std::collections::BTreeSet;

use syncpkg::base::Clock;
use syncpkg::base::error::Kind;
use syncpkg::names::{Instance, Outcome};
use syncpkg::spool::claim::{self, Request};
use syncpkg::spool::report::{self, Ending};
use syncpkg::spool::{Spool, queue, queue::Ask};

use crate::stage::Farm;

pub fn ask(n: usize) -> Ask {
    Ask {
        tree: "current".parse().unwrap(),
        item: format!("p{n}-1-1-x86_64").parse().unwrap(),
        revision: "abcd".parse().unwrap(),
        path: format!("p{n}/PKGBUILD"),
        priority: syncpkg::names::Priority::Push,
        by: "test".to_owned(),
        reason: String::new(),
        maintainer: None,
        batch: None,
        packages: Vec::new(),
        depends: [].into(),
        exact: true,
        force: false,
        spare_aborted: false,
        published: false,
    }
}

/// Claims until nothing is left, ending every third as failed; returns what it got.
pub fn drain(spool: &Spool, builder: &str) -> Vec<String> {
    let mut got = Vec::new();
    loop {
        let request = Request {
            builder: builder.parse().unwrap(),
            instance: Instance::random().unwrap(),
            archs: vec!["x86_64".parse().unwrap()],
            count: 1,
            choice: Default::default(),
        };
        let claimed = match claim::take(spool, &request, &Clock::system()) {
            Ok(claimed) => claimed,
            Err(error) => {
                assert_eq!(error.kind, Kind::No, "{error}");
                return got;
            }
        };
        for claimed in claimed {
            got.push(claimed.claim.id.to_string());
            let outcome = if got.len() % 3 == 0 { Outcome::Failed } else { Outcome::Built };
            let ending = Ending {
                outcome,
                stage: None,
                reason: String::new(),
                exit: None,
                host: String::new(),
                log: None,
                files: Vec::new(),
            };
            let trouble = syncpkg::config::TroubleSection::default();
            report::end(spool, &claimed.claim, &ending, &trouble, &Clock::system()).unwrap();
        }
    }
}

#[test]
fn eight_builders_drain_the_queue_and_each_ticket_is_had_once() {
    let farm = Farm::new();
    let spool = Spool::open(&farm.at("spool")).unwrap();
    let asks: Vec<Ask> = (0..400).map(ask).collect();
    let answers = queue::enqueue(&spool, &asks, &Clock::system(), std::time::Duration::ZERO).unwrap();
    let asked: BTreeSet<String> =
        answers.iter().map(|answer| answer.ticket().unwrap().id.to_string()).collect();
    let got: Vec<String> = std::thread::scope(|scope| {
        let spool = &spool;
        let builders: Vec<_> = (0..8).map(|n| scope.spawn(move || drain(spool, &format!("b{n}")))).collect();
        builders.into_iter().flat_map(|builder| builder.join().unwrap()).collect()
    });
    assert_eq!(farm.files("new"), Vec::<String>::new(), "nothing was left");
    assert_eq!(got.len(), 400, "had once each");
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), asked, "none lost, none invented");
    farm.is_sound();
}

#[test]
fn the_same_asked_for_by_eight_at_once_is_one_ticket() {
    let farm = Farm::new();
    let spool = Spool::open(&farm.at("spool")).unwrap();
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let one = || {
            let answers =
                queue::enqueue(&spool, &[ask(1)], &Clock::system(), std::time::Duration::from_secs(30));
            answers.unwrap()[0].ticket().unwrap().id.to_string()
        };
        let askers: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
    farm.is_sound();
}

#[test]
fn a_request_repeated_while_it_is_being_answered_claims_once() {
    let farm = Farm::new();
    let spool = Spool::open(&farm.at("spool")).unwrap();
    let asks: Vec<Ask> = (0..200).map(ask).collect();
    queue::enqueue(&spool, &asks, &Clock::system(), std::time::Duration::ZERO).unwrap();
    for round in 0..20 {
        let request = Request {
            builder: "b1".parse().unwrap(),
            instance: format!("i{round}").parse().unwrap(),
            archs: vec!["x86_64".parse().unwrap()],
            count: 1,
            choice: Default::default(),
        };
        let start = std::sync::Barrier::new(4);
        let got: BTreeSet<String> = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                claim::take(&spool, &request, &Clock::system()).unwrap()[0].claim.to_string()
            };
            let repeats: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            repeats.into_iter().map(|repeat| repeat.join().unwrap()).collect()
        });
        assert_eq!(got.len(), 1, "{got:?}");
    }
    assert_eq!(farm.files("run").len(), 20);
}
