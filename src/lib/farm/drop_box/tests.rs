//! What holds of requests, without programs; with them, and with real users: `tests/farm/drop_box.rs`.

use super::*;
use crate::config;
use crate::names::State;
use crate::spool::{queue, sample_ask};

#[test]
fn a_request_that_cannot_be_carried_out_just_now_stays_until_it_can() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(place.path()).unwrap();
    let (config, clock) =
        (config::parse("", "f").unwrap(), Clock::fixed("2026-11-22T12:00:00Z".parse().unwrap()));
    queue::enqueue(&spool, &[sample_ask()], &clock, lock::PATIENCE).unwrap();
    hand_in(
        &spool.at("drop"),
        &Request::Abort { what: "gcc".to_owned(), reason: "a test".to_owned() },
        &clock,
    )
    .unwrap();
    spool.leave("elsewhere").unwrap();
    let error = act(&config, &spool, &clock).unwrap_err();
    assert!(error.kind == Kind::Again && error.to_string().contains("moved"), "{error}");
    std::fs::remove_file(spool.at("moved")).unwrap();
    assert_eq!(act(&config, &spool, &clock).unwrap().len(), 1);
    let states: Vec<State> = list::all(&spool).unwrap().iter().map(Entry::state).collect();
    assert_eq!(states, [State::Aborted]);
}

#[test]
fn what_is_for_admins_nobody_else_does_from_the_pages() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(place.path()).unwrap();
    let config = config::parse("[web]\nabort = \"admin\"\nadmins = [\"eve\"]\n", "f").unwrap();
    let abort = Request::Abort { what: "gcc".to_owned(), reason: "a test".to_owned() };
    let asked_by = |user: &str| may(&config, &spool, &From::Web(user.to_owned()), &abort);
    assert_eq!(asked_by("ann").unwrap_err().to_string(), "ann may not abort gcc: ask an admin");
    asked_by("eve").unwrap();
}
