//! What holds of claiming, without programs.

use std::cell::Cell;

use super::*;

#[test]
fn who_went_while_he_waited_gets_nothing() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let request = Request {
        builder: "b1".parse().unwrap(),
        instance: "x".parse().unwrap(),
        archs: vec!["x86_64".parse().unwrap()],
        count: 1,
        choice: Choice::default(),
    };
    let asked = Cell::new(false);
    // There is no work when it is asked first; then there is, and nobody to do it.
    let is_gone = || {
        let gone = asked.replace(true);
        if !gone {
            let ask = super::super::sample_ask();
            queue::enqueue(&spool, &[ask], &Clock::system(), lock::PATIENCE).unwrap();
        }
        gone
    };
    let error = wait(&spool, &request, None, &is_gone, &Clock::system()).unwrap_err();
    assert_eq!((error.kind, list::waiting(&spool).unwrap().len()), (Kind::No, 1));
}
