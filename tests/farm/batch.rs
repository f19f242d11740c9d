//! A batch: asked for, stopped, and published as one.

use std::fs;

use crate::stage::{Claimed, Farm};

/// A farm in which what is held back can be had by others of its batch, and `--hold-publish` was asked for `items`.
fn held(items: &str) -> Farm {
    let farm = Farm::new();
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let pattern = farm.at("staging/{batch}/{name}-{version}-{release}-{arch}.pkg.tar.gz");
    let staging = format!("[tree.current]\nstaging = \"{}\"\n", pattern.display());
    fs::write(farm.at("syncpkg.toml"), text.replace("[tree.current]\n", &staging)).unwrap();
    farm.commit("lib", "");
    farm.commit("app", "depends=(lib)");
    farm.commit("tool", "");
    farm.ok(&format!("syncpkg-enqueue --batch b --priority background --hold-publish {items}"));
    farm
}

fn fail(farm: &Farm, claimed: &Claimed) {
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", claimed.claim));
}

fn published(farm: &Farm) -> Vec<String> {
    let names = fs::read_dir(farm.at("packages")).into_iter().flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().map(|name| name.split('-').next().unwrap().to_owned()).collect()
}

/// Builds what a builder is given next.
fn build(farm: &Farm) -> String {
    let claimed = farm.later(1).claim("b1");
    farm.built(&claimed, "x");
    farm.ok("syncpkgd --once");
    claimed.name
}

#[test]
fn all_of_a_batch_that_waits_or_builds_is_aborted_at_once() {
    let farm = Farm::new();
    farm.commit("lib", "");
    farm.commit("app", "depends=(lib)");
    farm.commit("tool", "");
    farm.ok("syncpkg-enqueue --batch b lib app");
    farm.later(1).ok("syncpkg-enqueue --batch c tool");
    farm.claim("b1");
    let ended = farm.ok("syncpkg-abort --batch b --reason enough");
    assert_eq!(ended.lines().count(), 2, "{ended}");
    assert_eq!(farm.states("all"), ["tool waiting", "lib aborted", "app aborted"]);
    farm.no("syncpkg-abort --batch b", 1, "cannot abort batch b: nothing of it waits or builds");
    farm.no("syncpkg-abort", 2, "");
    assert_eq!(farm.ok("syncpkg-ls --batch c --names"), "current/tool\n".replace("tool", "tool-1-1-x86_64"));
    let ran = farm.run("syncpkg-abort --batch b tool");
    assert_eq!((ran.status, farm.states("waiting").len()), (0, 0), "the operand beside it is done: {ran:?}");
    assert!(ran.err.contains("nothing of it waits or builds"), "{ran:?}");
    farm.is_sound();
}

#[test]
fn a_batch_that_is_held_back_is_published_once_all_of_it_is_built() {
    let farm = held("lib app tool");
    assert_eq!(build(&farm), "lib");
    let why =
        "not published: batch b is held back until all of it is built, 1 of 3 are: app waits, tool waits";
    assert!(farm.ok("syncpkg-why lib").contains(why), "{}", farm.ok("syncpkg-why lib"));
    assert_eq!(published(&farm), [""; 0]);
    farm.later(2 * 3600).ok("syncpkgd --once");
    assert_eq!(farm.files("sent"), [""; 0], "that it is held back is nothing for the admin");
    assert_eq!(build(&farm), "app", "others of the batch have what is held back");
    assert_eq!(published(&farm), [""; 0]);
    farm.is_sound();
    assert_eq!(build(&farm), "tool");
    assert_eq!(published(&farm), ["app", "lib", "tool"]);
    assert!(farm.files("batch").is_empty() && farm.files("hold").is_empty());
    assert_eq!(fs::read_dir(farm.at("staging/b")).unwrap().count(), 0, "what is published is there no more");
    farm.is_sound();
}

#[test]
fn only_those_of_the_batch_have_what_is_held_back() {
    let farm = held("lib tool");
    farm.later(1).commit("other", "depends=(lib)");
    farm.ok("syncpkg-enqueue other");
    assert_eq!(build(&farm), "lib");
    assert!(farm.at("staging/b/lib-1-1-x86_64.pkg.tar.gz").exists());
    assert!(farm.ok("syncpkg-why other").contains("waits for lib, which is not published yet"));
    let out = farm.later(1).ok("syncpkg-claim --builder b1 --arch x86_64");
    assert!(out.contains("name = \"tool\"") && out.contains("batch = \"b\""), "its builder is told: {out}");
    farm.ok("syncpkg-abort tool");
    farm.ok("syncpkgd --once");
    assert!(farm.ok("syncpkg-why lib").contains("tool was aborted"));
    fs::remove_dir_all(farm.at("spool/batch/b")).unwrap();
    farm.ok("syncpkgd --once");
    assert_eq!(published(&farm), ["lib"], "whoever removes the list lets it go");
    assert_eq!(farm.claim("b1").name, "other");
    farm.is_sound();
}

#[test]
fn what_fails_keeps_its_batch_back_until_a_forced_or_a_mended_one_is_built() {
    let farm = held("lib app tool");
    let lib = farm.claim("b1");
    fail(&farm, &lib);
    assert_eq!(build(&farm), "tool");
    let why = farm.ok("syncpkg-why tool");
    assert!(why.contains("1 of 3 are: lib failed, app waits"), "{why}");
    assert!(farm.ok("syncpkg-why app").contains("waits for lib, which failed"));
    farm.later(1).ok("syncpkg-enqueue --force lib");
    assert_eq!(build(&farm), "lib", "it takes the failed one's place, and is held back too");
    assert_eq!(published(&farm), [""; 0]);
    let app = farm.later(1).claim("b1");
    fail(&farm, &app);
    farm.commit("app", "depends=(lib)\n# mended");
    farm.later(1).ok("syncpkg-enqueue app/PKGBUILD");
    assert_eq!(build(&farm), "app");
    assert_eq!(published(&farm), ["app", "lib", "tool"]);
    farm.is_sound();
}

#[test]
fn what_needs_another_of_its_batch_cannot_be_held_back_where_nobody_else_has_it() {
    let farm = Farm::new();
    farm.commit("lib", "");
    farm.commit("app", "depends=(lib)");
    let line = "syncpkg-enqueue --batch b --hold-publish lib app";
    farm.no(
        line,
        2,
        "cannot hold back batch b: app needs lib of the same batch\nhint: say where builders find",
    );
    assert!(farm.files("new").is_empty() && farm.files("batch").is_empty(), "nothing was asked for");
    farm.no("syncpkg-enqueue --hold-publish lib", 2, "--batch");
}

#[test]
fn killed_anywhere_it_publishes_nothing_early_and_nothing_twice() {
    let farm = held("lib tool");
    // Killed before the tickets had their names: nobody was answered, and what is not there keeps nothing back.
    fs::write(
        farm.at("spool/batch/b/20261122-110000-000-aaaaaa"),
        "20261122-110000-000-aaaaaa current gone-1-1-x86_64\n",
    )
    .unwrap();
    build(&farm);
    // Killed between staging and its note.
    let note = farm.files("batch").into_iter().find(|name| name.ends_with(".staged")).unwrap();
    fs::remove_file(farm.at("spool/batch").join(&note)).unwrap();
    farm.ok("syncpkgd --once");
    assert!(farm.at("spool/batch").join(&note).exists());
    let tool = farm.later(1).claim("b1");
    farm.built(&tool, "x");
    // Killed when the lists were gone and nothing was published yet.
    let lists = farm.files("batch").into_iter().filter(|name| !name.ends_with(".staged"));
    lists.for_each(|name| fs::remove_file(farm.at("spool/batch").join(name)).unwrap());
    farm.ok("syncpkgd --once");
    assert_eq!(published(&farm), ["lib", "tool"]);
    assert!(farm.files("batch").is_empty());
    farm.is_sound();
}

#[test]
fn what_was_built_before_it_was_asked_for_with_a_batch_is_not_held_back() {
    let farm = Farm::new();
    farm.commit("lib", "");
    farm.commit("tool", "");
    farm.ok("syncpkg-enqueue tool");
    let before = farm.claim("b1");
    farm.built(&before, "x");
    farm.later(1).ok("syncpkg-enqueue --force --batch b --hold-publish lib tool");
    farm.ok("syncpkgd --once");
    assert_eq!(published(&farm), [""; 0], "a later one is asked for");
    farm.ok("syncpkg-abort tool");
    farm.ok("syncpkgd --once");
    assert_eq!(published(&farm), ["tool"]);
    assert!(farm.ok("syncpkg-ls --batch b --names").contains("lib"), "the batch still waits");
    farm.is_sound();
}

#[test]
fn a_list_that_is_damaged_publishes_nothing_and_is_named() {
    let farm = held("lib tool");
    let list = farm.at("spool/batch").join(&farm.files("batch")[0]);
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{text}garbage\n")).unwrap();
    build(&farm);
    build(&farm);
    assert_eq!(published(&farm), [""; 0]);
    fs::write(&list, text.replace(" lib ", " ?lib ")).unwrap();
    farm.ok("syncpkgd --once");
    assert_eq!(published(&farm), [""; 0], "nor what its own line does not name any more");
    farm.no("syncpkg-check", 1, "");
    assert!(
        farm.run("syncpkg-check").out.starts_with("batch/b: a list of what belongs to this batch is damaged")
    );
    fs::write(&list, text).unwrap();
    farm.ok("syncpkgd --once");
    assert_eq!(published(&farm), ["lib", "tool"]);
}
