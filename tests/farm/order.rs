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

#[test]
fn what_waits_for_another_is_parked_under_it_and_woken_when_that_has_ended() {
    let farm = Farm::new();
    farm.commit("lib", "");
    farm.commit("app", "depends=(lib)");
    farm.commit("tool", "depends=(app)");
    farm.ok("syncpkg-enqueue lib app tool");
    assert_eq!(parked(&farm), ["current/app tool", "current/lib app"]);
    let lib = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed", lib.claim));
    assert_eq!(
        parked(&farm),
        ["current/app tool"],
        "what is not of one batch is built against what is published"
    );
    farm.ok("syncpkg-abort app");
    assert_eq!(parked(&farm), Vec::<String>::new());
    assert_eq!(farm.claim("b1").name, "tool");
    farm.is_sound();
}

#[test]
fn what_comes_to_need_something_later_is_parked_by_whoever_would_claim_it() {
    let farm = Farm::new();
    farm.commit("app", "depends=(lib)");
    farm.ok("syncpkg-enqueue app");
    assert_eq!(parked(&farm), Vec::<String>::new(), "nobody knows of lib");
    farm.commit("lib", "");
    farm.later(1).ok("syncpkg-enqueue lib");
    assert_eq!(farm.claim("b1").name, "lib");
    assert_eq!(parked(&farm), ["current/lib app"]);
    farm.is_sound();
}

#[test]
fn a_parked_ticket_is_aborted_superseded_and_made_urgent_where_it_lies() {
    let farm = chain();
    let id = |out: String| crate::stage::id_of(&out);
    let first = id(farm.ok("syncpkg-enqueue --priority urgent app"));
    assert!(farm.files("park")[0].starts_with(&format!("current/lib/2,{first},")));
    farm.commit("app", "depends=(lib)\n# changed");
    let second = id(farm.later(1).ok("syncpkg-enqueue app/PKGBUILD"));
    assert_eq!((farm.state(&first), farm.state(&second)), ("superseded".into(), "waiting".into()));
    assert_eq!(parked(&farm), ["current/lib app"]);
    farm.ok("syncpkg-abort app");
    assert_eq!(farm.state(&second), "aborted");
    assert_eq!(parked(&farm), Vec::<String>::new());
    farm.is_sound();
}

#[test]
fn a_circle_left_by_an_interrupted_program_is_broken_by_the_next_round() {
    let farm = Farm::new();
    farm.commit("hen", "depends=(egg)");
    farm.commit("egg", "depends=(hen)");
    farm.ok("syncpkg-enqueue hen egg");
    let free = farm.files("new")[0].clone();
    let name = free.strip_prefix("x86_64/").unwrap();
    let other = if name.contains(",hen-") { "egg" } else { "hen" };
    let place = farm.at("spool/park/current").join(other);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::rename(farm.at("spool/new").join(&free), place.join(name)).unwrap();
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, "nothing to claim");
    farm.ok("syncpkgd --once");
    assert_eq!(farm.files("new"), [free]);
    farm.claim("b1");
    farm.is_sound();
}

#[test]
fn what_an_interrupted_program_did_not_wake_is_woken_by_the_next_round() {
    let farm = chain();
    let held = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed", held.claim));
    farm.ok("syncpkg-abort app");
    farm.later(1).ok("syncpkg-enqueue app");
    let free = farm.files("new")[0].clone();
    let place = farm.at("spool/park/current/lib");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::rename(farm.at("spool/new").join(&free), place.join(&free[7..])).unwrap();
    assert!(farm.ok("syncpkg-why app").contains("the next round of syncpkgd wakes it"));
    farm.ok("syncpkgd --once");
    assert_eq!(farm.claim("b2").name, "app");
}

#[test]
fn a_builder_gets_last_what_it_had_trouble_with() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let gcc = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome trouble", gcc.claim));
    farm.later(61).push("make", "");
    assert_eq!(farm.claim("b1").name, "make");
    assert_eq!(farm.claim("b1").name, "gcc", "better than nothing");
}

#[test]
fn a_rest_that_a_wrong_clock_gave_does_not_last_for_years() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let gcc = farm.claim("b1");
    let years = 10 * 365 * 86_400;
    farm.later(years).ok(&format!("syncpkg-report {} --outcome trouble", gcc.claim));
    farm.no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
    farm.later(-years);
    assert_eq!(farm.claim("b2").name, "gcc");
}

/// What is parked: `TREE/NAME PACKAGE`.
fn parked(farm: &Farm) -> Vec<String> {
    let files = farm.files("park").into_iter();
    let shown = |file: String| {
        let (place, ticket) = file.rsplit_once('/').unwrap();
        let item = ticket.split(',').nth(3).unwrap();
        format!("{place} {}", item.split('-').next().unwrap())
    };
    files.map(shown).collect()
}
