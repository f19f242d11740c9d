//! What holds of asking, whatever lies in the spool.

use super::super::claim::{self, Request};
use super::super::decide::tests::ask;
use super::super::report;
use super::super::waiting::tests::failed;
use super::*;

fn request() -> Request {
    Request {
        builder: "b1".parse().unwrap(),
        instance: "x".parse().unwrap(),
        archs: vec!["x86_64".parse().unwrap()],
        count: 1,
        choice: Default::default(),
    }
}

#[test]
fn a_ticket_that_is_claimed_just_now_is_no_other() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    enqueue(&spool, &[ask()], &Clock::system(), Duration::ZERO).unwrap();
    let listed = list::waiting(&spool).unwrap().remove(0);
    claim::take(&spool, &request(), &Clock::system()).unwrap();
    let followed = with_revision(&spool, listed, &ask()).unwrap();
    assert!(matches!(decide(&[followed], &ask()), Decision::Keep(_, None)));
}

#[test]
fn an_enqueue_that_is_asked_again_finishes_what_the_first_had_no_time_for() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let asked = |item: &str| {
        let ask = Ask { item: item.parse().unwrap(), ..ask() };
        enqueue(&spool, &[ask], &Clock::system(), Duration::ZERO).unwrap()
    };
    let waiting = || -> Vec<Entry> { list::waiting(&spool).unwrap() };
    asked("gcc-1-1-x86_64");
    let first = waiting().remove(0);
    let text = std::fs::read(&first.path).unwrap();
    asked("gcc-2-1-x86_64");
    // Its maker died before the earlier one made way.
    let (tree, name) = (&first.name.tree, &first.name.item.name);
    std::fs::remove_file(&History::of(&spool, tree, name).unwrap().all()[0].path).unwrap();
    std::fs::write(&first.path, text).unwrap();
    assert_eq!(waiting().len(), 2);
    assert!(matches!(*asked("gcc-2-1-x86_64"), [Answer::There(_)]));
    assert_eq!(waiting().len(), 1);
}

#[test]
fn a_batch_is_answered_as_its_requests_are_one_after_the_other() {
    let asked = |item: &str, revision: &str, exact: bool| {
        let (item, revision) = (item.parse().unwrap(), revision.parse().unwrap());
        Ask { item, revision, exact, ..ask() }
    };
    let requests = [
        asked("gcc-1-1-x86_64", "bbbb", true),
        asked("gcc-2-1-x86_64", "bbbb", true),
        asked("gcc-1-1-x86_64", "bbbb", false),
    ];
    for size in [1, requests.len()] {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::create(&place.path().join("spool")).unwrap();
        let clock = Clock::system();
        enqueue(&spool, &[asked("gcc-1-1-x86_64", "aaaa", true)], &clock, Duration::ZERO).unwrap();
        let claimed = claim::take(&spool, &request(), &clock).unwrap().remove(0);
        report::end(&spool, &claimed.claim, &failed(), &Default::default(), &clock).unwrap();
        for requests in requests.chunks(size) {
            let answers = enqueue(&spool, requests, &clock, Duration::ZERO).unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Answer::Made(_))), "{size}: {answers:?}");
        }
        let waiting = list::waiting(&spool).unwrap();
        assert_eq!(
            waiting.iter().map(|entry| entry.name.item.to_string()).collect::<Vec<_>>(),
            ["gcc-1-1-x86_64"]
        );
    }
}
