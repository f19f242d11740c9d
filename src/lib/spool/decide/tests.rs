//! The rules of product.md, "Life of a ticket", one by one.

use std::path::PathBuf;

use super::*;

pub(crate) fn ask() -> Ask {
    Ask {
        tree: "current".parse().unwrap(),
        item: "gcc-1-1-x86_64".parse().unwrap(),
        revision: "aaaa".parse().unwrap(),
        path: "gcc/PKGBUILD".to_owned(),
        priority: Priority::Push,
        by: "me".to_owned(),
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

fn known(stand: &str, revision: &str) -> Known {
    let name = format!("5,20261122-144743-123-aaaaaa,current,gcc-1-1-x86_64,{stand}").parse().unwrap();
    let entry = Entry { name, builder: None, path: PathBuf::new() };
    Known { entry, revision: Some(revision.parse().unwrap()) }
}

fn kept(decision: &Decision) -> bool {
    matches!(decision, Decision::Keep(_, None))
}

const BUILDING: &str = "e1,ix,s20261122-144801";

#[test]
fn the_same_asked_twice_while_it_waits_or_builds_is_one_ticket() {
    assert!(kept(&decide(&[known("e0", "aaaa")], &ask())));
    assert!(kept(&decide(&[known(BUILDING, "aaaa")], &ask())));
}

#[test]
fn another_revision_takes_a_waiting_tickets_place_and_follows_a_building_one() {
    assert_eq!(decide(&[known("e0", "bbbb")], &ask()), Decision::Make(Priority::Push));
    assert_eq!(decide(&[known(BUILDING, "bbbb")], &ask()), Decision::Make(Priority::Push));
}

#[test]
fn a_name_asks_for_a_version_at_whatever_revision() {
    let by_name = Ask { exact: false, ..ask() };
    assert!(kept(&decide(&[known("e0", "bbbb")], &by_name)));
    assert!(matches!(decide(&[known("e1,failed", "bbbb")], &by_name), Decision::Refuse(_)));
}

#[test]
fn one_failure_stops_until_the_recipe_changes_or_somebody_forces() {
    assert!(matches!(decide(&[known("e1,failed", "aaaa")], &ask()), Decision::Refuse(_)));
    assert_eq!(decide(&[known("e1,failed", "bbbb")], &ask()), Decision::Make(Priority::Push));
    let forced = Ask { force: true, priority: Priority::Urgent, ..ask() };
    assert_eq!(decide(&[known("e1,failed", "aaaa")], &forced), Decision::Make(Priority::Urgent));
}

#[test]
fn forcing_makes_a_waiting_ticket_urgent_and_answers_with_a_building_one() {
    let forced = Ask { force: true, priority: Priority::Urgent, ..ask() };
    assert!(matches!(decide(&[known("e0", "aaaa")], &forced), Decision::Keep(_, Some(Priority::Urgent))));
    assert!(kept(&decide(&[known(BUILDING, "aaaa")], &forced)));
}

#[test]
fn a_published_version_is_not_built_again_unless_forced() {
    let published = Ask { published: true, ..ask() };
    let Decision::Refuse(why) = decide(&[known("e1,built", "bbbb")], &published) else {
        panic!("built again")
    };
    assert!(why.ends_with("bump the release"), "{why}");
    assert!(matches!(decide(&[], &Ask { force: true, ..published }), Decision::Make(_)));
}

#[test]
fn aborted_superseded_and_troubled_versions_need_no_force_by_hand() {
    for stand in ["e0,aborted", "e0,superseded", "e5,trouble"] {
        assert!(matches!(decide(&[known(stand, "aaaa")], &ask()), Decision::Make(_)), "{stand}");
    }
    let unbuilt = Ask { spare_aborted: true, ..ask() };
    assert!(matches!(decide(&[known("e0,aborted", "aaaa")], &unbuilt), Decision::Refuse(_)));
}

#[test]
fn asking_with_a_better_priority_moves_the_waiting_ticket() {
    let background = Ask { priority: Priority::Background, ..ask() };
    assert!(kept(&decide(&[known("e0", "aaaa")], &background)));
    let urgent = Ask { priority: Priority::Urgent, ..ask() };
    assert!(matches!(decide(&[known("e0", "aaaa")], &urgent), Decision::Keep(_, Some(Priority::Urgent))));
}

#[test]
fn what_takes_a_waiting_tickets_place_takes_its_urgency() {
    let later = Ask { priority: Priority::Background, ..ask() };
    assert_eq!(decide(&[known("e0", "bbbb")], &later), Decision::Make(Priority::Push));
}
