//! synchook and its bare cousin: from a real push to tickets, and never in the way of the push.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::stage::{Farm, Ran, in_test, program};

/// A bare repository with a work clone that pushes to it, and the hook installed.
fn bare(farm: &Farm, hook: &str) -> PathBuf {
    farm.commit("gcc", "");
    farm.tool("git", &["clone", "-q", "--bare", "tree", "tree.git"], &farm.at(""));
    farm.tool("git", &["remote", "add", "origin", "../tree.git"], &farm.at("tree"));
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    fs::write(farm.at("syncpkg.toml"), text.replace("/tree\"", "/tree.git\"")).unwrap();
    let path = farm.at("tree.git/hooks/post-receive");
    fs::write(&path, format!("#!/bin/sh\n{hook}\n")).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    farm.at("tree")
}

fn synchook() -> String {
    format!("exec {}", program("synchook").display())
}

/// Pushes as somebody at a shell does; the hook finds the farm through the environment.
fn push(farm: &Farm, arguments: &[&str]) -> Ran {
    let mut command = Command::new("git");
    command.arg("push").args(arguments).current_dir(farm.at("tree"));
    command.env("SYNCPKG_CONFIG", farm.at("syncpkg.toml"));
    in_test(&mut command).output().unwrap().into()
}

#[test]
fn a_git_push_asks_for_the_recipes_it_changed_and_only_those() {
    let farm = Farm::new();
    bare(&farm, &synchook());
    let revision = farm.commit("make", "");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.err.contains("remote: syncpkg: queued make-1-1-x86_64 as "), "{ran:?}");
    assert_eq!(farm.states("all"), ["make waiting"]);
    let ticket = fs::read_to_string(farm.at("spool/new").join(&farm.files("new")[0])).unwrap();
    assert!(ticket.contains(&format!("revision = \"{revision}\"")), "{ticket}");
    assert!(ticket.contains("maintainer = \"Ann <ann@example.org>\""), "{ticket}");
}

#[test]
fn a_patch_beside_a_recipe_asks_for_its_package() {
    let farm = Farm::new();
    bare(&farm, &synchook());
    fs::write(farm.at("tree/gcc/fix.patch"), "x").unwrap();
    farm.commit("other-things", "arch=(riscv64)");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(ran.err.contains("queued gcc-1-1-x86_64"), "{ran:?}");
    assert!(ran.err.contains("other-things is not for this farm: its recipe is for riscv64"), "{ran:?}");
}

#[test]
fn other_branches_tags_and_removed_recipes_ask_for_nothing() {
    let farm = Farm::new();
    bare(&farm, &synchook());
    farm.commit("make", "");
    push(&farm, &["-q", "origin", "main:draft"]);
    farm.tool("git", &["tag", "v1"], &farm.at("tree"));
    push(&farm, &["-q", "origin", "v1"]);
    push(&farm, &["-q", "origin", ":draft"]);
    farm.tool("git", &["reset", "-q", "--hard", "HEAD~1"], &farm.at("tree"));
    farm.tool("git", &["rm", "-qr", "gcc"], &farm.at("tree"));
    farm.tool("git", &["commit", "-qm", "gone"], &farm.at("tree"));
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(farm.ok("syncpkg-ls all"), "");
}

#[test]
fn what_cannot_be_read_is_said_to_the_pusher_and_the_push_is_in() {
    let farm = Farm::new();
    bare(&farm, &synchook());
    let revision = farm.commit("broken", "if then (");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert_eq!(ran.status, 0);
    assert!(ran.err.contains("syncpkg: cannot read broken/PKGBUILD: "), "{ran:?}");
    assert_eq!(farm.tool("git", &["rev-parse", "main"], &farm.at("tree.git")).trim(), revision);
}

#[test]
fn a_broken_farm_never_fails_a_push() {
    let farm = Farm::new();
    bare(&farm, &synchook());
    for damage in ["spool/format", "syncpkg.toml"] {
        fs::remove_file(farm.at(damage)).unwrap();
        farm.commit("make", damage.replace(['/', '.'], "_").as_str().replace("spool_format", "# a").as_str());
        let ran = push(&farm, &["-q", "origin", "main"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.err.contains("synchook: cannot "), "{ran:?}");
    }
}

#[test]
fn a_hook_that_would_have_to_wait_hands_its_request_in() {
    let farm = Farm::new();
    bare(&farm, &synchook());
    farm.commit("make", "");
    let holder = farm.at("spool/lock/queue");
    let mut lock = Command::new("flock").arg(&holder).args(["sleep", "600"]).spawn().unwrap();
    crate::stage::until("the lock", 10, || {
        !Command::new("flock").arg("-n").arg(&holder).arg("true").status().unwrap().success()
    });
    let ran = push(&farm, &["-q", "origin", "main"]);
    // Ends the lock's holder and what it runs: the lock is the open file's.
    let _ = Command::new("pkill").args(["-P", &lock.id().to_string()]).status();
    lock.kill().unwrap();
    lock.wait().unwrap();
    assert!(ran.status == 0 && ran.err.contains("syncpkg: handed in make/PKGBUILD"), "{ran:?}");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all"), ["make waiting"]);
}

#[test]
fn a_darcs_push_asks_for_the_recipes_it_changed() {
    let farm = Farm::new();
    let (work, _) = darcs(&farm, &format!("{} --tree current", program("synchook").display()));
    let ran = record_and_push(&farm, &work, "make");
    assert!(ran.out.contains("syncpkg: queued make-1-1-x86_64 as "), "{ran:?}");
    assert_eq!(farm.states("all"), ["make waiting"]);
}

#[test]
fn a_broken_farm_never_fails_a_darcs_push() {
    let farm = Farm::new();
    let (work, _) = darcs(&farm, &format!("{} --tree current", program("synchook").display()));
    fs::remove_file(farm.at("spool/format")).unwrap();
    let ran = record_and_push(&farm, &work, "make");
    assert!(ran.err.contains("synchook: cannot open "), "{ran:?}");
    let hook = format!("apply posthook {} --nonsense\napply run-posthook\n", program("synchook").display());
    fs::write(farm.at("darcs/_darcs/prefs/defaults"), hook).unwrap();
    let ran = record_and_push(&farm, &work, "gcc");
    assert!(ran.err.contains("unexpected argument '--nonsense'"), "{ran:?}");
}

#[test]
fn the_bare_pipe_works_as_a_posthook() {
    let farm = Farm::new();
    let enqueue = program("syncpkg-enqueue");
    let pipe = format!("printf '%s\\n' \"$DARCS_FILES\" | {} --tree current - || :", enqueue.display());
    let (work, _) = darcs(&farm, &pipe);
    fs::write(work.join("README.md"), "no recipe").unwrap();
    let ran = record_and_push(&farm, &work, "make");
    assert!(ran.out.contains(" make-1-1-x86_64\n"), "{ran:?}");
    assert!(!ran.err.contains("syncpkg"), "what is no recipe is passed over: {ran:?}");
    assert_eq!(farm.states("all"), ["make waiting"]);
}

#[test]
fn a_push_too_large_for_darcs_to_name_its_files_is_looked_for() {
    let farm = Farm::new();
    let (work, _) = darcs(&farm, &format!("{} --tree current", program("synchook").display()));
    // Above about 10 KiB of names darcs leaves DARCS_FILES unset.
    let long = "n".repeat(120);
    for n in 0..100 {
        fs::create_dir_all(work.join("make").join(format!("{long}{n}"))).unwrap();
        fs::write(work.join("make").join(format!("{long}{n}/file")), "x").unwrap();
    }
    let ran = record_and_push(&farm, &work, "make");
    assert!(ran.out.contains("all of the tree will be looked at"), "{ran:?}");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all"), ["make waiting"]);
}

/// A receiving darcs repository with its posthook, and a clone that pushes to it.
fn darcs(farm: &Farm, hook: &str) -> (PathBuf, PathBuf) {
    let (work, master) = (farm.at("work-tree"), farm.at("darcs"));
    farm.tool("darcs", &["init", "-q", "darcs"], &farm.at(""));
    farm.tool("darcs", &["clone", "-q", "darcs", "work-tree"], &farm.at(""));
    fs::write(master.join("_darcs/prefs/defaults"), format!("apply posthook {hook}\napply run-posthook\n"))
        .unwrap();
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let text = text.replace("scm = \"git\"", "scm = \"darcs\"").replace("/tree\"", "/darcs\"");
    fs::write(farm.at("syncpkg.toml"), text).unwrap();
    (work, master)
}

fn record_and_push(farm: &Farm, work: &std::path::Path, name: &str) -> Ran {
    fs::create_dir_all(work.join(name)).unwrap();
    let recipe = format!("pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n");
    fs::write(work.join(name).join("PKGBUILD"), recipe).unwrap();
    farm.tool("darcs", &["record", "-q", "-a", "-l", "--ignore-times", "-m", name], work);
    let mut command = Command::new("darcs");
    command.args(["push", "-a", "../darcs"]).current_dir(work).env("SYNCPKG_CONFIG", farm.at("syncpkg.toml"));
    let ran: Ran = in_test(&mut command).output().unwrap().into();
    assert_eq!(ran.status, 0, "{ran:?}");
    ran
}
