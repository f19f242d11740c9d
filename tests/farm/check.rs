//! syncpkg-check: finds what is wrong, mends it, and takes nothing for wrong that only moves.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use syncpkg::base::Clock;
use syncpkg::spool::{Spool, check};

use crate::stage::{Farm, until};

#[test]
fn what_moves_while_it_is_looked_at_is_no_problem() {
    let farm = Farm::new();
    let spool = Spool::open(&farm.at("spool")).unwrap();
    let asks: Vec<_> = (0..300).map(crate::race::ask).collect();
    let patience = std::time::Duration::from_secs(30);
    std::thread::scope(|scope| {
        let enqueuing = scope.spawn(|| {
            for n in 0..30 {
                let revision: syncpkg::names::Revision = format!("abc{n:04}").parse().unwrap();
                let later = asks
                    .iter()
                    .map(|ask| syncpkg::spool::queue::Ask { revision: revision.clone(), ..ask.clone() });
                let some: Vec<_> = later.skip(n % 7).step_by(7).collect();
                syncpkg::spool::queue::enqueue(&spool, &some, &Clock::system(), patience).unwrap();
                crate::race::drain(&spool, "b1");
            }
        });
        while !enqueuing.is_finished() {
            assert_eq!(check::check(&spool, false, &Clock::system()).unwrap(), []);
        }
        enqueuing.join().unwrap();
    });
    assert!(farm.files("bad").is_empty());
}

#[test]
fn a_directory_that_was_removed_is_named_and_made_again() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    for name in syncpkg::spool::DIRECTORIES {
        fs::remove_dir_all(farm.at("spool").join(name)).unwrap();
        let ran = farm.run("syncpkg-check");
        assert_eq!((ran.status, ran.err.as_str()), (1, ""), "{name}: {ran:?}");
        assert!(ran.out.contains(&format!("{name}: the directory is missing")), "{ran:?}");
        let _ = fs::remove_dir_all(farm.at("spool").join(name));
        farm.ok("syncpkg-check --repair");
        farm.is_sound();
    }
    let mode = fs::metadata(farm.at("spool/drop")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1730, "who may ask may ask again");
}

#[test]
fn the_farm_goes_on_without_what_can_be_made_again() {
    let farm = Farm::new();
    for name in ["tmp", "lock", "cache", "log", "report", "live", "hold"] {
        fs::remove_dir_all(farm.at("spool").join(name)).unwrap();
    }
    farm.push("gcc", "");
    farm.built(&farm.claim("b1"), "gcc");
    farm.ok("syncpkgd --once");
    assert!(farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz").exists());
}

#[test]
fn a_ticket_that_lies_where_no_program_looks_is_said() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let name = farm.files("new")[0].clone();
    let base = name.rsplit('/').next().unwrap();
    fs::rename(farm.at("spool/new").join(&name), farm.at("spool/new").join(base)).unwrap();
    let ran = farm.run("syncpkg-check");
    assert_eq!((ran.status, ran.out), (1, format!("new/{base}: lies where no program looks\n")));
    farm.ok("syncpkg-check --repair");
    assert_eq!(farm.files("bad").len(), 2);
}

#[test]
fn what_cannot_be_published_gives_the_daemon_no_more_to_do() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.built(&farm.claim("b1"), "gcc");
    fs::write(farm.at("packages"), "in the way").unwrap();
    let mut daemon = farm.start("syncpkgd");
    until("a first round", 20, || farm.at("spool/cache/round").exists());
    std::thread::sleep(std::time::Duration::from_secs(2));
    let round = || fs::read_to_string(farm.at("spool/cache/round")).unwrap();
    let before = round();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let after = round();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(before, after, "it rests");
}

#[test]
fn what_is_in_quarantine_needs_a_person_also_after_a_repair() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let ticket = farm.at("spool/new").join(&farm.files("new")[0]);
    fs::write(&ticket, "format = 7").unwrap();
    let ran = farm.run("syncpkg-check --repair");
    assert!(ran.status == 0 && ran.out.ends_with("(moved to bad)\n"), "{ran:?}");
    let ran = farm.run("syncpkg-check --repair");
    assert!(ran.status == 1 && ran.out.contains("is in quarantine: "), "{ran:?}");
}

/// A ticket that waits at epoch 1, and its file.
fn came_back(farm: &Farm) -> (String, std::path::PathBuf) {
    farm.push("gcc", "");
    farm.claim("b1");
    farm.ok("syncpkg-builder --pause --release b1");
    let [file] = farm.files("new").try_into().unwrap();
    (file.rsplit('/').next().unwrap().to_owned(), farm.at("spool/new").join(file))
}

#[test]
fn of_a_ticket_that_is_twice_the_same_the_one_furthest_on_stays() {
    let farm = Farm::new();
    let (name, file) = came_back(&farm);
    fs::write(farm.at("before"), fs::read(&file).unwrap()).unwrap();
    farm.claim("b2");
    fs::rename(farm.at("before"), &file).unwrap();
    farm.no("syncpkg-check", 1, "");
    assert!(farm.ok("syncpkg-check --repair").contains("(removed)"));
    assert_eq!(farm.states("all"), ["gcc building"]);
    farm.is_sound();
    // With other content, or a later epoch, somebody must look.
    fs::write(&file, "format = 1\n").unwrap();
    farm.run("syncpkg-check --repair");
    assert!(farm.at("spool/bad").join(&name).exists());
}

#[test]
fn an_earlier_epoch_that_is_further_on_does_not_take_a_later_one_away() {
    let farm = Farm::new();
    let (name, file) = came_back(&farm);
    let run = farm.at("spool/run/b2").join(format!("{},ia,s20261122-120000", name.replace(",e1", ",e0")));
    let later = name.replace(",e1", ",e2");
    fs::create_dir_all(run.parent().unwrap()).unwrap();
    fs::copy(&file, run).unwrap();
    fs::rename(&file, file.with_file_name(&later)).unwrap();
    farm.run("syncpkg-check --repair");
    assert!(farm.at("spool/bad").join(&later).exists(), "{:?}", farm.files(""));
}

#[test]
fn what_is_left_of_a_later_claim_tells_the_epoch() {
    for left in ["log/20261122/ID.3.log", "hold/ID.3/file", "report/20261122/ID.3.failed.toml"] {
        let farm = Farm::new();
        let (name, _) = came_back(&farm);
        let id = name.split(',').nth(1).unwrap();
        let left = farm.at("spool").join(left.replace("ID", id));
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(left, "").unwrap();
        let found = farm.run("syncpkg-check");
        assert!(found.status == 1 && found.out.contains("that it was claimed 3 times"), "{found:?}");
        farm.ok("syncpkg-check --repair");
        farm.is_sound();
        assert!(farm.claim("b2").claim.contains(".4."));
        farm.is_sound();
    }
}

#[test]
fn whatever_was_tried_is_somewhere_or_the_account_does_not_add_up() {
    let farm = Farm::new();
    fs::write(farm.at("log"), "gcc: error: nothing\n").unwrap();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed --log log", claimed.claim));
    farm.later(1).push("make", "");
    farm.is_sound();
    let ticket = farm.at("spool/done/current/gcc").join(&farm.files("done/current/gcc")[0]);
    let bytes = fs::read(&ticket).unwrap();
    fs::remove_file(&ticket).unwrap();
    let said = farm.run("syncpkg-check").out;
    let text = "is of a ticket that is nowhere: the account does not add up";
    assert_eq!(said.lines().filter(|line| line.ends_with(text)).count(), 2, "{said}");
    // What has expired is accounted for by its line, what cannot be read by being in quarantine.
    let line = format!("{} current gcc-1-1-x86_64 e1 failed 2026-11-22T12:00:00Z\n", claimed.id);
    fs::write(farm.at("spool/expired/20261122-130000-000-aaaaaa"), line).unwrap();
    farm.is_sound();
    fs::remove_file(farm.at("spool/expired/20261122-130000-000-aaaaaa")).unwrap();
    fs::write(&ticket, bytes).unwrap();
    farm.is_sound();
    fs::remove_file(&ticket).unwrap();
    assert_eq!(farm.ok("syncpkg-check --repair").matches("(moved to late)").count(), 2);
    farm.is_sound();
}
