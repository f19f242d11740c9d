//! What holds of the end of a try, without programs.

use super::*;
use crate::config::Span;
use crate::names::Instance;
use crate::spool::{claim, decide, report};

fn take(spool: &Spool, clock: &Clock) -> claim::Claimed {
    let (builder, archs) = ("b1".parse().unwrap(), vec!["x86_64".parse().unwrap()]);
    let instance = Instance::random().unwrap();
    let request = claim::Request { builder, instance, archs, count: 1, choice: Default::default() };
    claim::take(spool, &request, clock).unwrap().remove(0)
}

fn ending(outcome: Outcome) -> Ending {
    let (reason, host) = (String::new(), String::new());
    Ending { outcome, stage: None, reason, exit: None, host, log: None, files: Vec::new() }
}

/// A claim of which trouble is filed, in this stage, but the ticket has not moved yet.
fn half_reported(spool: &Spool, stage: Option<&str>, clock: &Clock) -> (Claim, Entry) {
    queue::enqueue(spool, &[decide::tests::ask()], clock, Duration::ZERO).unwrap();
    let claim = take(spool, clock).claim;
    let entry = claim.entry(spool).unwrap().unwrap();
    let said = Ending { stage: stage.map(str::to_owned), ..ending(Outcome::Trouble) };
    file(spool, &draft(&entry, &claim, &said, clock).unwrap(), false).unwrap();
    (claim, entry)
}

fn come_back(spool: &Spool, entry: &Entry, clock: &Clock) {
    queue::come_back(spool, &entry.path, &entry.name.standing(Stand::Waiting(None)), clock).unwrap();
}

#[test]
fn a_try_of_which_trouble_was_reported_while_its_lease_was_lost_does_not_end_otherwise() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let (clock, trouble) = (Clock::system(), TroubleSection::default());
    let (claim, entry) = half_reported(&spool, None, &clock);
    come_back(&spool, &entry, &clock);
    let end = |outcome| end(&spool, &claim, &ending(outcome), &trouble, &clock);
    end(Outcome::Trouble).unwrap();
    let refused = end(Outcome::Built).unwrap_err();
    assert_eq!(refused.to_string(), "refused: the lease was lost, the ticket waits again");
    end(Outcome::Trouble).unwrap();
    assert_eq!(take(&spool, &clock).claim.epoch, 2);
}

#[test]
fn a_try_whose_lease_was_lost_is_ended_by_its_own_builder_alone() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let (clock, trouble) = (Clock::system(), TroubleSection::default());
    let (claim, entry) = half_reported(&spool, Some(LEASE), &clock);
    come_back(&spool, &entry, &clock);
    let end = |claim: &Claim| end(&spool, claim, &ending(Outcome::Built), &trouble, &clock);
    let other = Claim { builder: "b2".parse().unwrap(), ..claim.clone() };
    assert_eq!(end(&other).unwrap_err().kind.status(), 1);
    end(&claim).unwrap();
}

#[test]
fn a_try_that_was_built_after_all_did_not_end_in_trouble() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let (clock, trouble) = (Clock::system(), TroubleSection::default());
    let (claim, _) = half_reported(&spool, None, &clock);
    let end = |outcome| end(&spool, &claim, &ending(outcome), &trouble, &clock);
    end(Outcome::Built).unwrap();
    let refused = end(Outcome::Trouble).unwrap_err();
    assert_eq!(refused.to_string(), "refused: the ticket has ended as built");
    end(Outcome::Built).unwrap();
}

#[test]
fn a_ticket_ends_with_one_of_its_tries() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let (clock, trouble) =
        (Clock::system(), TroubleSection { rest: Span::seconds(0), claims: 2, ..TroubleSection::default() });
    queue::enqueue(&spool, &[decide::tests::ask()], &clock, Duration::ZERO).unwrap();
    let [_, last] = [(); 2].map(|()| {
        let claimed = take(&spool, &clock);
        end(&spool, &claimed.claim, &ending(Outcome::Trouble), &trouble, &clock).unwrap();
        claimed.claim
    });
    assert!(report::ended(&spool, &last.id, 1).unwrap().is_none());
    assert!(report::ended(&spool, &last.id, 2).unwrap().is_some());
}

#[test]
fn whoever_has_the_spool_open_when_it_moves_is_told_to_try_again() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let claim = "b1.20261122-144743-123-k3f7x2.1.x7k2m9qa".parse().unwrap();
    let end = || end(&spool, &claim, &ending(Outcome::Failed), &TroubleSection::default(), &Clock::system());
    assert_eq!(end().unwrap_err().kind.status(), 1);
    spool.leave("new").unwrap();
    assert_eq!(end().unwrap_err().to_string(), "spool moved to new");
    assert_eq!(spool.lock_queue(Duration::ZERO).unwrap_err().kind.status(), 75);
    assert_eq!(Spool::create(spool.root()).unwrap_err().kind.status(), 75);
}

#[test]
fn nothing_rests_for_longer_than_a_day() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let trouble = TroubleSection { rest: Span::seconds(30 * 24 * 3600), ..TroubleSection::default() };
    let name = "5,20261122-144743-123-k3f7x2,current,gcc-1-1-x86_64,e1".parse().unwrap();
    let clock = Clock::fixed("2026-11-22T15:00:00Z".parse().unwrap());
    let name = destination(&spool, &name, Outcome::Trouble, &trouble, &clock);
    assert_eq!(name.unwrap().stand, Stand::Waiting(Some("20261123-150000".parse().unwrap())));
}
