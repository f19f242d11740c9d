//! Days of a real farm, replayed in simulated time: what was pushed to a distribution's tree (facts only: when, which package,
//! which version; `extract` says how they were got), six builders, and all that goes wrong at once. At the end the account must
//! add up: nothing is lost, nobody is mailed twice, everybody once.
//!
//! One day is played in `make test`; `make replay` plays a month with the busiest day of the tree, and after it the day with its
//! largest commit.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod account;
mod farm;
mod life;
mod table;

use std::io::Write as _;

use life::{Life, Mishaps};

/// The busiest day: 1,125 commits that changed recipes.
const BUSIEST: &str = "2023-05-10T00:00:00Z";

/// A day like others.
const ORDINARY: &str = "2023-05-13T00:00:00Z";

#[test]
fn a_day_of_the_farm_adds_up() {
    let begin = ORDINARY.parse().unwrap();
    play(table::day(table::read("2023-05.txt.gz"), begin), begin);
}

#[test]
#[ignore = "takes minutes: make replay"]
fn a_month_of_the_farm_adds_up() {
    let mut pushes = table::read("2023-05.txt.gz");
    let end = pushes.last().unwrap().at;
    pushes.extend(table::after(table::read("2006-07-31.txt.gz"), end));
    play(pushes, BUSIEST.parse().unwrap());
}

/// Plays it all; on the day that begins with `begin` everything goes wrong at once.
fn play(pushes: Vec<table::Push>, begin: jiff::Timestamp) {
    let farm = farm::Farm::new();
    let mishaps = Mishaps::of(&pushes, begin);
    let life = Life::of(&farm, pushes, &mishaps);
    let account = account::Account::of(&farm, &life);
    drop(writeln!(std::io::stderr(), "{account}"));
    assert_eq!(account.wrong(), Vec::<String>::new());
}
