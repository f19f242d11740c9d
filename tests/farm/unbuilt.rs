//! syncpkg-unbuilt: whatever was lost anywhere shows up, with the broken link of the chain.

use std::fs;
use std::process::Command;

use crate::stage::{Farm, Ran, program};

/// A time when every commit of a test is old.
const LATER: &str = "2099-01-01T00:00:00Z";

fn unbuilt(farm: &Farm, arguments: &str) -> Ran {
    farm.command(&format!("syncpkg-unbuilt {arguments}")).env("SYNCPKG_NOW", LATER).output().unwrap().into()
}

/// The one line about `name`, without its age.
#[track_caller]
fn cause(farm: &Farm, name: &str) -> String {
    let ran = unbuilt(farm, "");
    let line = ran
        .out
        .lines()
        .find(|line| line.starts_with(&format!("{name}/")))
        .unwrap_or_else(|| panic!("{ran:?}"));
    line.split_once(" days: ").unwrap().1.to_owned()
}

/// Acts on pushes up to the tip, as the hook does.
fn hook(farm: &Farm) {
    farm.ok("synchook --tree current");
    farm.ok("syncpkgd --once");
}

#[test]
fn each_broken_link_of_the_chain_has_its_own_words() {
    let farm = Farm::new();
    let id = farm.push("waits", "");
    assert!(cause(&farm, "waits").starts_with("no builder for x86_64 has registered, since 2026-11-22"));
    let claimed = farm.claim("b1");
    assert!(cause(&farm, "waits").starts_with("b1 has been building it for "));
    farm.ok(&format!("syncpkg-report {} --outcome trouble --stage prepare", claimed.claim));
    let said = cause(&farm, "waits");
    assert!(said.contains(", trouble once so far, since "), "{said}");
    farm.ok(&format!("syncpkg-abort --by ann --reason no {id}"));
    assert!(cause(&farm, "waits").starts_with("aborted by ann: no, since "));

    farm.push("fails", "");
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", claimed.claim));
    let said = cause(&farm, "fails");
    assert!(said.starts_with("failed in build, since 2026-11-22 12:00"), "{said}");
    farm.push("after", "depends=(fails)");
    assert!(cause(&farm, "after").starts_with("waits for a builder"), "what failed before holds nobody up");

    farm.push("first", "");
    farm.push("second", "depends=(first)");
    let said = cause(&farm, "second");
    assert!(said.starts_with("waits for first, which is waiting, since "), "{said}");

    farm.push("taken", "");
    fs::create_dir_all(farm.at("packages")).unwrap();
    let claimed =
        std::iter::repeat_with(|| farm.claim("b1")).find(|claimed| claimed.name == "taken").unwrap();
    farm.built(&claimed, "ours");
    farm.ok("syncpkgd --once");
    fs::remove_file(farm.at("packages/taken-1-1-x86_64.pkg.tar.gz")).unwrap();
    let said = cause(&farm, "taken");
    assert!(said.starts_with("built not in the package directory, since "), "{said}");
}

#[test]
fn what_nobody_asked_for_names_what_became_of_its_push() {
    let farm = Farm::new();
    farm.commit("a", "");
    assert!(cause(&farm, "a").starts_with("never enqueued: synchook has not acted on any push yet"));
    hook(&farm);
    assert!(!cause(&farm, "a").contains("never"));
    let seen = fs::read_to_string(farm.at("spool/cache/seen-current")).unwrap();
    farm.commit("b", "");
    let said = cause(&farm, "b");
    let words = format!("synchook was not run for it, or did not end (it got as far as {})", &seen[..12]);
    assert!(said.contains(&words), "{said}");
    let tip = farm.commit("c", "");
    fs::write(farm.at("spool/cache/seen-current"), tip).unwrap();
    assert!(cause(&farm, "c").starts_with("never enqueued: the hook missed it"));
    farm.commit("a", "pkgver=2");
    let said = cause(&farm, "a");
    assert!(said.contains("(the last that was asked for is a-1-1-x86_64, waiting)"), "{said}");
}

#[test]
fn a_recipe_that_cannot_be_read_names_the_commit_and_its_author() {
    let farm = Farm::new();
    let commit = farm.commit("broken", "if then (");
    farm.commit("other", "arch=(riscv64)");
    let ran = unbuilt(&farm, "");
    let words = format!("its recipe cannot be read since commit {} by Test: ", &commit[..12]);
    assert!(ran.out.starts_with("broken/PKGBUILD is missing for ") && ran.out.contains(&words), "{ran:?}");
    let row: serde_json::Value = serde_json::from_str(&unbuilt(&farm, "--json").out).unwrap();
    assert!(row["item"].is_null() && row["path"] == "broken/PKGBUILD", "{row}");
    assert_eq!(unbuilt(&farm, "--older-than 30000d").out, "", "not so long ago");
    let ran = unbuilt(&farm, "--enqueue");
    assert!(ran.status == 1 && ran.err.contains(&words), "{ran:?}");
}

#[test]
fn a_recipe_that_a_scheme_broke_names_the_commit_of_the_scheme() {
    let farm = Farm::new();
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let frugal = text.replace("\"*/PKGBUILD\"", "\"source/*/*/FrugalBuild\"\nformat = \"frugalbuild\"");
    fs::write(farm.at("syncpkg.toml"), frugal).unwrap();
    let commit = |path: &str, text: &str, hour: u8| {
        let (file, date) = (farm.at("tree").join(path), format!("2026-11-10T{hour}:00:00Z"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        farm.tool("git", &["add", "-A"], &farm.at("tree"));
        let line = format!("GIT_COMMITTER_DATE={date} git commit -qm x && git rev-parse HEAD");
        farm.tool("sh", &["-c", &line], &farm.at("tree"))[..12].to_owned()
    };
    let recipe = |head: &str| format!("pkgname=a\npkgver=1\npkgrel=1\narchs=(x86_64)\n{head}\n");
    commit("source/include/good.sh", "url=x\n", 10);
    commit("source/include/bad.sh", "url=x\n", 11);
    commit("source/x/a/FrugalBuild", &recipe("Finclude bad"), 12);
    assert!(!unbuilt(&farm, "").out.contains("cannot be read"));
    let bad = commit("source/include/bad.sh", "nonsense-of-a-word || exit 1\n", 13);
    let said = unbuilt(&farm, "").out;
    let words = format!("since commit {bad} by Test to source/include/bad.sh: ");
    assert!(said.contains(&words), "{said}");
    let own = commit("source/x/a/FrugalBuild", &recipe("exit 1"), 14);
    let said = unbuilt(&farm, "").out;
    assert!(said.contains(&format!("since commit {own} by Test: ")), "{said}");
    commit("source/include/good.sh", "url=y\n", 15);
    let said = unbuilt(&farm, "").out;
    assert!(
        said.contains(&format!("since commit {own} by Test, or since a scheme it may include was changed: ")),
        "{said}"
    );
}

#[test]
fn every_tree_and_architecture_has_its_own_line() {
    let farm = Farm::new();
    farm.commit("a", "arch=(x86_64 i686)");
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let tree = &text[text.find("[tree.current]").unwrap()..text.find("[builder]").unwrap()];
    let both =
        tree.replace("[tree.current]", "[tree.next]").replace("[\"x86_64\"]", "[\"i686\", \"x86_64\"]");
    fs::write(farm.at("syncpkg.toml"), format!("{text}\n{both}")).unwrap();
    let rows = |arguments: &str| {
        let out = unbuilt(&farm, &format!("--json {arguments}")).out;
        let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let told =
            out.lines().map(row).map(|row| format!("{} {}", row["tree"], row["item"]).replace('"', ""));
        told.collect::<Vec<_>>()
    };
    assert_eq!(rows(""), ["current a-1-1-x86_64", "next a-1-1-i686", "next a-1-1-x86_64"]);
    assert_eq!(rows("--tree next --arch i686"), ["next a-1-1-i686"]);
}

#[test]
fn enqueueing_catches_up_with_a_hook_that_was_lost() {
    let farm = Farm::new();
    farm.commit("a", "");
    let ran = unbuilt(&farm, "--enqueue");
    assert!(ran.status == 0 && ran.out.contains(" a-1-1-x86_64"), "{ran:?}");
    assert_eq!(farm.states("all"), ["a waiting"]);
}

#[test]
fn the_age_is_that_of_the_commit_not_of_a_file_and_survives_the_loss_of_its_cache() {
    let farm = Farm::new();
    farm.commit("a", "");
    let since = || {
        let row: serde_json::Value = serde_json::from_str(&unbuilt(&farm, "--json").out).unwrap();
        row["since"].as_str().unwrap().to_owned()
    };
    let first = since();
    Command::new("touch").args(["-d", "2001-01-01"]).arg(farm.at("tree/a/PKGBUILD")).status().unwrap();
    assert!(farm.at("spool/cache/ages-current").exists());
    assert_eq!(since(), first);
    fs::write(farm.at("spool/cache/ages-current"), "ages 1 torn").unwrap();
    assert_eq!(since(), first);
    fs::remove_dir_all(farm.at("spool/cache")).unwrap();
    assert_eq!(since(), first);
}

#[test]
fn two_looks_at_once_agree() {
    let farm = Farm::new();
    for n in 0..20 {
        farm.commit(&format!("p{n}"), "");
    }
    let look = || {
        let mut command = farm.command("syncpkg-unbuilt");
        command.env("SYNCPKG_NOW", LATER).stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let looks = [look(), look(), look()];
    let said: Vec<Vec<u8>> =
        looks.into_iter().map(|child| child.wait_with_output().unwrap().stdout).collect();
    assert!(said[0] == said[1] && said[1] == said[2] && said[0].len() > 1000);
}

#[test]
fn packages_that_no_recipe_wants_are_listed_with_the_reason() {
    let farm = Farm::new();
    farm.commit("a", "");
    farm.commit("broken", "if then (");
    let packages = farm.at("packages");
    fs::create_dir_all(&packages).unwrap();
    assert_eq!(farm.ok("syncpkg-unbuilt --obsolete"), "");
    for item in ["a-1-1-x86_64", "a-0-1-x86_64", "gone-1-1-x86_64", "broken-1-1-x86_64"] {
        fs::write(packages.join(format!("{item}.pkg.tar.gz")), "").unwrap();
    }
    fs::write(packages.join("current.db"), "").unwrap();
    let ran = farm.run("syncpkg-unbuilt --obsolete");
    let shown = ran.out.replace(&format!("{}/", packages.display()), "");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "a-0-1-x86_64.pkg.tar.gz: its recipe makes a-1-1 now",
            "gone-1-1-x86_64.pkg.tar.gz: no recipe makes it"
        ]
    );
    assert_eq!(ran.status, 1);
}

#[test]
fn the_file_for_frugalwares_test_suite_keeps_its_three_rules() {
    let farm = Farm::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/fst/unbuilt");
    let run = |now: &str, argument: Option<&str>| -> Ran {
        let mut command = farm.command("syncpkg-ls");
        let environment: Vec<_> =
            command.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
        command = Command::new(script);
        let path = std::env::join_paths(
            [program("x").parent().unwrap().to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        command.args(argument).envs(environment).env("PATH", path.unwrap()).env("SYNCPKG_NOW", now);
        command.output().unwrap().into()
    };
    let help = run(LATER, Some("--help"));
    assert!(help.out.lines().count() == 1 && help.out.trim_end().len() < 80, "{help:?}");
    assert_eq!(run(LATER, None).out, "", "it passes in silence");
    farm.commit("a", "");
    assert_eq!(run("2001-01-01T00:00:00Z", None).out, "", "what is new may take its time");
    let ran = run(LATER, None);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "x86_64");
    assert!(lines[1].starts_with("a-1-1-x86_64 is missing (FB is "), "{ran:?}");
    assert!(lines[1].ends_with(" years old; Ann <ann@example.org>)"), "{ran:?}");
    assert!(lines.len() == 2 && ran.err.is_empty(), "{ran:?}");
}
