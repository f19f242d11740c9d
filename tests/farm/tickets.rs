//! Life of a ticket: what becomes of a request, given what was asked before.

use crate::stage::{Farm, id_of};

#[test]
fn the_same_asked_twice_is_one_ticket() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue gcc/PKGBUILD")), first);
    farm.claim("b1");
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue gcc/PKGBUILD")), first);
    assert_eq!(farm.states("all"), ["gcc building"]);
    farm.is_sound();
}

#[test]
fn a_later_revision_supersedes_the_waiting_ticket() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    let second = farm.later(1).push("gcc", "# changed");
    assert_ne!(first, second);
    assert_eq!((farm.state(&first), farm.state(&second)), ("superseded".into(), "waiting".into()));
    farm.is_sound();
}

#[test]
fn a_building_ticket_is_followed_by_a_new_one() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    farm.claim("b1");
    let second = farm.later(1).push("gcc", "# changed");
    assert_eq!((farm.state(&first), farm.state(&second)), ("building".into(), "waiting".into()));
}

#[test]
fn a_push_to_another_recipe_changes_nothing_for_this_one() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    farm.later(1).push("make", "");
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue gcc")), first, "asked for by name: the version counts");
}

#[test]
fn a_failed_version_stays_failed_until_its_recipe_changes() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", claimed.claim));
    farm.no(
        "syncpkg-enqueue gcc",
        1,
        &format!("gcc-1-1-x86_64 failed already ({first}): --force builds it again"),
    );
    farm.no("syncpkg-enqueue gcc/PKGBUILD", 1, "failed already");
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, "nothing to claim");
    let second = farm.later(1).push("gcc", "# mended");
    assert_eq!(farm.state(&second), "waiting");
}

#[test]
fn forcing_builds_a_failed_version_again() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed", claimed.claim));
    let second = id_of(&farm.ok("syncpkg-enqueue --force gcc"));
    assert_ne!(first, second);
    assert_eq!(farm.files("new")[0].split(',').next().unwrap(), "x86_64/2", "forced is urgent");
}

#[test]
fn forcing_makes_a_waiting_ticket_urgent_and_answers_with_a_building_one() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    farm.later(1).push("make", "");
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue --force make")), id_of(&farm.ok("syncpkg-enqueue make")));
    assert_eq!(farm.claim("b1").name, "make", "the urgent one is claimed first");
    assert_eq!(farm.claim("b2").id, first);
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue --force gcc")), first);
    assert_eq!(farm.states(""), ["make building", "gcc building"]);
}

#[test]
fn aborted_superseded_and_troubled_versions_need_no_force() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    farm.ok("syncpkg-abort gcc");
    let second = id_of(&farm.later(1).ok("syncpkg-enqueue gcc"));
    assert_ne!(first, second);
    farm.ok("syncpkg-abort gcc");
    farm.no("syncpkg-enqueue --priority unbuilt gcc", 1, "was aborted");
}

#[test]
fn asking_again_with_a_better_priority_moves_the_ticket() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let id = id_of(&farm.ok("syncpkg-enqueue --priority background gcc"));
    farm.later(1).push("make", "");
    assert_eq!(id_of(&farm.ok("syncpkg-enqueue --priority urgent gcc")), id);
    assert_eq!(farm.claim("b1").id, id);
}

#[test]
fn better_priority_first_then_older_first() {
    let farm = Farm::new();
    for (name, priority) in [("late", "push"), ("later", "push"), ("first", "urgent"), ("last", "background")]
    {
        farm.commit(name, "");
        farm.later(1).ok(&format!("syncpkg-enqueue --priority {priority} {name}"));
    }
    let claimed: Vec<String> = (0..4).map(|_| farm.claim("b1").name).collect();
    assert_eq!(claimed, ["first", "late", "later", "last"]);
}

#[test]
fn what_is_built_is_the_revision_that_was_asked_for() {
    let farm = Farm::new();
    let old = farm.commit("gcc", "");
    farm.commit("gcc", "pkgver=2");
    assert!(farm.ok(&format!("syncpkg-enqueue --revision {old} gcc")).ends_with("gcc-1-1-x86_64\n"));
    let out = farm.ok("syncpkg-claim --builder b1 --arch x86_64");
    assert!(out.contains(&format!("revision = \"{old}\"")), "{out}");
}

#[test]
fn a_recipe_for_any_makes_one_ticket_that_every_builder_may_take() {
    let farm = Farm::new();
    farm.push("doc", "arch=(any)");
    assert_eq!(farm.files("new").len(), 1);
    let out = farm.ok("syncpkg-claim --builder arm --arch aarch64");
    assert!(out.contains("arch = \"any\""), "{out}");
}

#[test]
fn an_architecture_the_farm_does_not_build_makes_no_ticket() {
    let farm = Farm::new();
    farm.commit("board", "arch=(riscv64)");
    farm.no("syncpkg-enqueue board", 1, "board is not for this farm: its recipe is for riscv64");
    farm.commit("gone", "nobuild=1\noptions=(nobuild)");
    assert_eq!(farm.run("syncpkg-ls all").out, "");
}

#[test]
fn several_operands_are_all_done_and_the_worst_decides() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let ran = farm.run("syncpkg-enqueue gcc nosuch ../../etc/x");
    assert_eq!(ran.status, 2);
    assert!(ran.out.ends_with("gcc-1-1-x86_64\n"), "{ran:?}");
    assert!(
        ran.err.contains("the tree current has no such package") && ran.err.contains("contains \"..\""),
        "{ran:?}"
    );
}

#[test]
fn names_that_ls_prints_are_taken_by_enqueue() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b2");
    farm.ok(&format!("syncpkg-report {} --outcome failed", claimed.claim));
    let names = farm.ok("syncpkg-ls failed --builder b2 --since 3h --names");
    assert_eq!(names, "current/gcc-1-1-x86_64\n");
    let pipe = format!("syncpkg-enqueue --force {}", names.trim());
    assert!(farm.ok(&pipe).ends_with("gcc-1-1-x86_64\n"));
    assert_eq!(farm.ok("syncpkg-ls failed --builder b1 --names"), "");
}

#[test]
fn what_is_asked_for_later_is_newer_whatever_the_clock_says() {
    let farm = Farm::new();
    let first = farm.push("gcc", "");
    let claimed = farm.claim("b1");
    let second = farm.later(-3600).push("gcc", "# changed");
    assert!(second > first, "{second} {first}");
    farm.built(&claimed, "first");
    farm.built(&farm.claim("b1"), "second");
    farm.ok("syncpkgd --once");
    let published = std::fs::read_to_string(farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz")).unwrap();
    assert_eq!(published, "second");
}

#[test]
fn a_name_too_long_for_a_file_keeps_no_other_ticket_from_being_made() {
    let farm = Farm::new();
    let (long, version) = ("n".repeat(128), "1".repeat(64));
    farm.commit(&long, &format!("pkgver={version}\npkgrel={}", "2".repeat(30)));
    farm.commit("gcc", "");
    let ran = farm.run(&format!("syncpkg-enqueue {long}/PKGBUILD gcc/PKGBUILD"));
    assert!(ran.err.contains("is too long for a file name"), "{ran:?}");
    assert_eq!(farm.states(""), ["gcc waiting"]);
}

#[test]
fn a_ticket_that_comes_back_makes_way_for_a_later_one() {
    let farm = Farm::new();
    let ends = ["report", "release", "lease"];
    for how in ends {
        let first = farm.later(1).push("gcc", &format!("# before {how}"));
        let claimed = farm.claim("b1");
        let second = farm.later(1).push("gcc", &format!("# after {how}"));
        match how {
            "report" => {
                let report = format!("syncpkg-report {} --outcome trouble", claimed.claim);
                farm.ok(&report);
                farm.ok(&report);
            }
            "release" => drop(farm.ok("syncpkg-builder --pause --release b1")),
            _ => farm.lose_leases(),
        }
        assert_eq!(
            (farm.state(&first).as_str(), farm.state(&second).as_str()),
            ("superseded", "waiting"),
            "{how}"
        );
        farm.run("syncpkg-builder --resume b1");
        farm.ok("syncpkg-abort gcc");
        farm.is_sound();
    }
}
