//! What failed is tried again when something it needs was built since, and only then.

use std::fs;

use super::stage::Farm;

/// A farm in which `lib` is published and `app`, which needs it, has failed since.
fn farm() -> Farm {
    let farm = Farm::new();
    farm.push("lib", "");
    farm.built(&farm.claim("b1"), "lib");
    farm.ok("syncpkgd --once");
    farm.later(60).push("app", "depends=(lib)");
    fail(&farm);
    farm.later(60).ok("syncpkgd --once");
    farm
}

fn fail(farm: &Farm) {
    let claim = farm.later(1).claim("b1").claim;
    farm.ok(&format!("syncpkg-report {claim} --outcome failed --stage build"));
}

/// Builds `lib` once more, as a new release.
fn build_lib(farm: &Farm, release: u32) {
    farm.commit("lib", &format!("pkgrel={release}"));
    farm.later(60).ok("syncpkg-enqueue lib/PKGBUILD");
    let claimed = farm.claim("b1");
    let file = farm.at(&format!("lib-1-{release}-x86_64.pkg.tar.gz"));
    fs::write(&file, "lib").unwrap();
    farm.later(60).ok(&format!("syncpkg-report {} --outcome built --file {}", claimed.claim, file.display()));
    farm.later(1).ok("syncpkgd --once");
}

#[test]
fn a_failed_package_is_tried_again_once_something_it_needs_was_built_since() {
    let farm = farm();
    assert_eq!(farm.states(""), [""; 0], "lib was built before: nothing has changed");
    build_lib(&farm, 2);
    assert_eq!(farm.states(""), ["app waiting"]);
    let listed = farm.ok("syncpkg-ls --json");
    assert!(listed.contains("\"reason\":\"lib-1-2-x86_64 was built since it failed\""), "{listed}");
    assert!(listed.contains("\"priority\":\"unbuilt\""), "{listed}");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["app waiting"]);
    farm.is_sound();
}

#[test]
fn it_is_tried_again_once_for_each_time_and_in_silence() {
    let farm = farm();
    assert_eq!(farm.files("sent").len(), 1);
    build_lib(&farm, 2);
    fail(&farm);
    farm.later(60).ok("syncpkgd --once");
    fs::remove_file(farm.at("spool/cache/retried")).unwrap();
    farm.later(60).ok("syncpkgd --once");
    assert_eq!(farm.states(""), [""; 0], "it failed after that");
    assert_eq!(farm.files("sent").len(), 1, "nobody hears of the same failure twice");
    build_lib(&farm, 3);
    assert_eq!(farm.states(""), ["app waiting"]);
}

#[test]
fn a_master_that_is_killed_before_it_has_looked_looks_the_next_time() {
    let farm = farm();
    build_lib(&farm, 2);
    farm.ok("syncpkg-abort app");
    // As if it had been killed after publishing.
    let waiting = farm.files("done/current/app");
    let aborted = waiting.iter().find(|name| name.ends_with("aborted")).unwrap();
    fs::remove_file(farm.at("spool/done/current/app").join(aborted)).unwrap();
    fs::remove_file(farm.at("spool/cache/retried")).unwrap();
    farm.later(60).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["app waiting"]);
}

#[test]
fn what_was_aborted_stays_so() {
    let farm = farm();
    farm.ok("syncpkg-enqueue --force app");
    farm.ok("syncpkg-abort app");
    build_lib(&farm, 2);
    assert_eq!(farm.states(""), [""; 0]);
}

#[test]
fn a_version_that_the_tree_does_not_want_any_more_is_not_tried_again() {
    let farm = farm();
    farm.commit("app", "pkgver=2\ndepends=(lib)");
    build_lib(&farm, 2);
    assert_eq!(farm.states(""), [""; 0]);
}
