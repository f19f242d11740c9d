//! Aborting: final, by ID, name or version, and heard of by the builder.

use crate::stage::Farm;

#[test]
fn a_waiting_ticket_is_aborted_by_name_version_or_id() {
    let farm = Farm::new();
    for what in ["gcc", "current/gcc", "gcc-1-1-x86_64"] {
        let id = farm.later(1).push("gcc", "");
        assert_eq!(farm.ok(&format!("syncpkg-abort {what}")), format!("{id} gcc-1-1-x86_64\n"));
        assert_eq!(farm.state(&id), "aborted");
    }
    let id = farm.later(1).push("gcc", "");
    farm.ok(&format!("syncpkg-abort {id}"));
    farm.no(&format!("syncpkg-abort {id}"), 1, "too late");
    farm.is_sound();
}

#[test]
fn no_outcome_but_aborted_is_ever_shown_of_a_ticket_that_was() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.ok("syncpkg-abort --by ann --reason wrong gcc");
    let ran = farm.run(&format!("syncpkg-beat {}", claimed.claim));
    assert_eq!((ran.status, ran.out.as_str()), (1, "aborted by ann: wrong\n"));
    farm.no(
        &format!("syncpkg-report {} --outcome built", claimed.claim),
        1,
        "refused: aborted by ann: wrong",
    );
    assert_eq!(farm.states("all"), ["gcc aborted"]);
    farm.ok("syncpkgd --once");
    assert!(farm.files("sent").is_empty(), "nobody is mailed about it");
    farm.is_sound();
}

#[test]
fn what_is_not_there_cannot_be_aborted() {
    let farm = Farm::new();
    farm.no("syncpkg-abort gcc", 1, "cannot abort gcc: nothing of it waits or builds");
    farm.no("syncpkg-abort ../x", 2, "not allowed");
}
