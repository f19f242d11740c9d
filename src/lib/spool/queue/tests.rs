//! What holds of asking, whatever lies in the spool.

use super::super::decide::tests::ask;
use super::*;

#[test]
fn a_ticket_that_is_claimed_just_now_is_no_other() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    enqueue(&spool, &[ask()], &Clock::system(), Duration::ZERO).unwrap();
    let listed = list::waiting(&spool).unwrap().remove(0);
    let request = super::super::claim::Request {
        builder: "b1".parse().unwrap(),
        instance: "x".parse().unwrap(),
        archs: vec!["x86_64".parse().unwrap()],
        count: 1,
        choice: Default::default(),
    };
    super::super::claim::take(&spool, &request, &Clock::system()).unwrap();
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
