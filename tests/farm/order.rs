//! What waits for what.

use crate::stage::Farm;

fn chain() -> Farm {
    let farm = Farm::new();
    farm.commit("app", "depends=('lib>=1')");
    farm.commit("lib", "");
    farm.ok("syncpkg-enqueue --batch b app lib");
    farm
}

#[test]
fn what_needs_another_is_built_after_it_is_published() {
    let farm = chain();
    let lib = farm.claim("b1");
    assert_eq!(lib.name, "lib");
    farm.no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
    assert!(farm.ok("syncpkg-why app").contains("waits for lib, which is building"));
    farm.built(&lib, "x");
    assert!(farm.ok("syncpkg-why app").contains("waits for lib, which is not published yet"));
    farm.ok("syncpkgd --once");
    assert_eq!(farm.claim("b2").name, "app");
}

#[test]
fn when_one_fails_those_of_the_same_batch_stay_and_others_go_on() {
    let farm = chain();
    let lib = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed", lib.claim));
    farm.no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
    assert!(farm.ok("syncpkg-why app").contains("waits for lib, which failed"));
    farm.ok("syncpkg-abort app");
    farm.later(1).ok("syncpkg-enqueue app");
    assert_eq!(farm.claim("b2").name, "app", "asked for by itself it is built against what is published");
}

#[test]
fn however_many_wait_for_something_they_hide_none_that_does_not() {
    let farm = Farm::new();
    farm.commit("lib", "");
    let apps: Vec<String> = (0..70).map(|n| format!("app{n}")).collect();
    apps.iter().for_each(|name| drop(farm.commit(name, "depends=(lib)")));
    farm.commit("other", "");
    farm.ok(&format!("syncpkg-enqueue lib {}", apps.join(" ")));
    farm.later(1).ok("syncpkg-enqueue other");
    assert_eq!((farm.claim("b1").name, farm.claim("b2").name), ("lib".into(), "other".into()));
}

#[test]
fn a_cycle_is_broken_at_its_oldest_ticket() {
    let farm = Farm::new();
    farm.commit("hen", "depends=(egg)");
    farm.commit("egg", "depends=(hen)");
    farm.commit("omelette", "depends=(egg)");
    for name in ["omelette", "hen", "egg"] {
        farm.later(1).ok(&format!("syncpkg-enqueue {name}"));
    }
    assert_eq!(farm.claim("b1").name, "hen");
    farm.no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
}

#[test]
fn a_part_of_a_split_package_stands_for_its_recipe() {
    let farm = Farm::new();
    farm.commit("app", "depends=(lib-devel)");
    farm.commit(
        "lib",
        "pkgbase=lib\npkgname=(lib lib-devel)\npackage_lib() { :; }\npackage_lib-devel() { :; }",
    );
    farm.ok("syncpkg-enqueue app lib");
    assert_eq!(farm.claim("b1").name, "lib");
    farm.no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
}
