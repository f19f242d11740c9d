//! synchook and its bare cousin: from a real push to tickets, and never in the way of the push.

use std::fs;
use std::path::{Path, PathBuf};
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
    assert!(ran.out.contains("nobody says what the push changed"), "{ran:?}");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all"), ["make waiting"]);
}

/// A farm whose tree is kept in darcs, with the hook, and a clone to work in.
fn darcs_farm() -> (Farm, PathBuf) {
    let farm = Farm::new();
    let (work, _) = darcs(&farm, &format!("{} --tree current", program("synchook").display()));
    (farm, work)
}

fn git_farm() -> Farm {
    let farm = Farm::new();
    bare(&farm, &synchook());
    farm
}

fn seen(farm: &Farm) -> String {
    fs::read_to_string(farm.at("spool/cache/seen-current")).unwrap_or_default().trim_end().to_owned()
}

/// Pushes with a hook that is killed before it has done anything.
fn push_with_a_killed_hook(farm: &Farm, hook: &Path, push: impl Fn() -> Ran) {
    let text = fs::read_to_string(hook).unwrap();
    let dead = text.replace(&program("synchook").display().to_string(), "true");
    fs::write(hook, dead).unwrap();
    let ran = push();
    assert!(!ran.out.contains("queued") && !ran.err.contains("queued"), "{ran:?}");
    assert_eq!(farm.states("waiting").iter().filter(|line| line.starts_with("make")).count(), 0);
    fs::write(hook, text).unwrap();
}

#[test]
fn what_a_killed_hook_left_the_next_git_push_asks_for() {
    let farm = git_farm();
    farm.commit("first", "");
    push(&farm, &["-q", "origin", "main"]);
    farm.commit("make", "");
    push_with_a_killed_hook(&farm, &farm.at("tree.git/hooks/post-receive"), || {
        push(&farm, &["-q", "origin", "main"])
    });
    let tip = farm.commit("tar", "");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(
        ran.err.contains("queued make-1-1-x86_64") && ran.err.contains("queued tar-1-1-x86_64"),
        "{ran:?}"
    );
    assert_eq!(seen(&farm), tip);
}

#[test]
fn what_a_killed_hook_left_the_next_darcs_push_asks_for() {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "first");
    fs::create_dir(work.join("make")).unwrap();
    fs::write(work.join("make/PKGBUILD"), "pkgname=make\npkgver=1\npkgrel=1\narch=(x86_64)\n").unwrap();
    record(&farm, &work, "make");
    push_with_a_killed_hook(&farm, &farm.at("darcs/_darcs/prefs/defaults"), || darcs_push(&farm, &work));
    let ran = record_and_push(&farm, &work, "tar");
    assert!(
        ran.out.contains("queued make-1-1-x86_64") && ran.out.contains("queued tar-1-1-x86_64"),
        "{ran:?}"
    );
}

#[test]
fn a_hook_that_finds_the_spool_unwritable_leaves_its_push_to_the_next() {
    let farm = git_farm();
    farm.commit("first", "");
    push(&farm, &["-q", "origin", "main"]);
    let before = seen(&farm);
    farm.commit("make", "");
    // Neither a ticket nor a request can be written, as on a full disk.
    for place in ["new", "drop"] {
        fs::rename(farm.at("spool").join(place), farm.at("spool").join(format!("{place}.away"))).unwrap();
        fs::write(farm.at("spool").join(place), "").unwrap();
    }
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(ran.status == 0 && ran.err.contains("synchook: cannot "), "{ran:?}");
    assert_eq!(seen(&farm), before, "what was not asked for does not count as seen");
    for place in ["new", "drop"] {
        fs::remove_file(farm.at("spool").join(place)).unwrap();
        fs::rename(farm.at("spool").join(format!("{place}.away")), farm.at("spool").join(place)).unwrap();
    }
    farm.commit("tar", "");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(
        ran.err.contains("queued make-1-1-x86_64") && ran.err.contains("queued tar-1-1-x86_64"),
        "{ran:?}"
    );
}

#[test]
fn a_large_darcs_push_asks_for_the_patches_after_the_one_seen_last() {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "first");
    let long = "n".repeat(120);
    for n in 0..100 {
        fs::create_dir_all(work.join("make").join(format!("{long}{n}"))).unwrap();
        fs::write(work.join("make").join(format!("{long}{n}/file")), "x").unwrap();
    }
    let ran = record_and_push(&farm, &work, "make");
    assert!(ran.out.contains("syncpkg: queued make-1-1-x86_64 as "), "{ran:?}");
    assert_eq!(farm.files("drop"), [""; 0], "nothing is left to a round");
}

#[test]
fn a_darcs_tag_asks_for_nothing_and_hides_nothing() {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "first");
    let first = seen(&farm);
    farm.tool("darcs", &["tag", "-q", "-A", "x", "one"], &work);
    let ran = darcs_push(&farm, &work);
    assert!(!ran.out.contains("syncpkg:"), "{ran:?}");
    assert_ne!(seen(&farm), first, "a tag is a patch too");
    let ran = record_and_push(&farm, &work, "make");
    assert!(ran.out.contains("queued make-1-1-x86_64") && !ran.out.contains("first"), "{ran:?}");
}

#[test]
fn a_darcs_patch_that_moves_and_removes_asks_for_the_new_place_only() {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "gone");
    record_and_push(&farm, &work, "old");
    farm.tool("darcs", &["mv", "-q", "old", "new"], &work);
    fs::write(work.join("new/PKGBUILD"), "pkgname=new\npkgver=1\npkgrel=1\narch=(x86_64)\n").unwrap();
    fs::remove_dir_all(work.join("gone")).unwrap();
    record(&farm, &work, "moved");
    let ran = darcs_push(&farm, &work);
    assert!(ran.out.contains("queued new-1-1-x86_64"), "{ran:?}");
    assert_eq!(ran.out.matches("syncpkg:").count(), 1, "{ran:?}");
}

#[test]
fn a_darcs_rollback_asks_again() {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "make");
    let version = |n: u8| {
        fs::write(work.join("make/PKGBUILD"), format!("pkgname=make\npkgver={n}\npkgrel=1\narch=(x86_64)\n"))
    };
    version(2).unwrap();
    record(&farm, &work, "two");
    let ran = darcs_push(&farm, &work);
    assert!(ran.out.contains("queued make-2-1-x86_64"), "{ran:?}");
    farm.tool("darcs", &["rollback", "-q", "-a", "--last", "1"], &work);
    record(&farm, &work, "back");
    let ran = darcs_push(&farm, &work);
    assert!(ran.out.contains("queued make-1-1-x86_64"), "{ran:?}");
    assert_eq!(farm.states("waiting"), ["make waiting"], "the later one takes the place of the earlier");
}

/// A farm whose darcs tree has lost the patch that was seen last: it was amended, and nobody asked for `first`.
fn amended() -> (Farm, PathBuf) {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "first");
    record_and_push(&farm, &work, "make");
    let first = farm.files("new").into_iter().find(|name| name.contains("first")).unwrap();
    fs::remove_file(farm.at("spool/new").join(first)).unwrap();
    farm.tool("darcs", &["obliterate", "-q", "-a", "--last", "1"], &farm.at("darcs"));
    fs::write(work.join("make/PKGBUILD"), "pkgname=make\npkgver=2\npkgrel=1\narch=(x86_64)\n").unwrap();
    farm.tool("sh", &["-c", "echo y | darcs amend -q -a -p make --ignore-times"], &work);
    (farm, work)
}

#[test]
fn of_an_amended_patch_only_what_is_different_now_is_asked_for() {
    let (farm, work) = amended();
    let gone = seen(&farm);
    let ran = darcs_push(&farm, &work);
    assert!(ran.out.contains("queued make-2-1-x86_64"), "{ran:?}");
    assert_eq!(farm.states("waiting"), ["make waiting"]);
    assert_ne!(seen(&farm), gone);
}

#[test]
fn when_nobody_knows_any_more_what_was_seen_last_all_of_the_tree_is_looked_through() {
    let (farm, work) = amended();
    let revision = seen(&farm).split(' ').next().unwrap().to_owned();
    fs::write(farm.at("spool/cache/seen-current"), revision).unwrap();
    darcs_push(&farm, &work);
    farm.ok("syncpkgd --once");
    let listed = farm.ok("syncpkg-ls");
    assert!(listed.contains("make-2-1-x86_64") && listed.contains("first-1-1-x86_64"), "{listed}");
}

#[test]
fn a_darcs_patch_that_cannot_be_told_by_a_look_is_asked_for() {
    let (farm, work) = darcs_farm();
    record_and_push(&farm, &work, "first");
    // Of more words than are read.
    fs::write(farm.at("words"), format!("make\n{}", "many words\n".repeat(8_000))).unwrap();
    fs::create_dir(work.join("make")).unwrap();
    fs::write(work.join("make/PKGBUILD"), "pkgname=make\npkgver=1\npkgrel=1\narch=(x86_64)\n").unwrap();
    farm.tool("darcs", &["record", "-q", "-a", "-l", "--logfile", "../words"], &work);
    let ran = darcs_push(&farm, &work);
    assert!(ran.out.contains("queued make-1-1-x86_64"), "{ran:?}");
    let ran = record_and_push(&farm, &work, "tar");
    assert!(ran.out.contains("queued tar-1-1-x86_64") && !ran.out.contains("make"), "{ran:?}");
}

#[test]
fn a_new_branch_a_forced_one_and_a_merge_ask_for_what_is_different_now() {
    let farm = git_farm();
    let tree = farm.at("tree");
    farm.tool("git", &["update-ref", "-d", "refs/heads/main"], &farm.at("tree.git"));
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(ran.err.contains("what of the tree is missing will be looked for"), "a new branch: {ran:?}");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all"), ["gcc waiting"]);
    farm.commit("lost", "");
    push(&farm, &["-q", "origin", "main"]);
    farm.tool("git", &["reset", "-q", "--hard", "HEAD~1"], &tree);
    farm.commit("make", "");
    let ran = push(&farm, &["-q", "-f", "origin", "main"]);
    assert_eq!(ran.err.matches("syncpkg: ").count(), 1, "{ran:?}");
    assert!(ran.err.contains("queued make-1-1-x86_64"), "a forced push: {ran:?}");
    farm.tool("git", &["checkout", "-q", "-b", "side"], &tree);
    farm.commit("side", "");
    farm.tool("git", &["checkout", "-q", "main"], &tree);
    farm.commit("own", "");
    farm.tool("git", &["merge", "-q", "--no-edit", "side"], &tree);
    let ran = push(&farm, &["-q", "origin", "main", "side", "main:refs/heads/other"]);
    assert!(
        ran.err.contains("queued own-1-1-x86_64") && ran.err.contains("queued side-1-1-x86_64"),
        "a merge: {ran:?}"
    );
    assert_eq!(ran.err.matches("syncpkg: ").count(), 2, "of several refs only the branch counts: {ran:?}");
}

#[test]
fn a_forced_push_whose_old_commits_were_swept_away_is_looked_for() {
    let farm = git_farm();
    farm.commit("lost", "");
    push(&farm, &["-q", "origin", "main"]);
    fs::write(farm.at("spool/cache/seen-current"), "1".repeat(40)).unwrap();
    farm.commit("make", "");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(ran.err.contains("handed in make/PKGBUILD"), "{ran:?}");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("waiting").len(), 3, "gcc, lost and make");
}

#[test]
fn push_options_spare_builds_and_choose_how_urgent_they_are() {
    let farm = git_farm();
    farm.tool("git", &["config", "receive.advertisePushOptions", "true"], &farm.at("tree.git"));
    farm.commit("make", "");
    let ran = push(&farm, &["-q", "-o", "ci.skip", "-o", "nobuild", "origin", "main"]);
    assert!(!ran.err.contains("syncpkg:"), "{ran:?}");
    farm.commit("tar", "");
    let ran = push(&farm, &["-q", "-o", "priority=2", "origin", "main"]);
    assert!(ran.err.contains("queued tar-1-1-x86_64") && !ran.err.contains("make"), "{ran:?}");
    let list = farm.ok("syncpkg-ls --json");
    assert!(list.contains("\"priority\":\"urgent\""), "{list}");
    farm.commit("zlib", "");
    let ran = push(&farm, &["-q", "-o", "priority=soon", "origin", "main"]);
    assert!(ran.err.contains("there is no priority soon") && ran.err.contains("queued zlib"), "{ran:?}");
}

#[test]
fn a_repository_that_is_not_bare_has_the_same_hook() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    farm.tool("git", &["config", "receive.denyCurrentBranch", "updateInstead"], &farm.at("tree"));
    let hook = farm.at("tree/.git/hooks/post-receive");
    fs::write(&hook, format!("#!/bin/sh\n{}\n", synchook())).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    farm.tool("git", &["clone", "-q", "tree", "clone"], &farm.at(""));
    let clone = farm.at("clone");
    fs::create_dir(clone.join("make")).unwrap();
    fs::write(clone.join("make/PKGBUILD"), "pkgname=make\npkgver=1\npkgrel=1\narch=(x86_64)\n").unwrap();
    farm.tool("git", &["add", "-A"], &clone);
    farm.tool("git", &["commit", "-qm", "make"], &clone);
    let mut command = Command::new("git");
    command.args(["push", "-q"]).current_dir(&clone).env("SYNCPKG_CONFIG", farm.at("syncpkg.toml"));
    let ran: Ran = in_test(&mut command).output().unwrap().into();
    assert!(ran.err.contains("syncpkg: queued make-1-1-x86_64"), "{ran:?}");
}

#[test]
fn several_trees_may_be_branches_of_one_repository() {
    let farm = git_farm();
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let tree = &text[text.find("[tree.current]").unwrap()..text.find("[builder]").unwrap()];
    let stable = tree.replace("[tree.current]", "[tree.stable]\nbranch = \"stable\"");
    fs::write(farm.at("syncpkg.toml"), format!("{text}\n{stable}")).unwrap();
    push(&farm, &["-q", "origin", "main:stable"]);
    farm.ok("syncpkgd --once");
    farm.commit("make", "");
    let ran = push(&farm, &["-q", "origin", "main:stable"]);
    assert!(ran.err.contains("queued make-1-1-x86_64"), "{ran:?}");
    let list = farm.ok("syncpkg-ls --json all");
    assert!(list.lines().all(|line| line.contains("\"tree\":\"stable\"")), "{list}");
}

#[test]
fn two_pushes_at_once_lose_nothing_and_ask_once() {
    let farm = git_farm();
    farm.commit("first", "");
    push(&farm, &["-q", "origin", "main"]);
    let base = seen(&farm);
    let one = farm.commit("make", "");
    let two = farm.commit("tar", "");
    farm.tool("git", &["push", "-q", "--no-verify", "origin", "main"], &farm.at("tree"));
    fs::write(farm.at("spool/cache/seen-current"), &base).unwrap();
    // Both are in before either hook runs; the hook of the earlier push may come last.
    let hook = |old: &str, new: &str| {
        let mut command = farm.command("synchook --tree current");
        command.env("GIT_DIR", ".").current_dir(farm.at("tree.git")).stdin(std::process::Stdio::piped());
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let line = format!("{old} {new} refs/heads/main\n");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
        child
    };
    let hooks = [hook(&one, &two), hook(&base, &one)];
    for child in hooks {
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert!(ran.status == 0 && ran.err.is_empty(), "{ran:?}");
    }
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all").len(), 3, "first, make and tar, each once");
    for line in farm.ok("syncpkg-ls --json").lines().filter(|line| !line.contains("first")) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let ticket =
            farm.files("new").into_iter().find(|name| name.contains(row["name"].as_str().unwrap())).unwrap();
        let text = fs::read_to_string(farm.at("spool/new").join(ticket)).unwrap();
        assert!(text.contains(&two), "asked for at the tip, never at what is behind it: {text}");
    }
    assert_eq!(seen(&farm), two);
}

#[test]
fn a_push_waits_for_no_other_hook() {
    let farm = git_farm();
    farm.commit("make", "");
    let file = fs::File::create(farm.at("spool/lock/push-current")).unwrap();
    file.lock().unwrap();
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(ran.err.contains("handed in make/PKGBUILD"), "{ran:?}");
    drop(file);
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all"), ["make waiting"]);
}

#[test]
fn a_push_that_spares_its_builds_does_not_spare_those_that_were_missed() {
    let farm = git_farm();
    farm.tool("git", &["config", "receive.advertisePushOptions", "true"], &farm.at("tree.git"));
    farm.commit("first", "");
    push(&farm, &["-q", "origin", "main"]);
    farm.commit("make", "");
    push_with_a_killed_hook(&farm, &farm.at("tree.git/hooks/post-receive"), || {
        push(&farm, &["-q", "origin", "main"])
    });
    farm.commit("tar", "");
    let ran = push(&farm, &["-q", "-o", "nobuild", "origin", "main"]);
    assert!(ran.err.contains("queued make-1-1-x86_64") && !ran.err.contains("tar"), "{ran:?}");
}

#[test]
fn a_push_that_spares_its_builds_does_so_though_nobody_says_what_it_changed() {
    let farm = git_farm();
    farm.tool("git", &["config", "receive.advertisePushOptions", "true"], &farm.at("tree.git"));
    farm.commit("first", "");
    push(&farm, &["-q", "origin", "main"]);
    farm.tool("git", &["update-ref", "-d", "refs/heads/main"], &farm.at("tree.git"));
    let tip = farm.commit("make", "");
    let ran = push(&farm, &["-q", "-o", "nobuild", "origin", "main"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    farm.ok("syncpkgd --once");
    assert_eq!((farm.states("all"), seen(&farm)), (vec!["first waiting".to_owned()], tip));
}

#[test]
fn a_push_that_changes_what_is_published_is_told_to_bump_the_release() {
    let farm = git_farm();
    fs::create_dir_all(farm.at("packages")).unwrap();
    fs::write(farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz"), "").unwrap();
    farm.commit("gcc", "# changed");
    let ran = push(&farm, &["-q", "origin", "main"]);
    assert!(ran.err.contains("syncpkg: gcc-1-1-x86_64 is published already: bump the release"), "{ran:?}");
    assert_eq!(farm.states("all"), [""; 0]);
}

#[test]
fn a_large_push_is_handed_in_and_summed_up_with_the_command_that_shows_it() {
    let farm = git_farm();
    for n in 0..60 {
        let directory = farm.at("tree").join(format!("p{n}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("PKGBUILD"), format!("pkgname=p{n}\npkgver=1\npkgrel=1\narch=(x86_64)\n"))
            .unwrap();
    }
    farm.commit("gcc", "# changed");
    let ran = push(&farm, &["-q", "origin", "main"]);
    let (before, _) = ran.err.split_once(" shows all tickets").unwrap();
    let (_, command) = before.rsplit_once("and 41 more: ").unwrap();
    assert_eq!(farm.states("all"), [""; 0], "the pusher does not wait for all of them");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.ok(command).lines().count(), 61, "{command}");
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

fn record_and_push(farm: &Farm, work: &Path, name: &str) -> Ran {
    fs::create_dir_all(work.join(name)).unwrap();
    let recipe = format!("pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n");
    fs::write(work.join(name).join("PKGBUILD"), recipe).unwrap();
    record(farm, work, name);
    darcs_push(farm, work)
}

fn record(farm: &Farm, work: &Path, name: &str) {
    farm.tool("darcs", &["record", "-q", "-a", "-l", "--ignore-times", "-m", name], work);
}

fn darcs_push(farm: &Farm, work: &Path) -> Ran {
    let mut command = Command::new("darcs");
    command.args(["push", "-a", "../darcs"]).current_dir(work).env("SYNCPKG_CONFIG", farm.at("syncpkg.toml"));
    let ran: Ran = in_test(&mut command).output().unwrap().into();
    assert_eq!(ran.status, 0, "{ran:?}");
    ran
}
