//! A backup that was put in place of its spool: it refuses what it does not know, and overwrites nothing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use syncpkg::base::Clock;
use syncpkg::spool::{DIRECTORIES, Spool, queue};

use crate::stage::{Claimed, Farm, id_of};

/// Copies a directory as an admin does.
fn copy(farm: &Farm, from: &str, to: &str) {
    let ran = Command::new("cp").arg("-a").arg(farm.at(from)).arg(farm.at(to)).status().unwrap();
    assert!(ran.success());
}

fn back_up(farm: &Farm) {
    copy(farm, "spool", "backup");
}

/// Puts the backup in place; the spool that was there is kept beside it.
fn restore(farm: &Farm) {
    fs::rename(farm.at("spool"), farm.at("lost")).unwrap();
    copy(farm, "backup", "spool");
}

/// A farm that has claimed `gcc` since its backup was made, at epoch 2.
fn claimed_since() -> (Farm, Claimed) {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.claim("b1");
    farm.ok("syncpkg-builder --pause --release b1");
    back_up(&farm);
    let claimed = farm.later(60).claim("b2");
    assert!(claimed.claim.contains(".2."), "{}", claimed.claim);
    restore(&farm);
    (farm, claimed)
}

/// What the claim is told that was made since.
const UNKNOWN: &str =
    "epoch 2 of the ticket is not known, only 1: this spool may have been restored from an older copy";

#[test]
fn a_claim_that_a_restored_spool_never_gave_is_told_to_stop() {
    let (farm, claimed) = claimed_since();
    let ran = farm.run(&format!("syncpkg-beat {}", claimed.claim));
    assert_eq!((ran.status, ran.err.as_str()), (1, ""), "{ran:?}");
    assert_eq!(ran.out, format!("{UNKNOWN}\n"));
    assert_eq!(farm.states("all"), ["gcc waiting"]);
    farm.is_sound();
}

#[test]
fn a_report_on_a_claim_that_a_restored_spool_never_gave_is_refused_and_kept() {
    let (farm, claimed) = claimed_since();
    for outcome in ["built", "failed", "trouble"] {
        let report = format!("syncpkg-report {} --outcome {outcome}", claimed.claim);
        farm.no(&report, 1, &format!("refused: {UNKNOWN}"));
        farm.no(&report, 1, &format!("refused: {UNKNOWN}"));
    }
    let late = ["built", "failed", "trouble"].map(|outcome| format!("{}.2.{outcome}.toml", claimed.id));
    assert_eq!(farm.files("late"), late);
    assert_eq!(farm.states("all"), ["gcc waiting"]);
    farm.is_sound();
}

#[test]
fn a_report_about_a_ticket_that_a_restored_spool_never_had_is_refused_and_kept() {
    let farm = Farm::new();
    back_up(&farm);
    let id = farm.push("gcc", "");
    let claimed = farm.claim("b1");
    restore(&farm);
    let none = format!("there is no ticket {id}: this spool may have been restored from an older copy");
    fs::write(farm.at("log"), "all went well\n").unwrap();
    let report = format!("syncpkg-report {} --outcome built --log log", claimed.claim);
    farm.no(&report, 1, &format!("refused: {none}"));
    farm.no(&report, 1, &format!("refused: {none}"));
    let kept = ["log", "toml"].map(|suffix| format!("{id}.1.built.{suffix}"));
    assert_eq!(farm.files("late"), kept);
    assert!(fs::read_to_string(farm.at("spool/late").join(&kept[1])).unwrap().contains(&claimed.claim));
    let ran = farm.run(&format!("syncpkg-beat {}", claimed.claim));
    assert_eq!((ran.status, ran.out.as_str()), (1, &*format!("{none}\n")));
    assert_eq!(farm.states("all"), Vec::<String>::new());
    farm.is_sound();
}

#[test]
fn a_claim_given_out_again_has_a_word_of_its_own() {
    let (farm, lost) = claimed_since();
    let again = farm.claim("b3");
    assert_eq!(again.id, lost.id);
    assert_ne!(again.claim, lost.claim, "the same epoch, and yet another claim");
    farm.no(&format!("syncpkg-report {} --outcome built", lost.claim), 1, "b3 holds the ticket now");
    assert_eq!(farm.run(&format!("syncpkg-beat {}", lost.claim)).status, 1);
    farm.built(&again, "x");
    farm.no(&format!("syncpkg-report {} --outcome failed", lost.claim), 1, "has ended as built");
    farm.is_sound();
}

#[test]
fn the_same_builder_cannot_end_a_claim_with_the_word_of_one_that_was_lost() {
    let (farm, lost) = claimed_since();
    let again = farm.claim("b2");
    assert_ne!(again.claim, lost.claim);
    farm.no(&format!("syncpkg-report {} --outcome failed", lost.claim), 1, "refused: ");
    assert_eq!(farm.state(&again.id), "building");
    farm.built(&again, "x");
    farm.is_sound();
}

#[test]
fn a_package_published_since_is_not_overwritten_with_other_content() {
    let farm = Farm::new();
    farm.push("gcc", "");
    back_up(&farm);
    farm.built(&farm.claim("b1"), "first");
    farm.ok("syncpkgd --once");
    restore(&farm);
    farm.built(&farm.claim("b1"), "second");
    farm.ok("syncpkgd --once");
    let published = farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz");
    assert_eq!(fs::read_to_string(published).unwrap(), "first");
    assert!(farm.ok("syncpkg-why gcc").contains("is published with other content: bump the release"));
    farm.is_sound();
}

#[test]
fn a_package_published_since_with_the_same_content_is_taken_as_published() {
    let farm = Farm::new();
    farm.push("gcc", "");
    back_up(&farm);
    farm.built(&farm.claim("b1"), "x");
    farm.ok("syncpkgd --once");
    restore(&farm);
    farm.built(&farm.claim("b1"), "x");
    farm.ok("syncpkgd --once");
    assert!(farm.files("hold").is_empty());
    farm.no("syncpkg-enqueue gcc", 1, "is published already: bump the release");
    farm.is_sound();
}

#[test]
fn asking_again_finds_what_is_there_and_makes_what_is_not() {
    let farm = Farm::new();
    let gcc = farm.push("gcc", "");
    farm.commit("make", "");
    back_up(&farm);
    let lost = id_of(&farm.later(1).ok("syncpkg-enqueue make"));
    restore(&farm);
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue gcc")), gcc);
    let make = id_of(&farm.ok("syncpkg-enqueue make"));
    assert_ne!(make, lost, "an ID is never given twice");
    assert_eq!(farm.states("all"), ["gcc waiting", "make waiting"]);
    farm.is_sound();
}

#[test]
fn with_or_without_its_cache_a_restored_spool_knows_what_it_has() {
    for with_cache in [true, false] {
        let farm = Farm::new();
        farm.commit("app", "depends=(lib)");
        farm.commit("lib", "");
        farm.ok("syncpkg-enqueue app lib");
        back_up(&farm);
        let lib = farm.claim("b1");
        farm.built(&lib, "x");
        if !with_cache {
            fs::remove_dir_all(farm.at("backup/cache")).unwrap();
            fs::create_dir(farm.at("backup/cache")).unwrap();
        }
        restore(&farm);
        farm.is_sound();
        assert_eq!(farm.claim("b1").name, "lib", "with its cache: {with_cache}");
        farm.no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
        farm.ok("syncpkg-abort app lib");
        farm.is_sound();
    }
}

#[test]
fn after_a_restore_everybody_gets_a_whole_lease_again() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.ok("syncpkgd --once");
    back_up(&farm);
    farm.later(590).ok(&format!("syncpkg-beat {}", claimed.claim));
    restore(&farm);
    farm.later(60).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc building"], "the beat that the backup does not know was acknowledged");
    farm.later(601).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc waiting"]);
    farm.is_sound();
}

#[test]
fn a_copy_taken_while_programs_ran_is_sound_once_it_was_repaired() {
    let farm = Farm::new();
    let spool = Spool::open(&farm.at("spool")).unwrap();
    let asks: Vec<_> = (0..300).map(crate::race::ask).collect();
    queue::enqueue(&spool, &asks, &Clock::system(), Duration::ZERO).unwrap();
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| crate::race::drain(&spool, "b1"));
        back_up_by_name(&farm);
        assert_eq!(drained.join().unwrap().len(), 300);
    });
    restore(&farm);
    farm.run("syncpkg-check --repair");
    farm.is_sound();
    crate::race::drain(&Spool::open(&farm.at("spool")).unwrap(), "b2");
    farm.is_sound();
}

/// Copies a spool that is used meanwhile, one directory after another in the order of their names, as rsync does: reports
/// come after the tickets that they ended.
fn back_up_by_name(farm: &Farm) {
    fs::create_dir(farm.at("backup")).unwrap();
    let mut names = DIRECTORIES.to_vec();
    names.push("format");
    names.sort_unstable();
    for name in names {
        // Some of what it has listed is gone when it comes there; it says so, and copies the rest.
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(farm.at("spool").join(name)).arg(farm.at("backup")).output().unwrap();
    }
}
