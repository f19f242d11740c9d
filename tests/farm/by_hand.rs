//! What spool-layout.md lets the admin do with `mv`, `rm` and `touch`, the programs accept.

use std::fs;

use crate::stage::Farm;

#[test]
fn a_claim_moved_back_by_hand_is_taken_away_at_once() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    let held = farm.files("run")[0].clone();
    let name = held.strip_prefix("b1/").unwrap();
    let (kept, _) = name.split_once(",i").unwrap();
    fs::rename(farm.at("spool/run").join(&held), farm.at("spool/new/x86_64").join(kept)).unwrap();
    farm.is_sound();
    assert_eq!(farm.run(&format!("syncpkg-beat {}", claimed.claim)).status, 1);
    let again = farm.claim("b2");
    assert_eq!(again.id, claimed.id);
    farm.no(&format!("syncpkg-report {} --outcome built", claimed.claim), 1, "b2 holds the ticket now");
}

#[test]
fn a_ticket_renamed_to_a_better_digit_is_urgent() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.later(1).push("make", "");
    let last = farm.files("new")[1].clone();
    let better = last.replacen("x86_64/5,", "x86_64/2,", 1);
    fs::rename(farm.at("spool/new").join(&last), farm.at("spool/new").join(better)).unwrap();
    farm.is_sound();
    assert_eq!(farm.claim("b1").name, "make");
}

#[test]
fn removing_tickets_holds_and_caches_breaks_nothing() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.later(1).push("make", "");
    farm.built(&farm.claim("b1"), "gcc");
    fs::remove_file(farm.at("spool/new").join(&farm.files("new")[0])).unwrap();
    fs::remove_dir_all(farm.at("spool/hold").join(farm.files("hold")[0].split('/').next().unwrap())).unwrap();
    fs::remove_dir_all(farm.at("spool/cache")).unwrap();
    farm.ok("syncpkgd --once");
    assert!(farm.ok("syncpkg-why gcc").contains("not in the package directory"));
    farm.no("syncpkg-why make", 1, "make was never enqueued");
    farm.is_sound();
}
