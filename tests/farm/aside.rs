//! Builders that the farm sets aside.

use std::fs;

use super::stage::{Claimed, Farm};

const NAMES: [&str; 5] = ["bash", "gcc", "make", "sed", "tar"];

/// A farm that had built five packages on b1, and is asked for them again.
fn farm_that_built() -> Farm {
    let farm = Farm::new();
    for name in NAMES {
        farm.later(1).push(name, "");
        farm.built(&farm.claim("b1"), name);
    }
    farm.ok("syncpkgd --once");
    for name in NAMES {
        farm.later(1).ok(&format!("syncpkg-enqueue --force --priority push {name}"));
    }
    farm
}

fn fail(farm: &Farm, builder: &str) -> Claimed {
    let claimed = farm.later(20).claim(builder);
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", claimed.claim));
    claimed
}

/// The subjects of all mails that went out.
fn subjects(farm: &Farm) -> Vec<String> {
    let text = |name: String| fs::read_to_string(farm.at("spool/sent").join(name)).unwrap();
    let mut subjects: Vec<String> = farm
        .files("sent")
        .into_iter()
        .map(text)
        .filter_map(|mail| mail.lines().find_map(|line| Some(line.strip_prefix("Subject: ")?.to_owned())))
        .collect();
    subjects.sort();
    subjects
}

#[test]
fn a_builder_that_has_trouble_again_and_again_rests_and_its_admin_hears_of_it_once() {
    let farm = Farm::new();
    for name in ["gcc", "make", "sed", "tar"] {
        farm.later(1).push(name, "");
    }
    let trouble = || {
        let claim = farm.claim("b1").claim;
        farm.ok(&format!("syncpkg-report {claim} --outcome trouble --reason full"));
        farm.ok(&format!("syncpkg-report {claim} --outcome trouble --reason full"));
    };
    trouble();
    trouble();
    trouble();
    let no = "builder b1 is set aside until 2026-11-22 12:00:14 UTC: it had trouble 3 times in a row";
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, no);
    let why = farm.ok("syncpkg-why tar");
    assert!(why.contains("b1 is set aside until 2026-11-22 12:00:14 UTC"), "{why}");
    assert!(farm.ok("syncpkg-builder").starts_with("b1  x86_64  set aside until "));
    farm.ok("syncpkgd --once");
    farm.later(10);
    trouble();
    farm.later(19).no("syncpkg-claim --builder b1 --arch x86_64", 1, "set aside");
    farm.ok("syncpkgd --once");
    assert_eq!(subjects(&farm), ["[syncpkg] builder b1 is set aside"]);
    farm.later(3600).built(&farm.claim("b1"), "x");
    assert!(farm.files("builder").iter().all(|name| !name.ends_with(".aside")), "all is forgotten");
    farm.ok("syncpkgd --once");
    farm.is_sound();
}

#[test]
fn a_person_brings_back_at_once_who_rests() {
    let farm = Farm::new();
    farm.configure("[trouble]\nin_a_row = 1\n");
    farm.push("gcc", "");
    farm.push("make", "");
    let claim = farm.claim("b1").claim;
    farm.ok(&format!("syncpkg-report {claim} --outcome trouble"));
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, "set aside");
    farm.ok("syncpkg-builder --resume b1");
    farm.claim("b1");
}

#[test]
fn whoever_waits_for_work_gets_it_as_soon_as_a_person_has_looked() {
    let farm = farm_that_built();
    farm.configure("[trouble]\nfailures = 1\n");
    fail(&farm, "b1");
    let mut waits = farm.start("syncpkg-claim --builder b1 --arch x86_64 --wait=60s");
    assert_eq!(farm.run("syncpkg-builder --resume b1").status, 0);
    assert!(waits.wait().unwrap().success());
    assert!(farm.ok("syncpkg-builder").contains("building 1"));
}

#[test]
fn a_builder_at_fault_is_found_its_mails_are_thrown_away_and_the_night_is_undone() {
    let farm = farm_that_built();
    let first = fail(&farm, "b1");
    farm.ok("syncpkgd --once");
    assert_eq!(subjects(&farm).len(), 1, "the first is told at once");
    (1..5).for_each(|_| drop((fail(&farm, "b1"), farm.ok("syncpkgd --once"))));
    let sent = subjects(&farm);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[1], "[syncpkg] builder b1 is set aside");
    let no = "5 packages in a row failed there that had been built before: bash, gcc, make, sed, tar";
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, no);
    farm.later(24 * 3600).no("syncpkg-claim --builder b1 --arch x86_64", 1, "syncpkg-builder --resume b1");
    let page = fs::read_to_string(farm.at("www/builder/b1/index.html")).unwrap();
    assert!(page.contains("The farm has set it aside") && page.contains("syncpkg-builder --resume b1"));
    // What the mail says is done as it stands there.
    let names = farm.ok("syncpkg-ls failed --builder b1 --since 2d --names");
    assert_eq!(names.lines().count(), 5);
    let again: Vec<&str> = names.lines().filter(|name| !name.contains("tar-")).collect();
    farm.ok(&format!("syncpkg-enqueue --force {}", again.join(" ")));
    let resumed = farm.run("syncpkg-builder --resume b1");
    let said = "syncpkg-builder: b1: 3 mails about failures, not sent: asked for again since\n\
                syncpkg-builder: b1: 1 mail about failures, sent now\n";
    assert!(resumed.status == 0 && resumed.err == said, "{resumed:?}");
    farm.ok("syncpkgd --once");
    let sent = subjects(&farm);
    assert!(sent.len() == 3 && sent.iter().any(|subject| subject.contains("tar")), "{sent:?}");
    assert_ne!(first.name, "tar");
    for _ in again {
        farm.later(1).built(&farm.claim("b2"), "x");
    }
    farm.is_sound();
}

#[test]
fn what_another_one_builds_in_between_does_not_excuse_it() {
    let farm = farm_that_built();
    farm.later(1).push("zlib", "");
    (0..4).for_each(|_| drop(fail(&farm, "b1")));
    farm.built(&farm.claim("b2"), "x");
    farm.later(1).push("xz", "");
    farm.claim("b1");
    assert!(farm.ok("syncpkg-builder b1").contains("building 1"), "four are not enough");
}

#[test]
fn mails_of_a_builder_that_builds_again_go_out() {
    let farm = farm_that_built();
    farm.later(1).push("zlib", "");
    (0..3).for_each(|_| drop((fail(&farm, "b1"), farm.ok("syncpkgd --once"))));
    assert_eq!(subjects(&farm).len(), 1);
    let claimed = farm.claim("b1");
    farm.built(&claimed, "x");
    farm.ok("syncpkgd --once");
    assert_eq!(subjects(&farm).len(), 3, "they were the packages' failures");
}
