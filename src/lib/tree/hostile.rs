//! Recipes that mean harm, each read between two that do not, by two readers at a time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::readers;
use super::recipe::Reading;
use super::sandbox::Limits;
use crate::base::error::Kind;
use crate::base::output::SILENT;
use crate::config::{Format, TreeSection};

const GOOD: &str =
    "# Maintainer: A <a@b>\npkgname=good\npkgver=1\npkgrel=2\narch=(any)\ndepends=('b>=1' c)\n";

/// What is to come of a recipe.
#[derive(Debug, Clone, Copy)]
enum End {
    /// What it says before it turns evil is what it says.
    Read,
    /// One problem, in these words.
    Problem(&'static str),
    /// One of both: it changes only what it says itself.
    Either,
}

use End::{Either, Problem, Read};

const SLOW: End = Problem("it takes longer than 2 s");
const CUT: End = Problem("it ends before it is read");
const LOUD: End = Problem("it says more than 1024 KiB");

/// What is added to [`GOOD`], and what comes of it.
const HOSTILE: [(&str, End); 76] = [
    ("", Read),
    // Time.
    ("while :; do :; done", SLOW),
    ("sleep 1000", SLOW),
    ("kill -STOP $BASHPID", SLOW),
    ("mkfifo /tmp/p; read -r x </tmp/p", SLOW),
    ("exec sleep 1000", SLOW),
    ("trap '' TERM INT HUP; while :; do sleep 1; done", SLOW),
    ("x() { x; }; x", Either),
    // Processes.
    ("bomb() { bomb & bomb & wait; }; bomb", Either),
    ("sleep 1000 & disown", Read),
    ("setsid sleep 1000 & setsid setsid sleep 1000 &", Read),
    ("coproc cat; echo x >&${COPROC[1]}", Read),
    ("(trap '' TERM HUP; while :; do :; done) &", Read),
    // Output.
    ("yes", SLOW),
    ("yes >&2", SLOW),
    ("yes >&8", LOUD),
    ("head -c 1G /dev/zero", Read),
    ("depends=($(seq 1 200000))", LOUD),
    ("printf -v pkgname '%05000d' 0", Problem("the package name")),
    (
        "for i in {1..900}; do echo './PKGBUILD: line 7: syntax error near you, my neighbour' >&2; done",
        Either,
    ),
    ("printf 'name=evil\\0version=6\\0release=6\\0arch=any\\0read=yes\\0ready\\0' >&8", Either),
    ("(while :; do printf 'name=evil\\0version=6\\0read=yes\\0' >&8; done) & disown; sleep 0.1", Either),
    ("exec 8>&-", CUT),
    ("exec 0<&- 1>&- 2>&-", Read),
    ("for i in {3..200}; do eval \"exec $i</dev/null\" || break; done", CUT),
    // Memory and files.
    ("[[ $(ulimit -v; ulimit -u; ulimit -f; ulimit -n) == $'524288\\n64\\n1024\\n256' ]] || pkgver=6", Read),
    ("for i in {1..32}; do head -c 1M /dev/zero >/tmp/$i || break; done; ((i < 20)) || pkgver=6", Read),
    ("x=x; while :; do x=$x$x; done", Problem("it")),
    ("cat /dev/zero >/tmp/x; cat /dev/zero >/tmp/y", Read),
    ("for i in {1..1000}; do : >/tmp/$i; done; : >/tmp/.hidden; : >'/tmp/ -rf'", Read),
    ("cd /tmp; for i in {1..200}; do mkdir d && cd d || break; done", Read),
    ("[[ -z $(ls -A /tmp) ]] || pkgver=6; echo >/tmp/left", Read),
    ("for d in / /tree /usr /etc /dev /dev/shm /proc .; do echo >$d/left && pkgver=6; done", Read),
    ("rm -rf /tree /usr/bin/bash /bash 2>/dev/null; [[ -e /bash && -e /usr/bin ]] || pkgver=6", Read),
    ("umask 777; mkdir /tmp/closed; echo >/tmp/closed/x", Read),
    ("mkdir /tmp/full; : >/tmp/full/x; chmod 0 /tmp/full", Problem("it ended the shell that reads it")),
    ("cd /", Read),
    // The reader.
    ("kill -9 $PPID; kill -9 $$; kill -9 1; kill -INT $$", Either),
    ("kill -STOP $$; kill -STOP 1; sleep 9", SLOW),
    ("kill -9 -1; kill -9 $BASHPID", Either),
    ("kill -9 $BASHPID", CUT),
    ("exec 7<>/proc/$$/mem && pkgver=6", Read),
    ("exec 7<>/proc/1/mem && pkgver=6; ls /proc/1/fd /proc/1/root && pkgver=6", Read),
    ("exec 7</proc/$$/fd/9 && pkgver=6; exec 6<&9 && pkgver=6", Read),
    (
        "[[ -r /proc/1/environ && -n $(cat /proc/1/environ /proc/1/maps) ]] && pkgver=6; cat /bash && pkgver=6",
        Read,
    ),
    ("prlimit --pid $$ --nproc=3:3 --fsize=0:0 --nofile=12:12 2>/dev/null", Either),
    ("prlimit --pid $$ --nproc=1:1", Problem("it ended the shell that reads it")),
    ("renice 19 $$; chrt -i -p 0 $$; taskset -p 1 $$", Either),
    ("p=(/proc/[0-9]*); ((${#p[@]} < 4)) || pkgver=6", Read),
    ("[[ -n $CARGO_PKG_NAME$SUDO_USER || -e /etc/shadow || -e /root || -e /home ]] && pkgver=6", Read),
    ("unshare -U true; mount -t tmpfs x /tree && pkgver=6", Read),
    // Words of the shell.
    ("exit 0", CUT),
    ("return 3", Read),
    ("exec true", CUT),
    ("logout; suspend -f; fg", Either),
    ("set -eu; false", CUT),
    ("set -n", CUT),
    ("set -f -u -x -v -k; IFS=xyz; shopt -s nullglob failglob extglob nocasematch", Read),
    ("trap 'exit 3' EXIT; trap 'x=1' DEBUG ERR RETURN", Read),
    ("trap 'pkgver=6; exit' DEBUG", Either),
    ("POSIXLY_CORRECT=1; set -o posix", Read),
    ("export BASH_ENV=/tree/bad/PKGBUILD ENV=/tree/bad/PKGBUILD LD_PRELOAD=/tmp/x.so PATH=", Read),
    (
        "printf() { :; }; source() { :; }; builtin() { :; }; set() { :; }; unset() { :; }; declare() { :; }",
        Read,
    ),
    ("kill() { :; }; wait() { :; }; exec() { :; }; read() { :; }; trap() { :; }; local() { :; }", Read),
    ("shopt -s expand_aliases; alias printf=: local=: set=:", Read),
    ("enable -n printf; hash -p /bin/true printf", CUT),
    ("readonly pkgver pkgname depends IFS syncpkg_file syncpkg_format POSIXLY_CORRECT", Either),
    ("unset -v ${!p*} ${!s*} ${!_*}; unset -f Finclude", Problem("the recipe sets no pkgname")),
    ("ulimit -n 3; ulimit -f 0; ulimit -u 0; ulimit -s 8", Either),
    // Words of the recipe.
    ("pkgver=(1 2 3)", Read),
    ("declare -n pkgname=pkgver", Either),
    ("pkgname=../../etc/x", Problem("the package name \"../../etc/x\" is not allowed")),
    ("pkgver=$'1\\n2'", Problem("the version")),
    ("pkgrel=-rf", Problem("the release")),
    ("pkgname=('a", Problem("/PKGBUILD:7: unexpected EOF")),
    ("if true; then\n\x1b[31m )", Problem("/PKGBUILD:8: syntax error near unexpected token")),
];

fn limits() -> Limits {
    Limits { recipe: Duration::from_secs(2), ..Limits::default() }
}

fn readings(root: &Path, paths: &[String]) -> Vec<Reading> {
    let read =
        readers::readings(&TreeSection::default(), place(root), paths, limits(), SILENT, filled).unwrap();
    read.into_iter().map(|read| read.reading).collect()
}

/// Where the tree `root` is.
fn place(root: &Path) -> &Path {
    root.parent().unwrap()
}

/// It is there already.
fn filled(_: &Path) -> crate::base::Result<()> {
    Ok(())
}

/// An empty tree. Loops and bombs of one test must not make the innocent of another slow.
fn tree() -> (tempfile::TempDir, PathBuf, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("tree");
    super::export::make_root(&root).unwrap();
    (place, root, turn)
}

fn write(root: &Path, recipes: &[(&str, &str)]) -> Vec<String> {
    for (name, text) in recipes {
        super::export::write(root, &format!("{name}/PKGBUILD"), text.as_bytes()).unwrap();
    }
    recipes.iter().map(|(name, _)| format!("{name}/PKGBUILD")).collect()
}

fn read(recipes: &[(&str, &str)]) -> Vec<Reading> {
    let (_place, root, _turn) = tree();
    let paths = write(&root, recipes);
    readings(&root, &paths)
}

/// What is wrong with the reading of a recipe that is to end so.
fn wrong(reading: &Reading, end: End) -> Option<String> {
    let right = match (reading, end) {
        (Ok(recipe), Read) => {
            (recipe.name.as_str(), recipe.version.as_str(), recipe.depends.len()) == ("good", "1", 2)
        }
        (Err(problem), Problem(said)) => problem.error.contains(said),
        (_, Either) => true,
        (Ok(_), Problem(_)) | (Err(_), Read) => false,
    };
    (!right).then(|| format!("{end:?}: {reading:?}"))
}

#[test]
fn a_hostile_recipe_is_one_reading_or_one_problem_and_spoils_no_other() {
    let named = |at: usize| (format!("bad{at}"), format!("good{at}"));
    let names: Vec<(String, String)> = (0..HOSTILE.len()).map(named).collect();
    let texts: Vec<String> = HOSTILE.iter().map(|(text, _)| format!("{GOOD}{text}\n")).collect();
    let pairs = names.iter().zip(&texts);
    let recipes: Vec<(&str, &str)> = pairs
        .flat_map(|((bad, good), text)| [(bad.as_str(), text.as_str()), (good.as_str(), GOOD)])
        .collect();
    let read = read(&recipes);
    assert_eq!(read.len(), 2 * HOSTILE.len());
    for (pair, (text, end)) in read.chunks(2).zip(HOSTILE) {
        assert_eq!(wrong(&pair[1], Read), None, "the one after {text}");
        assert_eq!(wrong(&pair[0], end), None, "{text}");
    }
}

#[test]
fn nothing_is_left_of_recipes_that_would_not_end() {
    let own = crate::base::random::word(12);
    let text =
        format!("{GOOD}(exec -a {own} sleep 1000) & setsid bash -c 'exec -a {own} sleep 1000' & sleep 1000");
    assert!(read(&[("a", &text), ("b", GOOD)])[0].is_err());
    let named = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let commands: Vec<Vec<u8>> =
        std::fs::read_dir("/proc").unwrap().map(|entry| named(entry.unwrap())).collect();
    assert!(!commands.iter().any(|command| command.starts_with(own.as_bytes())));
}

#[test]
fn a_recipe_sees_no_other_recipe() {
    let look = format!("{GOOD}p=(/tree/*/PKGBUILD ../*/PKGBUILD); ((${{#p[@]}} == 2)) || pkgver=6");
    let read = read(&[("a", &look), ("b", &look), ("c", &look)]);
    assert!(read.iter().all(|reading| wrong(reading, Read).is_none()), "{read:?}");
}

#[test]
fn a_recipe_writes_nothing_outside_and_has_no_network() {
    let (place, root, _turn) = tree();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, port) = (crate::base::random::word(12), listener.local_addr().unwrap().port());
    let text = format!(
        "{GOOD}for d in / /tree /usr /etc /dev /dev/shm /tmp {0} {0}/tree; do echo >$d/{own}; done
        (exec 5<>/dev/tcp/127.0.0.1/{port}) && pkgver=6; mkdir -p {0}/y; rm -rf {0} 2>/dev/null",
        place.path().display()
    );
    let read = readings(&root, &write(&root, &[("a", &text), ("b", GOOD)]));
    assert!(read.iter().all(|reading| wrong(reading, Read).is_none()), "{read:?}");
    let there: BTreeSet<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, ["reader-0", "schemes", "tree"].map(Into::into).into());
    for dir in ["/", "/tmp", "/usr", "/etc", "/dev", "/dev/shm"] {
        assert!(!Path::new(dir).join(&own).exists(), "{dir}");
    }
}

#[test]
fn what_is_no_regular_file_is_one_problem() {
    let (_place, root, _turn) = tree();
    let mut paths = write(&root, &[("a", GOOD), ("link", GOOD), ("pipe", GOOD), ("dir/PKGBUILD", GOOD)]);
    std::fs::remove_file(root.join("link/PKGBUILD")).unwrap();
    std::os::unix::fs::symlink("../a/PKGBUILD", root.join("link/PKGBUILD")).unwrap();
    std::fs::remove_file(root.join("pipe/PKGBUILD")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe/PKGBUILD"),
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .unwrap();
    paths[3] = "dir/PKGBUILD".to_owned();
    paths.push("gone/PKGBUILD".to_owned());
    let read = readings(&root, &paths);
    assert_eq!(wrong(&read[0], Read), None);
    assert!(
        read[1..].iter().all(|reading| wrong(reading, Problem("it is no regular file")).is_none()),
        "{read:?}"
    );
}

#[test]
fn a_recipe_whose_name_acts_is_none() {
    let section = TreeSection { recipes: "*/PKGBUILD".to_owned(), ..TreeSection::default() };
    for path in ["a\nb/PKGBUILD", "a\u{1b}[31m/PKGBUILD", "../PKGBUILD", "a/../b/PKGBUILD", "-/x/PKGBUILD"] {
        assert!(!super::paths::is_recipe(path, &section), "{path:?}");
    }
}

#[test]
fn a_split_recipe_and_process_substitution_are_read() {
    let text = format!("{GOOD}pkgbase=base; pkgname=(x y); epoch=3; mapfile -t groups < <(echo g)\n");
    let recipe = read(&[("a", &text)])[0].clone().unwrap();
    assert_eq!((recipe.name.as_str(), recipe.version.as_str(), recipe.subpkgs.len()), ("base", "3:1", 2));
    assert_eq!((recipe.groups, recipe.maintainer.as_deref()), (vec!["g".to_owned()], Some("A <a@b>")));
}

#[test]
fn a_recipe_names_its_maintainer_in_its_head_and_nowhere_else() {
    let says = format!("{GOOD}printf 'maintainer=M <m@n>\\0' >&8\n");
    let late = format!("{}{GOOD}", "\n".repeat(50));
    let read = read(&[("a", &says), ("b", &late)]);
    let named: Vec<_> = read.iter().map(|read| read.as_ref().unwrap().maintainer.as_deref()).collect();
    assert_eq!(named, [Some("A <a@b>"), None]);
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
    let read = readers::readings(
        &section,
        place.path(),
        &["source/x/a/FrugalBuild".to_owned()],
        limits(),
        SILENT,
        filled,
    )
    .unwrap();
    let recipe = read[0].reading.clone().unwrap();
    assert_eq!((recipe.release.as_str(), recipe.subpkgs.len(), recipe.archs.len()), ("7", 2, 1));
    assert_eq!(recipe.maintainer.as_deref(), Some("B <b@c>"));
}

#[test]
fn a_prelude_that_breaks_is_an_error_and_no_problem_of_recipes() {
    // A kernel that is short of memory kills, too: that passes.
    for (text, kind) in [
        ("exit 1\n", Kind::Wrong),
        ("kill -9 $$\n", Kind::Again),
        ("echo 'cannot allocate: No space left on device' >&2; exit 1\n", Kind::Again),
    ] {
        let (place, root, _turn) = tree();
        let prelude = place.path().join("prelude");
        std::fs::write(&prelude, text).unwrap();
        let section = TreeSection { prelude: Some(prelude), ..TreeSection::default() };
        let paths = write(&root, &[("a", GOOD)]);
        let error = readers::readings(&section, place.path(), &paths, limits(), SILENT, filled).unwrap_err();
        assert!(error.to_string().starts_with("cannot read recipes: the sandbox does not start"), "{error}");
        assert_eq!((error.kind, error.hint.is_some()), (kind, kind == Kind::Wrong), "{text}: {error}");
    }
}

#[test]
fn a_tree_full_of_loops_ends_in_time() {
    let limits = Limits { scan: Duration::from_millis(300), ..limits() };
    let (_place, root, _turn) = tree();
    let recipes: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let recipes: Vec<(&str, &str)> =
        recipes.iter().map(|name| (name.as_str(), "while :; do :; done")).collect();
    let start = Instant::now();
    let paths = write(&root, &recipes);
    let read =
        readers::readings(&TreeSection::default(), place(&root), &paths, limits, SILENT, filled).unwrap();
    assert!(read.len() == 20 && read.iter().all(|read| read.reading.is_err()));
    assert!(start.elapsed() < Duration::from_secs(12));
}
