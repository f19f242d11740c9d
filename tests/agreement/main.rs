//! Whether the reader says what bash says, recipe by recipe, over a whole tree of FrugalBuilds: `make agreement`.
//!
//! The truth is a new bash for each recipe, in a sandbox of its own without network, with the prelude as it is
//! installed, its own `Finclude` included. SYNCPKG_TREE is a git repository, SYNCPKG_REVISION what of it is read
//! (HEAD), SYNCPKG_PRELUDE the file `fwmakepkg`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test may fail and talk"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use syncpkg::base::output::SILENT;
use syncpkg::config::{Format, Scm, TreeSection};
use syncpkg::tree::{Desk, Reading, Repository, read_all};

const TRUTH: &str = include_str!("truth.sh");

/// The fields of one recipe as bash has them; none when it exits before its end.
type Truth = Option<BTreeMap<String, Vec<String>>>;

fn section(path: &Path, prelude: &Path) -> TreeSection {
    TreeSection {
        scm: Scm::Git,
        path: path.to_owned(),
        recipes: "source/*/*/FrugalBuild".to_owned(),
        format: Format::Frugalbuild,
        prelude: Some(prelude.to_owned()),
        ..TreeSection::default()
    }
}

/// Checks out `revision`; the original `Finclude` looks for `_darcs` above the recipe.
fn check_out(repository: &Path, revision: &str, into: &Path) {
    std::fs::create_dir_all(into.join("_darcs")).unwrap();
    let mut archive = Command::new("git");
    archive.arg("-C").arg(repository).args(["archive", revision, "source"]).stdout(Stdio::piped());
    let mut archive = archive.spawn().unwrap();
    let tar =
        Command::new("tar").arg("-xC").arg(into).stdin(archive.stdout.take().unwrap()).status().unwrap();
    assert!(tar.success() && archive.wait().unwrap().success(), "cannot check out {revision}");
}

fn truth(tree: &Path, prelude: &Path, path: &str) -> Truth {
    let (dir, recipe) = path.rsplit_once('/').unwrap();
    let mut command = Command::new("timeout");
    command.args([
        "60",
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
        "--ro-bind",
        "/usr",
        "/usr",
    ]);
    for dir in ["bin", "sbin", "lib", "lib64"] {
        command.args(["--symlink", &format!("usr/{dir}"), &format!("/{dir}")]);
    }
    command.args([
        "--ro-bind-try",
        "/etc/alternatives",
        "/etc/alternatives",
        "--symlink",
        "/dev/null",
        "/etc/repoman.conf",
    ]);
    command
        .args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind"])
        .arg(tree)
        .args(["/tree", "--ro-bind"]);
    command.arg(prelude).args([
        "/prelude",
        "--setenv",
        "PATH",
        "/usr/bin:/usr/sbin",
        "--setenv",
        "LC_ALL",
        "C",
    ]);
    command.args(["bash", "--noprofile", "--norc", "-c", TRUTH, "truth", "x86_64", "/prelude"]);
    let output = command.arg(format!("/tree/{dir}")).arg(recipe).stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split('\0');
    let mut fields = BTreeMap::new();
    while let Some(name) = words.next().filter(|name| !name.is_empty()) {
        let count: usize = words.next().unwrap().parse().unwrap();
        fields.insert(name.to_owned(), words.by_ref().take(count).map(str::to_owned).collect());
    }
    (!fields.is_empty()).then_some(fields)
}

/// What the reader is to say if bash says `fields`; none where a word must be refused.
fn expected(path: &str, text: &str, fields: &BTreeMap<String, Vec<String>>) -> Option<Value> {
    let all = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let one = |name: &str| all(name).into_iter().next().filter(|value| !value.is_empty());
    let texts = |name: &str| -> Vec<String> {
        all(name).iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
    };
    let (out, stated): (Vec<String>, Vec<String>) =
        all("archs").into_iter().partition(|arch| arch.starts_with(['!', '~']));
    let archs: Vec<String> = stated
        .into_iter()
        .filter(|arch| !out.iter().any(|out| out.trim_start_matches(['!', '~']) == arch))
        .collect();
    let mut subpkgs = vec![one("pkgname")?];
    for name in all("subpkgs") {
        if !subpkgs.contains(&name) {
            subpkgs.push(name);
        }
    }
    let says = |options: &String| options.split_whitespace().any(|option| option == "nobuild");
    let parts = all("subpkgs").len();
    let silent = all("suboptions").iter().take(parts).filter(|options| says(options)).count();
    let maintainer = text.lines().take(50).find_map(|line| line.strip_prefix("# Maintainer:"));
    let allowed = subpkgs.iter().all(|name| name.parse::<syncpkg::names::Name>().is_ok())
        && archs.iter().all(|arch| arch.parse::<syncpkg::names::Arch>().is_ok())
        && !all("archs").is_empty()
        && one("pkgver")?.parse::<syncpkg::names::Version>().is_ok()
        && one("pkgrel")?.parse::<syncpkg::names::Release>().is_ok();
    let mut value = json!({
        "path": path, "name": one("pkgname")?, "version": one("pkgver")?, "release": one("pkgrel")?, "archs": archs,
        "subpkgs": subpkgs, "groups": texts("groups"), "depends": texts("depends"), "makedepends": texts("makedepends"),
        "options": texts("options"), "nobuild": one("nobuild").is_some() || (all("options").iter().any(says) && silent == parts),
        "maintainer": maintainer.map(str::trim).filter(|text| !text.is_empty()),
    });
    for name in ["checkdepends", "provides"] {
        if !texts(name).is_empty() {
            value[name] = json!(texts(name));
        }
    }
    allowed.then_some(value)
}

/// Tells how the two part; empty when they agree.
fn difference(reading: &Reading, truth: &Truth, path: &str, text: &str) -> String {
    let wanted = truth.as_ref().and_then(|fields| expected(path, text, fields));
    match (reading, wanted) {
        (Err(_), None) => String::new(),
        (Err(problem), Some(_)) => format!("bash reads it; we say: {}", problem.error),
        (Ok(_), None) => format!("we read it; bash says {truth:?}"),
        (Ok(recipe), Some(wanted)) => {
            let own = serde_json::to_value(recipe).unwrap();
            let keys: BTreeSet<&String> =
                own.as_object().unwrap().keys().chain(wanted.as_object().unwrap().keys()).collect();
            let parted = keys.into_iter().filter(|key| own.get(key) != wanted.get(key));
            parted.map(|key| format!("{key}: {:?}, bash: {:?}; ", own.get(key), wanted.get(key))).collect()
        }
    }
}

fn truths(tree: &Path, prelude: &Path, paths: &[String]) -> Vec<Truth> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = paths.get(at) else { break };
                    let truth = truth(tree, prelude, path);
                    found.lock().unwrap().insert(at, truth);
                }
            });
        }
    });
    found.into_inner().unwrap().into_values().collect()
}

fn given(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("say where: {name}")).into()
}

#[test]
#[ignore = "takes minutes and a real tree: make agreement"]
fn every_recipe_is_read_as_bash_reads_it() {
    let (repository, prelude) = (given("SYNCPKG_TREE"), given("SYNCPKG_PRELUDE"));
    let revision = std::env::var("SYNCPKG_REVISION").unwrap_or_else(|_| "HEAD".to_owned());
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    check_out(&repository, &revision, &tree);
    let (section, name) = (section(&repository, &prelude), "current".parse().unwrap());
    let revision = Repository::new(&name, &section).resolve(&revision).unwrap();
    let paths = Repository::new(&name, &section).list(&revision).unwrap();
    let start = std::time::Instant::now();
    let readings = read_all(
        &section,
        &name,
        &revision,
        &Desk { scratch: place.path().join("scratch"), kept: None, progress: SILENT },
    )
    .unwrap();
    let took = start.elapsed();
    let truths = truths(&tree, &prelude, &paths);
    let (mut parted, mut refused) = (0, 0);
    for ((path, reading), truth) in paths.iter().zip(&readings).zip(&truths) {
        let text = String::from_utf8_lossy(&std::fs::read(tree.join(path)).unwrap()).into_owned();
        let difference = difference(reading, truth, path, &text);
        if !difference.is_empty() {
            println!("{path}: {difference}");
            parted += 1;
        } else if let Err(problem) = reading {
            println!(
                "{path}: neither reads it: {}; bash: {}",
                problem.error,
                if truth.is_some() { "words that are refused" } else { "it exits" }
            );
            refused += 1;
        }
    }
    println!(
        "{} recipes of {revision}: {parted} differ, {refused} are read by neither; the reader took {took:.1?}",
        paths.len()
    );
    assert_eq!(parted, 0);
}
