//! Recipes that mean harm, each read between two that do not.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::recipe::{Reading, Recipe};
use super::sandbox::{Limits, readings};
use crate::config::{Format, TreeSection};

const GOOD: &str =
    "# Maintainer: A <a@b>\npkgname=good\npkgver=1\npkgrel=2\narch=(any)\ndepends=('b>=1' c)\n";

fn limits() -> Limits {
    Limits { recipe: Duration::from_secs(2), ..Limits::default() }
}

fn write(root: &Path, recipes: &[(&str, &str)]) -> Vec<String> {
    for (name, text) in recipes {
        super::export::write(root, &format!("{name}/PKGBUILD"), text.as_bytes()).unwrap();
    }
    recipes.iter().map(|(name, _)| format!("{name}/PKGBUILD")).collect()
}

fn tree() -> (tempfile::TempDir, std::path::PathBuf, MutexGuard<'static, ()>) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("tree");
    super::export::make_root(&root).unwrap();
    (place, root, alone())
}

/// Loops and bombs of one test must not make the innocent of another slow.
static TURN: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(recipes: &[(&str, &str)]) -> Vec<Reading> {
    let (_place, root, _turn) = tree();
    let paths = write(&root, recipes);
    readings(&TreeSection::default(), &root, &paths, limits()).unwrap()
}

/// Reads `text` alone and as the second of many that share a sandbox; returns the reading, the same both times.
fn between(text: &str) -> Reading {
    let (shared, alone) = both(text);
    assert_eq!(alone.is_ok(), shared.is_ok(), "{alone:?} {shared:?}");
    shared
}

/// Reads `text` as the second of many that share a sandbox, whose readings it must not change, and alone.
fn both(text: &str) -> (Reading, Reading) {
    let mut recipes = vec![("a", GOOD), ("bad", text)];
    let names = ["c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    recipes.extend(names.map(|name| (name, GOOD)));
    let shared = read(&recipes);
    for (at, reading) in shared.iter().enumerate().filter(|(at, _)| *at != 1) {
        assert_eq!(reading.as_ref().map(|recipe| recipe.name.as_str()), Ok("good"), "{at}");
    }
    (shared[1].clone(), read(&recipes[1..2])[0].clone())
}

fn error(text: &str) -> String {
    let problem = between(text).unwrap_err();
    assert_eq!(problem.path, "bad/PKGBUILD");
    problem.error
}

fn harmless(text: &str) -> Recipe {
    between(&format!("{GOOD}{text}\n")).unwrap()
}

#[test]
fn a_recipe_says_what_it_is() {
    let recipe = harmless("");
    assert_eq!(recipe.maintainer.as_deref(), Some("A <a@b>"));
    assert_eq!(
        (recipe.depends.as_slice(), recipe.dependencies().len()),
        (&["b>=1".to_owned(), "c".to_owned()][..], 2)
    );
}

#[test]
fn a_recipe_that_loops_is_one_problem_and_the_others_are_read() {
    assert_eq!(error("while :; do :; done"), "it takes longer than 2 s");
}

#[test]
fn a_recipe_that_sleeps_is_one_problem() {
    assert_eq!(error("sleep 1000"), "it takes longer than 2 s");
}

#[test]
fn a_fork_bomb_is_one_problem_and_leaves_no_process() {
    let start = Instant::now();
    let reading = between("bomb() { bomb & bomb & wait; }; bomb");
    assert!(reading.is_err(), "{reading:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_recipe_that_exits_is_one_problem() {
    assert!(error("pkgname=a; exit 0").starts_with("it ends before it is read"));
}

#[test]
fn a_recipe_that_reads_its_input_gets_nothing() {
    let recipe = harmless("cat >/dev/null; read -r x; pkgver=${x:-3}");
    assert_eq!(recipe.version.as_str(), "3");
}

#[test]
fn a_recipe_that_prints_without_end_is_one_problem() {
    assert_eq!(error("yes 2>&1"), "it takes longer than 2 s");
    assert_eq!(error("yes >&2"), "it takes longer than 2 s");
    assert_eq!(error("yes >&8"), "it says more than 1024 KiB");
}

#[test]
fn a_recipe_with_huge_arrays_is_one_problem() {
    let said = error(&format!("{GOOD}depends=($(seq 1 200000))"));
    assert_eq!(said, "it says more than 1024 KiB");
}

#[test]
fn a_recipe_that_eats_memory_is_one_problem() {
    error("x=x; while :; do x=$x$x; done");
}

#[test]
fn a_recipe_can_write_nowhere_that_outlives_it() {
    let (place, root, _turn) = tree();
    let own = crate::base::random::word(12);
    let evil = format!(
        "{GOOD}for f in /tree/{own} /{own} /usr/{own} /etc/{own} /dev/{own} /dev/shm/{own} {0}/{own}
        do echo y >$f && pkgver=bad; done
        echo y >/tmp/{own}; mkdir -p {0}/y; rm -rf /tree/* 2>/dev/null",
        place.path().display()
    );
    let after = format!("{GOOD}[[ -e /tmp/{own} ]] && pkgver=bad");
    let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
    let recipes: Vec<(&str, &str)> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), if at % 2 == 0 { evil.as_str() } else { after.as_str() }))
        .collect();
    let paths = write(&root, &recipes);
    for reading in readings(&TreeSection::default(), &root, &paths, limits()).unwrap() {
        assert_eq!(reading.unwrap().version.as_str(), "1");
    }
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 12);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    assert!(
        ["/tmp", "/usr", "/etc", "/dev", "/dev/shm", "/"]
            .iter()
            .all(|dir| !Path::new(dir).join(&own).exists())
    );
}

#[test]
fn a_recipe_has_no_network_and_sees_no_foreign_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let recipe = harmless(&format!(
        "(exec 5<>/dev/tcp/127.0.0.1/{port}) && pkgver=bad; p=(/proc/[0-9]*); ((${{#p[@]}} < 9)) || pkgver=bad"
    ));
    assert_eq!(recipe.version.as_str(), "1");
}

#[test]
fn a_recipe_sees_no_environment_and_no_secrets_of_its_reader() {
    let recipe = harmless("[[ -n $CARGO_PKG_NAME || -e /etc/shadow || -e /root || -e /home ]] && pkgver=bad");
    assert_eq!(recipe.version.as_str(), "1");
}

#[test]
fn a_name_that_climbs_is_one_problem() {
    let said = error(&format!("{GOOD}pkgname=../../etc/x"));
    assert_eq!(said, "the package name \"../../etc/x\" is not allowed: it must begin with a letter or digit");
}

#[test]
fn a_recipe_that_overrides_builtins_is_still_read() {
    let names =
        ["printf", "declare", "local", "set", "unset", "builtin", "kill", "wait", "exec", "read", "trap"];
    let text: String = names.map(|name| format!("{name}() {{ :; }}\n")).concat();
    assert_eq!(harmless(&text).name.as_str(), "good");
}

#[test]
fn a_recipe_with_switches_and_traps_is_one_reading() {
    assert_eq!(
        harmless("set -eu; false || :; IFS=xyz; shopt -s nullglob; trap 'exit 3' EXIT").name.as_str(),
        "good"
    );
    assert!(error("set -n\npkgname=x").starts_with("it ends before it is read"));
    assert!(error("enable -n printf; exec 8>&-").starts_with("it ends before it is read"));
}

#[test]
fn a_recipe_that_forges_frames_speaks_for_itself_only() {
    let forged = "name=evil\\0version=6\\0release=6\\0arch=any\\0read=yes\\0";
    let reading =
        between(&format!("while :; do printf '{forged}' >&8; printf 'ready\\0' >&8; sleep 0.01; done"));
    assert!(reading.is_err());
    let linger = format!("(while :; do printf '{forged}' >&8; done) & disown");
    // How much it says before it is killed is chance; whether that is too much too.
    let _ = both(&format!("{GOOD}{linger}\nsleep 0.1"));
}

#[test]
fn a_recipe_that_turns_on_its_reader_is_one_problem() {
    assert_eq!(error("kill -9 -1; kill -9 $PPID; kill -9 $$"), "it ended the shell that reads it");
    assert_eq!(error("kill -STOP $$; sleep 9"), "it takes longer than 2 s");
    let steal = "exec 7</proc/$$/fd/9 && pkgver=bad; exec 6<&9 && pkgver=bad";
    assert_eq!(harmless(steal).version.as_str(), "1");
}

#[test]
fn a_recipe_that_is_a_link_is_one_problem() {
    let (_place, root, _turn) = tree();
    let paths = write(&root, &[("a", GOOD), ("b", GOOD)]);
    std::fs::remove_file(root.join("b/PKGBUILD")).unwrap();
    std::os::unix::fs::symlink("../a/PKGBUILD", root.join("b/PKGBUILD")).unwrap();
    let readings = readings(&TreeSection::default(), &root, &paths, limits()).unwrap();
    assert!(readings[0].is_ok());
    assert_eq!(readings[1].as_ref().unwrap_err().error, "it is no regular file");
}

#[test]
fn a_recipe_that_does_not_parse_is_named_with_its_line() {
    let said = error(&format!("{GOOD}if true; then\n\x1b[31m )\n"));
    assert!(said.starts_with("bad/PKGBUILD:8: syntax error near unexpected token"), "{said}");
    assert!(error("pkgname=(a").contains("bad/PKGBUILD:"));
}

#[test]
fn a_split_recipe_and_process_substitution_are_read() {
    let recipe = harmless("pkgbase=base; pkgname=(x y); epoch=3; mapfile -t groups < <(echo g)");
    assert_eq!((recipe.name.as_str(), recipe.version.as_str(), recipe.subpkgs.len()), ("base", "3:1", 2));
    assert_eq!(recipe.groups, ["g"]);
}

#[test]
fn frugalware_schemes_and_the_prelude_are_sourced() {
    let (place, root, _turn) = tree();
    let prelude = place.path().join("prelude");
    std::fs::write(&prelude, "Fprelude() { pkgrel=7; }\nFinclude() { exit 1; }\n").unwrap();
    super::export::write(&root, "source/include/util.sh", b"Fprelude\narchs=('i686' '!x86_64')\n").unwrap();
    let text = b"# Compiling Time: 1 SBU\n# Maintainer: B <b@c>\npkgname=a\npkgver=1\nFinclude util\nsubpkgs=(a-doc)\n";
    super::export::write(&root, "source/x/a/FrugalBuild", text).unwrap();
    let section =
        TreeSection { format: Format::Frugalbuild, prelude: Some(prelude), ..TreeSection::default() };
    let read = readings(&section, &root, &["source/x/a/FrugalBuild".to_owned()], limits()).unwrap();
    let recipe = read[0].clone().unwrap();
    assert_eq!((recipe.release.as_str(), recipe.subpkgs.len(), recipe.archs.len()), ("7", 2, 1));
    assert_eq!(recipe.maintainer.as_deref(), Some("B <b@c>"));
}

#[test]
fn a_prelude_that_breaks_is_an_error_and_no_problem_of_recipes() {
    let (place, root, _turn) = tree();
    let prelude = place.path().join("prelude");
    std::fs::write(&prelude, "exit 1\n").unwrap();
    let section = TreeSection { prelude: Some(prelude), ..TreeSection::default() };
    let paths = write(&root, &[("a", GOOD)]);
    let error = readings(&section, &root, &paths, limits()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read recipes: the sandbox does not start"), "{error}");
}

#[test]
fn a_tree_full_of_loops_ends_in_time() {
    let limits = Limits { scan: Duration::from_millis(300), ..limits() };
    let (_place, root, _turn) = tree();
    let recipes: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let recipes: Vec<(&str, &str)> =
        recipes.iter().map(|name| (name.as_str(), "while :; do :; done")).collect();
    let start = Instant::now();
    let read = readings(&TreeSection::default(), &root, &write(&root, &recipes), limits).unwrap();
    assert!(read.len() == 20 && read.iter().all(Result::is_err));
    assert!(start.elapsed() < Duration::from_secs(6));
}
