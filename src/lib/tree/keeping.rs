//! What is kept of readings, seen from outside: a recipe whose version is a random number tells when it is read again.

use std::collections::BTreeMap;

use super::repositories::Farm;
use super::{Reading, read, read_all};
use crate::config::{Format, Scm};

const CHANCE: &str = "pkgver=$SRANDOM\npkgrel=1\narchs=(x86_64)\n";

/// A tree of FrugalBuilds with the files `files`.
fn farm(scm: Scm, files: &[(&str, &str)]) -> Farm {
    let mut farm = Farm::new(scm);
    farm.section.format = Format::Frugalbuild;
    farm.section.recipes = "source/*/*/FrugalBuild".to_owned();
    files.iter().for_each(|(path, text)| put(&farm, path, text));
    farm
}

fn put(farm: &Farm, path: &str, text: &str) {
    let path = farm.section.path.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Reads all there is: the version of each package, or that it has none.
fn versions(farm: &Farm) -> BTreeMap<String, String> {
    let tip = farm.repository().tip().unwrap();
    let read = read_all(&farm.section, &farm.tree, &tip, &farm.desk()).unwrap();
    let version = |reading: Reading| match reading {
        Ok(recipe) => (recipe.name.to_string(), recipe.version.to_string()),
        Err(problem) => (problem.path.split('/').nth(2).unwrap().to_owned(), problem.error),
    };
    read.into_iter().map(version).collect()
}

/// The packages that were read again between `old` and `new`.
fn again(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let read: Vec<&str> = new
        .iter()
        .filter(|(name, version)| old.get(*name) != Some(version))
        .map(|(name, _)| name.as_str())
        .collect();
    read.join(" ")
}

#[test]
fn only_what_includes_a_changed_scheme_or_was_changed_itself_is_read_again() {
    let recipe = |name: &str, head: &str| format!("pkgname={name}\n{head}\n{CHANCE}");
    for scm in [Scm::Git, Scm::Darcs, Scm::None] {
        let farm = farm(
            scm,
            &[
                ("source/include/one.sh", "Finclude two\n"),
                ("source/include/two.sh", "url=x\n"),
                ("source/include/three.sh", "url=y\n"),
                ("source/x/a/FrugalBuild", &recipe("a", "Finclude one")),
                ("source/x/b/FrugalBuild", &recipe("b", "Finclude three")),
                ("source/x/c/FrugalBuild", &recipe("c", "Finclude later; url=z")),
                ("source/x/c/fix.diff", "1"),
            ],
        );
        farm.record();
        let mut last = versions(&farm);
        for (path, text, read) in [
            ("docs/other", "nothing of this matters", ""),
            ("source/include/two.sh", "url=changed\n", "a"),
            ("source/include/later.sh", "url=new\n", "c"),
            ("source/x/c/fix.diff", "22", "c"),
            ("source/x/b/FrugalBuild", &recipe("b", "url=own"), "b"),
            ("source/include/three.sh", "url=unused\n", ""),
            ("source/x/d/FrugalBuild", &recipe("d", ""), "d"),
            ("source/x/d/sub/FrugalBuild", "no recipe, but beside one", "d"),
            ("source/include/beside.install", "1", "a b c d"),
        ] {
            put(&farm, path, text);
            farm.record();
            let now = versions(&farm);
            assert_eq!(again(&last, &now), read, "{scm:?} {path}");
            last = now;
        }
    }
}

#[test]
fn a_recipe_that_is_gone_or_moved_is_not_kept() {
    for scm in [Scm::Git, Scm::Darcs, Scm::None] {
        let recipe = |name: &str| format!("pkgname={name}\n{CHANCE}");
        let farm =
            farm(scm, &[("source/x/a/FrugalBuild", &recipe("a")), ("source/x/b/FrugalBuild", &recipe("b"))]);
        farm.record();
        let first = versions(&farm);
        let dir = farm.section.path.join("source");
        std::fs::rename(dir.join("x/a"), dir.join("x/c")).unwrap();
        put(&farm, "source/x/c/FrugalBuild", &recipe("c"));
        farm.record();
        let second = versions(&farm);
        assert_eq!(second.keys().collect::<Vec<_>>(), ["b", "c"], "{scm:?}");
        assert_eq!(again(&first, &second), "c", "{scm:?}");
    }
}

#[test]
fn a_srcinfo_that_changed_has_its_recipe_read_again() {
    let place = Farm::new(Scm::Git);
    put(&place, "a/PKGBUILD", &format!("pkgname=a\narch=(any)\n{CHANCE}"));
    let write = |version: &str| {
        put(
            &place,
            "a/.SRCINFO",
            &format!("pkgbase = a\npkgver = {version}\npkgrel = 1\narch = any\npkgname = a\n"),
        );
        place.record()
    };
    for version in ["1", "2"] {
        let tip = write(version);
        let read = read_all(&place.section, &place.tree, &tip, &place.desk()).unwrap();
        assert_eq!(read[0].as_ref().unwrap().version.as_str(), version);
    }
}

#[test]
fn another_prelude_has_all_read_again() {
    let mut farm = farm(Scm::Git, &[("source/x/a/FrugalBuild", &format!("pkgname=a\n{CHANCE}"))]);
    let prelude = farm.place.path().join("prelude");
    std::fs::write(&prelude, "groups=(x)\n").unwrap();
    farm.section.prelude = Some(prelude.clone());
    let tip = farm.record();
    let groups =
        || read_all(&farm.section, &farm.tree, &tip, &farm.desk()).unwrap()[0].clone().unwrap().groups;
    assert_eq!(groups(), ["x"]);
    std::fs::write(&prelude, "groups=(y)\n").unwrap();
    assert_eq!(groups(), ["y"]);
}

#[test]
fn what_is_kept_may_be_damaged_or_gone() {
    let farm = farm(Scm::Git, &[("source/x/a/FrugalBuild", &format!("pkgname=a\n{CHANCE}"))]);
    farm.record();
    let first = versions(&farm);
    let file = farm.place.path().join("kept/recipes-t");
    let whole = std::fs::read(&file).unwrap();
    let forged = String::from_utf8(whole.clone()).unwrap().replace(&first["a"], "6");
    let mut last = first.clone();
    for damaged in [&whole[..whole.len() / 2], b"", b"\n", b"{}", forged.as_bytes(), &[0xff; 100]] {
        std::fs::write(&file, damaged).unwrap();
        let now = versions(&farm);
        assert!(now["a"] != "6" && again(&last, &now) == "a", "read again");
        assert_eq!(again(&now, &versions(&farm)), "", "and kept again");
        last = now;
    }
}

#[test]
fn nothing_is_lost_when_what_is_kept_is_damaged_and_something_has_changed() {
    let recipe = |name: &str| format!("pkgname={name}\n{CHANCE}");
    let farm =
        farm(Scm::Git, &[("source/x/a/FrugalBuild", &recipe("a")), ("source/x/b/FrugalBuild", &recipe("b"))]);
    farm.record();
    versions(&farm);
    let file = farm.place.path().join("kept/recipes-t");
    let whole = std::fs::read(&file).unwrap();
    let head = whole.iter().position(|&byte| byte == b'\n').unwrap();
    for (round, damaged) in
        [&whole[..head + 1], &whole[..head], &whole[..whole.len() - 1]].into_iter().enumerate()
    {
        put(&farm, "source/x/a/FrugalBuild", &format!("{}# {round}\n", recipe("a")));
        farm.record();
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(versions(&farm).keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}

#[test]
fn what_took_too_long_is_read_each_time_and_the_rest_kept() {
    let recipe = |name: &str, text: &str| format!("pkgname={name}\n{CHANCE}{text}\n");
    let farm = farm(
        Scm::Git,
        &[("source/x/a/FrugalBuild", &recipe("a", "")), ("source/x/b/FrugalBuild", &recipe("b", "sleep 9"))],
    );
    let tip = farm.record();
    let read = || read_all(&farm.section, &farm.tree, &tip, &farm.desk()).unwrap();
    let first = read();
    assert!(first[0].is_ok() && first[1].is_err());
    assert_eq!(read(), first);
    put(&farm, "source/x/a/FrugalBuild", &recipe("a", "# changed"));
    let tip = farm.record();
    let after = read_all(&farm.section, &farm.tree, &tip, &farm.desk()).unwrap();
    assert_eq!(after.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false], "nor is it lost");
    let kept = std::fs::read_to_string(farm.place.path().join("kept/recipes-t")).unwrap();
    assert!(kept.contains(r#""unsure":["source/x/b/FrugalBuild"]"#), "{kept}");
}

#[test]
fn what_bash_could_not_start_a_process_for_is_a_problem_that_is_not_kept() {
    let starved = format!("pkgname=a\nulimit -n 3\ngroups=($(printf x))\n{CHANCE}");
    let farm = farm(Scm::Git, &[("source/x/a/FrugalBuild", &starved)]);
    farm.record();
    assert_eq!(versions(&farm)["a"], "bash could not start a process");
    let kept = std::fs::read_to_string(farm.place.path().join("kept/recipes-t")).unwrap();
    assert!(kept.contains(r#""unsure":["source/x/a/FrugalBuild"]"#), "{kept}");
}

#[test]
fn of_many_that_are_asked_for_at_once_only_those_not_known_yet_are_read() {
    let files: Vec<(String, String)> =
        (0..70).map(|n| (format!("source/x/p{n}/FrugalBuild"), format!("pkgname=p{n}\n{CHANCE}"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let farm = farm(Scm::Git, &files);
    let tip = farm.record();
    let many: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    let read = |paths: &[String]| read(&farm.section, &farm.tree, &tip, paths, &farm.desk()).unwrap();
    let first = read(&many);
    assert_eq!(read(&many), first, "known");
    assert_ne!(read(&many[..5]), first[..5], "few are read each time");
    let foreign = [many.as_slice(), &["source/x/gone/FrugalBuild".to_owned(), "README".to_owned()]].concat();
    let errors: Vec<String> =
        read(&foreign)[70..].iter().map(|read| read.clone().unwrap_err().error).collect();
    assert_eq!(
        errors,
        ["it is not in the tree t", "it is not where recipes of the tree t are (source/*/*/FrugalBuild)"]
    );
}
