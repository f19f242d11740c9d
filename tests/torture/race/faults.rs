//! The judge is judged: of small histories, each with one fault, it finds that one and no other.

use std::time::Duration;

use super::history::{parse, with_history};
use super::judge::{Place, faults};

const ID: &str = "20261122-120000-000-aaaaaa";

fn at(state: &str, epoch: u32) -> Place {
    Place { id: ID.to_owned(), item: "gcc-1-1-x86_64".to_owned(), state: state.to_owned(), epoch }
}

/// The kinds of faults found; each history is one process, `ID` stands for the ticket's, times are in seconds.
fn kinds(histories: &[&str], places: &[Place]) -> Vec<String> {
    let seconds = |line: &str| {
        let (time, rest) = line.trim().split_once(' ').unwrap();
        format!("{time}000000000 {}\n", rest.replace("ID", ID))
    };
    let text = |history: &&str| history.lines().map(seconds).collect::<String>();
    let events: Vec<_> = histories.iter().flat_map(|history| parse(&text(history))).collect();
    let found = faults(&events, places, Duration::from_secs(10));
    let mut kinds: Vec<String> =
        found.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    kinds.dedup();
    kinds
}

const ASKED: &str = "1 begin enqueue gcc-1-1-x86_64\n2 end ID";
const CLAIMED: &str = "3 begin claim b1 aa\n4 end b1.ID.1.aa";
const BUILT: &str = "5 begin report b1.ID.1.aa built\n6 end yes";

#[test]
fn a_history_without_a_fault_has_none() {
    assert!(kinds(&[ASKED, CLAIMED, BUILT], &[at("built", 1)]).is_empty());
    let unanswered = "1 begin enqueue gcc-1-1-x86_64";
    assert!(kinds(&[unanswered], &[]).is_empty(), "nothing was promised");
    assert!(kinds(&[unanswered], &[at("waiting", 0)]).is_empty(), "it may have been done");
    let repeated = "7 begin report b1.ID.1.aa built\n8 end yes";
    assert!(
        kinds(&[ASKED, CLAIMED, BUILT, repeated], &[at("built", 1)]).is_empty(),
        "a repeat is no second end"
    );
    let late = "7 begin report b1.ID.1.aa failed\n8 end no";
    assert!(kinds(&[ASKED, CLAIMED, BUILT, late], &[at("built", 1)]).is_empty(), "refused is no end");
}

#[test]
fn a_lost_ticket_is_found() {
    assert_eq!(kinds(&[ASKED], &[]), ["lost"]);
}

#[test]
fn a_duplicated_ticket_is_found() {
    assert_eq!(kinds(&[ASKED], &[at("waiting", 0), at("building", 1)]), ["duplicated"]);
}

#[test]
fn an_invented_ticket_is_found() {
    assert_eq!(kinds(&[], &[at("waiting", 0)]), ["invented"]);
}

#[test]
fn an_epoch_given_to_two_is_found() {
    let other = "3 begin claim b2 bb\n4 end b2.ID.1.bb";
    assert_eq!(kinds(&[ASKED, CLAIMED, other], &[at("building", 1)]), ["double claim"]);
}

#[test]
fn a_claim_of_what_had_ended_is_found() {
    let other = "7 begin claim b2 bb\n8 end b2.ID.2.bb";
    assert_eq!(
        kinds(&[ASKED, CLAIMED, BUILT, other], &[at("built", 1)]),
        ["double claim", "epoch went back"]
    );
}

#[test]
fn two_ends_of_one_claim_are_found() {
    let other = "7 begin report b1.ID.1.aa trouble\n8 end yes";
    assert_eq!(kinds(&[ASKED, CLAIMED, BUILT, other], &[at("built", 1)]), ["two ends"]);
}

#[test]
fn two_ends_of_one_ticket_are_found() {
    let other = "1 begin claim b0 cc\n2 end b0.ID.2.cc\n7 begin report b0.ID.2.cc failed\n8 end yes";
    let found = kinds(&[ASKED, CLAIMED, BUILT, other], &[at("failed", 2)]);
    assert_eq!(found, ["double claim", "two ends", "end undone"]);
}

#[test]
fn an_abort_that_did_not_last_is_found() {
    let abort = "1 begin abort ID\n2 end yes";
    assert_eq!(kinds(&[ASKED, abort], &[at("building", 1)]), ["abort undone"]);
    assert_eq!(kinds(&[ASKED, CLAIMED, BUILT, abort], &[at("aborted", 1)]), ["two ends", "end undone"]);
}

#[test]
fn an_end_that_did_not_last_is_found() {
    assert_eq!(kinds(&[ASKED, CLAIMED, BUILT], &[at("waiting", 1)]), ["end undone"]);
}

#[test]
fn an_epoch_that_went_back_is_found() {
    assert_eq!(kinds(&[ASKED, CLAIMED], &[at("waiting", 0)]), ["epoch went back"]);
}

#[test]
fn a_claim_taken_back_early_is_found() {
    let beat = "5 begin beat b1.ID.1.aa\n6 end yes";
    let early = "7 begin reclaim\n8 end ID/1";
    assert_eq!(kinds(&[ASKED, CLAIMED, beat, early], &[at("waiting", 1)]), ["early"]);
    let later = "15 begin reclaim\n16 end ID/1";
    assert!(kinds(&[ASKED, CLAIMED, beat, later], &[at("waiting", 1)]).is_empty());
}

#[test]
fn a_spool_that_contradicts_itself_is_found() {
    let wrong = "1 begin enqueue gcc-1-1-x86_64\n2 end wrong: it exists with other content";
    assert_eq!(kinds(&[wrong], &[]), ["wrong"]);
}

#[test]
fn a_fault_is_told_with_all_that_was_said_of_its_ticket_in_order() {
    let first = format!("5 begin report b1.{ID}.1.aa built\n6 end yes\n7 begin claim b1 aa\n8 end nothing");
    let events = [parse(&first), parse(&format!("1 begin enqueue gcc-1-1-x86_64\n2 end {ID}"))].concat();
    let told = with_history(&format!("two ends: End {{ id: \"{ID}\" }} and aborted"), &events);
    let kinds: Vec<&str> = told.lines().map(|line| line.trim().split('"').nth(1).unwrap()).collect();
    assert_eq!(kinds, [ID, "enqueue", "report"]);
}
