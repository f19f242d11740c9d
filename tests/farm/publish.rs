//! Publishing: only what was built, is still wanted, and is what was reported.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use crate::stage::{Farm, program};

const PACKAGE: &str = "packages/gcc-1-1-x86_64.pkg.tar.gz";

fn built(content: &str) -> Farm {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.built(&farm.claim("b1"), content);
    farm
}

#[test]
fn a_built_package_is_published_by_the_next_round() {
    let farm = built("gcc");
    assert!(farm.ok("syncpkg-why gcc").contains("published by the next round of syncpkgd"));
    farm.ok("syncpkgd --once");
    assert_eq!(fs::read_to_string(farm.at(PACKAGE)).unwrap(), "gcc");
    assert!(farm.ok("syncpkg-why gcc").ends_with("UTC: published\n"));
    assert!(farm.files("hold").is_empty());
    farm.no("syncpkg-enqueue gcc", 1, "gcc-1-1-x86_64 is published already: bump the release");
    farm.is_sound();
}

#[test]
fn a_published_name_with_other_bytes_is_refused() {
    let farm = built("gcc");
    fs::create_dir(farm.at("packages")).unwrap();
    fs::write(farm.at(PACKAGE), "other").unwrap();
    farm.ok("syncpkgd --once");
    assert_eq!(fs::read_to_string(farm.at(PACKAGE)).unwrap(), "other");
    assert_eq!(farm.files("hold").len(), 2, "kept, with the reason: {:?}", farm.files("hold"));
    assert!(farm.ok("syncpkg-why gcc").contains("is published with other content: bump the release"));
    farm.commit("app", "depends=(gcc)");
    farm.later(1).ok("syncpkg-enqueue app");
    assert_eq!(farm.claim("b1").name, "app", "what was forced in vain holds up nobody");
}

#[test]
fn what_the_tree_no_longer_wants_is_kept_and_not_published() {
    let farm = built("gcc");
    farm.commit("gcc", "pkgver=2");
    farm.ok("syncpkgd --once");
    assert!(!farm.at(PACKAGE).exists());
    assert!(farm.ok("syncpkg-why gcc").contains("not published: the tree wants 2-1 now"));
    assert!(
        farm.files("hold").iter().any(|file| file.ends_with(".unwanted/gcc-1-1-x86_64.pkg.tar.gz")),
        "kept"
    );
    farm.commit("app", "depends=(gcc)");
    farm.later(1).ok("syncpkg-enqueue app");
    assert_eq!(farm.claim("b1").name, "app", "it holds up nobody");
    farm.is_sound();
}

#[test]
fn what_was_removed_from_the_tree_holds_up_nobody() {
    let farm = built("gcc");
    farm.tool("git", &["rm", "-q", "-r", "gcc"], &farm.at("tree"));
    farm.commit("app", "depends=(gcc)");
    farm.ok("syncpkgd --once");
    farm.later(1).ok("syncpkg-enqueue app");
    assert_eq!(farm.claim("b1").name, "app");
    assert!(!farm.at(PACKAGE).exists());
}

#[test]
fn of_two_revisions_of_a_version_the_later_is_published() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let first = farm.claim("b1");
    farm.later(1).push("gcc", "# changed");
    let second = farm.claim("b2");
    farm.built(&first, "first");
    farm.ok("syncpkgd --once");
    assert!(!farm.at(PACKAGE).exists(), "a later revision is being built");
    farm.built(&second, "second");
    farm.ok("syncpkgd --once");
    assert_eq!(fs::read_to_string(farm.at(PACKAGE)).unwrap(), "second");
}

#[test]
fn packages_changed_in_the_hold_are_not_published() {
    let farm = built("gcc");
    let held = farm.at("spool/hold").join(&farm.files("hold")[0]);
    fs::write(held, "evil").unwrap();
    farm.ok("syncpkgd --once");
    assert!(!farm.at(PACKAGE).exists());
    assert!(farm.ok("syncpkg-why gcc").contains("is not what was reported"));
}

#[test]
fn killed_while_it_empties_the_hold_it_misses_nothing_later() {
    let farm = built("gcc");
    let trace = "-e trace=unlink,unlinkat,rmdir -e inject=unlink,unlinkat,rmdir:signal=KILL:when=";
    for nth in 1..20 {
        let line = format!("-qq -o /dev/null {trace}{nth} {}", program("syncpkgd").display());
        let mut killed = Command::new("strace");
        killed.args(line.split(' ')).arg("--once").env("SYNCPKG_CONFIG", farm.at("syncpkg.toml"));
        match killed.output() {
            Ok(ran) if ran.status.success() => break,
            Ok(_) => {}
            Err(_) => return drop(writeln!(std::io::stderr(), "not tried: there is no strace")),
        }
    }
    farm.ok("syncpkgd --once");
    assert_eq!(fs::read_to_string(farm.at(PACKAGE)).unwrap(), "gcc");
    assert!(farm.files("hold").is_empty());
    assert_eq!(fs::read_dir(farm.at("spool/hold")).unwrap().count(), 0);
}

#[test]
fn a_damaged_ticket_holds_up_no_other_package() {
    let farm = built("gcc");
    farm.later(1).push("make", "");
    farm.built(&farm.claim("b1"), "make");
    let damaged = farm.files("done").into_iter().find(|file| file.contains("gcc-1-1")).unwrap();
    fs::write(farm.at("spool/done").join(damaged), "garbage").unwrap();
    farm.run("syncpkgd --once");
    assert!(farm.at("packages/make-1-1-x86_64.pkg.tar.gz").exists());
}

#[test]
fn a_failing_repository_command_is_retried_and_said() {
    let farm = built("gcc");
    let add = farm.script("add", "#!/bin/sh\ntest -e ok || { echo database is locked >&2; exit 3; }\n");
    farm.configure("");
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let repo = format!("[tree.current]\nrepo = [\"{}\", \"{{file}}\"]\n", add.display());
    fs::write(farm.at("syncpkg.toml"), text.replace("[tree.current]\n", &repo)).unwrap();
    farm.no("syncpkgd --once", 75, "add failed (exit status: 3): database is locked");
    assert!(farm.ok("syncpkg-why gcc").contains("database is locked"));
    assert_eq!(farm.files("hold").len(), 2);
    fs::write(farm.at("packages/ok"), "").unwrap();
    farm.ok("syncpkgd --once");
    assert!(farm.files("hold").is_empty(), "neither the package nor the reason");
}

#[test]
fn a_reason_without_packages_is_swept_away_after_a_day() {
    let farm = built("gcc");
    fs::create_dir(farm.at("packages")).unwrap();
    fs::write(farm.at(PACKAGE), "other").unwrap();
    farm.ok("syncpkgd --once");
    let hold = |end: &str| {
        let all = fs::read_dir(farm.at("spool/hold")).unwrap().map(|entry| entry.unwrap().path());
        all.into_iter().find(|path| path.to_str().unwrap().ends_with(end)).unwrap()
    };
    let reason = hold(".why");
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    fs::File::open(&reason).unwrap().set_modified(yesterday).unwrap();
    farm.ok("syncpkgd --once");
    assert!(reason.exists(), "it says why they are held");
    fs::remove_dir_all(hold(".unwanted")).unwrap();
    farm.ok("syncpkgd --once");
    assert!(!reason.exists());
}

#[test]
fn unbuilt_names_what_was_missed_and_why() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    farm.commit("make", "");
    farm.commit("broken", "if then (");
    farm.ok("syncpkg-enqueue make");
    let ran = farm.run("syncpkg-unbuilt --older-than 0s");
    assert!(ran.err.is_empty(), "whoever pushed it was told: {ran:?}");
    assert_eq!(ran.status, 0, "the commits are of today's clock, later than the farm's: {ran:?}");
    let mut later = farm.command("syncpkg-unbuilt");
    let ran = later.env("SYNCPKG_NOW", "2099-01-01T00:00:00Z").output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("gcc/PKGBUILD gcc-1-1-x86_64 is missing for "), "{out}");
    let cause = " days: never enqueued: synchook has not acted on any push yet (Ann <ann@example.org>)";
    assert!(lines[0].ends_with(cause), "{out}");
    assert!(lines[1].contains("no builder for x86_64 has registered"), "{out}");
}

#[test]
fn a_part_of_what_is_published_that_comes_into_the_hold_again_goes_again() {
    let farm = Farm::new();
    farm.commit(
        "lib",
        "pkgbase=lib\npkgname=(lib lib-devel)\npackage_lib() { :; }\npackage_lib-devel() { :; }",
    );
    farm.ok("syncpkg-enqueue lib");
    let claimed = farm.claim("b1");
    let files = ["lib", "lib-devel"].map(|name| farm.at(&format!("{name}-1-1-x86_64.pkg.tar.gz")));
    files.iter().for_each(|file| fs::write(file, file.to_str().unwrap()).unwrap());
    let [one, two] = files.each_ref().map(|file| file.display());
    farm.ok(&format!("syncpkg-report {} --outcome built --file {one} --file {two}", claimed.claim));
    let hold = farm.files("hold")[0].split('/').next().unwrap().to_owned();
    farm.ok("syncpkgd --once");
    assert!(farm.files("hold").is_empty());
    fs::create_dir(farm.at("spool/hold").join(&hold)).unwrap();
    fs::copy(&files[1], farm.at("spool/hold").join(&hold).join(files[1].file_name().unwrap())).unwrap();
    farm.ok("syncpkgd --once");
    assert!(farm.files("hold").is_empty());
    farm.is_sound();
}
