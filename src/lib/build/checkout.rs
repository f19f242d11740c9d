//! Getting exactly the revision that is to be built. Whatever goes wrong here is the farm's trouble.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use walkdir::WalkDir;

use crate::base::lock;
use crate::base::output::inert;
use crate::base::{Error, Result, child};
use crate::config::Scm;
use crate::names::Revision;

/// The longest a fetch over a network may take, in seconds.
const FETCH: &str = "3600";

/// Set in hooks; they would point git elsewhere (`git rev-parse --local-env-vars`).
const UNSET: [&str; 12] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Makes `into` a clean checkout of `revision` of the tree at `url`; what was there before is removed. `cache`
/// keeps what was fetched before; it may be deleted at any time. The checkout has its `.git` or `_darcs`, by which
/// Frugalware's recipes find their schemes. A tree without version control is copied as it is now.
///
/// # Errors
/// The repository cannot be reached, or does not have the revision: worth another try, perhaps elsewhere.
pub fn checkout(scm: Scm, url: &str, revision: &Revision, cache: &Path, into: &Path) -> Result<()> {
    let what = format!("check out {revision} of {}", inert(url));
    refuse_odd(url, scm).map_err(|error| error.within(format!("cannot {what}")))?;
    clear(into)?;
    match scm {
        Scm::Git => git_checkout(url, revision, cache, into, &what),
        Scm::Darcs => darcs_checkout(url, revision, cache, into, &what),
        Scm::None => copy(Path::new(url), into, &what),
    }
}

/// `-x` would be an option, `ext::x` and its like would run a command.
fn refuse_odd(url: &str, scm: Scm) -> Result<()> {
    let helper = scm == Scm::Git && url.split('/').next().is_some_and(|start| start.contains("::"));
    if url.is_empty() || url.starts_with('-') || helper || url.chars().any(char::is_control) {
        return Err(Error::wrong("that is no address of a repository"));
    }
    Ok(())
}

fn clear(dir: &Path) -> Result<()> {
    open_up(dir);
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir, source)),
        Ok(()) | Err(_) => match dir.parent() {
            Some(above) => {
                fs::create_dir_all(above).map_err(|source| Error::io("make directory", above, source))
            }
            None => Ok(()),
        },
    }
}

/// makepkg takes read permission from its `pkg` directory, and builds may take any from theirs; what cannot be
/// opened all the same shows when it is removed. Links are not followed.
fn open_up(dir: &Path) {
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        if fs::symlink_metadata(&dir)
            .is_ok_and(|meta| meta.is_dir() && meta.permissions().mode() & 0o700 != 0o700)
        {
            let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o700));
        }
        let below = fs::read_dir(&dir).into_iter().flatten().flatten();
        left.extend(
            below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
}

fn program(name: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", FETCH, name]).stdin(Stdio::null());
    for name in UNSET {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8");
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", "file:git:ssh:https:http");
    command
}

fn git(dir: &Path) -> Command {
    let mut command = program("git");
    command
        .args(["-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-C"])
        .arg(dir);
    command
}

fn run(command: Command, what: &str) -> Result<String> {
    let output = child::output(command).map_err(|source| Error::io("run", "timeout", source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let fatal = lines.clone().find(|line| line.starts_with("fatal:")).or_else(|| lines.next_back());
    let short: String =
        fatal.unwrap_or("no word why").trim_start_matches("fatal: ").chars().take(300).collect();
    Err(match output.status.code() {
        Some(124 | 137) => Error::again(format!("cannot {what}: it takes too long")),
        Some(_) | None => Error::again(format!("cannot {what}: {}", inert(&short))),
    })
}

fn git_checkout(url: &str, revision: &Revision, cache: &Path, into: &Path, what: &str) -> Result<()> {
    if !git_has(cache, revision) {
        git_update(url, cache, what)?;
        if !git_has(cache, revision) {
            return Err(missing(what));
        }
    }
    git_borrow(cache, into, what)?;
    let mut command = git(into);
    command.args(["checkout", "--quiet", "--force", "--detach", revision.as_str(), "--"]);
    run(command, what)?;
    let mut command = git(into);
    command.args(["rev-parse", "HEAD"]);
    verify(run(command, what)?.trim(), revision, what)
}

/// Makes the empty repository `into` whose objects stay in the cache; without templates, so without hooks.
fn git_borrow(cache: &Path, into: &Path, what: &str) -> Result<()> {
    let mut clone = program("git");
    clone.args(["-c", "safe.directory=*", "init", "--quiet", "--template="]).arg(into);
    run(clone, what)?;
    let objects = fs::canonicalize(cache).map_err(|source| Error::io("find", cache, source))?.join("objects");
    let alternates = into.join(".git/objects/info");
    fs::create_dir_all(&alternates).map_err(|source| Error::io("make directory", &alternates, source))?;
    let alternates = alternates.join("alternates");
    fs::write(&alternates, format!("{}\n", objects.display()))
        .map_err(|source| Error::io("write", &alternates, source))
}

fn git_has(cache: &Path, revision: &Revision) -> bool {
    let mut command = git(cache);
    command.env("GIT_CEILING_DIRECTORIES", cache.parent().unwrap_or(cache));
    command.args(["cat-file", "-e"]).arg(format!("{revision}^{{commit}}"));
    cache.is_dir() && run(command, "look").is_ok()
}

/// Brings the cache up to date; one build of this host at a time.
fn git_update(url: &str, cache: &Path, what: &str) -> Result<()> {
    let above = cache.parent().unwrap_or(cache);
    fs::create_dir_all(above).map_err(|source| Error::io("make directory", above, source))?;
    let _lock = lock::exclusive(&beside(cache, ".lock"), Duration::from_secs(3600))?;
    let Err(first) = git_fetch(url, cache, what) else { return Ok(()) };
    // The cache may be what is broken. It is given up only for a whole one: mostly it is the network.
    let fresh = beside(cache, ".fresh");
    clear(&fresh)?;
    if git_fetch(url, &fresh, what).is_err() {
        clear(&fresh)?;
        return Err(first);
    }
    clear(cache)?;
    fs::rename(&fresh, cache).map_err(|source| Error::io("rename", &fresh, source))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn git_fetch(url: &str, cache: &Path, what: &str) -> Result<()> {
    if !cache.join("objects").is_dir() {
        clear(cache)?;
        let mut command = program("git");
        command.args(["init", "--quiet", "--bare", "--template="]).arg(cache);
        run(command, what)?;
    }
    let mut command = git(cache);
    command.args(["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-auto-maintenance"]);
    if Path::new(url).is_dir() {
        // The program on the other side of a pipe on this host does not see what -c says here.
        command.arg("--upload-pack=git -c safe.directory=* upload-pack");
    }
    command.args(["--", url]);
    command.args(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
    run(command, what).map(drop)
}

/// Clones from `url` itself, not from a kept clone: a clone pulled up can have its patches in another order, and
/// "up to this patch" would mean something else. The cache keeps patches and files by their hashes.
fn darcs_checkout(url: &str, revision: &Revision, cache: &Path, into: &Path, what: &str) -> Result<()> {
    fs::create_dir_all(cache).map_err(|source| Error::io("make directory", cache, source))?;
    let mut command = program("darcs");
    command.env("XDG_CACHE_HOME", cache).args(["clone", "--quiet", "--lazy", "--no-set-default"]);
    command.args(["--no-patch-index", "--no-prehook", "--no-posthook", "--set-scripts-executable"]);
    command.args(["--to-match", &format!("hash {revision}"), url]).arg(into);
    run(command, what).map_err(|error| match into.exists() {
        true => error,
        false => error.hint("does the repository have that patch?"),
    })?;
    let mut command = program("darcs");
    command.env("XDG_CACHE_HOME", cache).args([
        "log",
        "--xml-output",
        "--last=1",
        "--no-patch-index",
        "--repodir",
    ]);
    command.arg(into);
    let xml = run(command, what)?;
    let last = xml.lines().find(|line| line.trim_start().starts_with("<patch "));
    let hash =
        last.and_then(|line| line.rsplit_once(" hash='")).and_then(|(_, hash)| hash.split('\'').next());
    verify(hash.unwrap_or_default(), revision, what)
}

fn verify(found: &str, revision: &Revision, what: &str) -> Result<()> {
    if found.starts_with(revision.as_str()) { Ok(()) } else { Err(missing(what)) }
}

fn missing(what: &str) -> Error {
    Error::again(format!("cannot {what}: the repository does not have that revision"))
}

/// Copies directories and regular files; links are left out, they might lead anywhere.
fn copy(from: &Path, into: &Path, what: &str) -> Result<()> {
    if !from.is_dir() {
        return Err(Error::again(format!("cannot {what}: no such directory")));
    }
    for entry in WalkDir::new(from).follow_links(false) {
        let entry = entry.map_err(|source| Error::again(format!("cannot {what}: {source}")))?;
        let target = into.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir(&target).map_err(|source| Error::io("make directory", &target, source))?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), &target).map_err(|source| Error::io("copy", entry.path(), source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        scm: Scm,
    }

    impl Place {
        fn new(scm: Scm) -> Self {
            let place = Self { dir: tempfile::tempdir().unwrap(), scm };
            fs::create_dir_all(place.at("up/a")).unwrap();
            match scm {
                Scm::Git => drop(place.sh("git init -q -b main")),
                Scm::Darcs => drop(place.sh("darcs init -q")),
                Scm::None => {}
            }
            place
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn sh(&self, line: &str) -> String {
            let mut command = Command::new("sh");
            command.args(["-ec", line]).current_dir(self.at("up")).env("HOME", self.dir.path());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }

        fn commit(&self, version: &str) -> Revision {
            fs::write(self.at("up/a/PKGBUILD"), version).unwrap();
            let hash = match self.scm {
                Scm::Git => self
                    .sh("git add -A; git -c user.name=a -c user.email=a@b commit -qm x; git rev-parse HEAD"),
                Scm::Darcs => self.sh("darcs record -qla -A a -m x --ignore-times
                    darcs log --last=1 --xml-output | sed -n \"s/.* hash='\\([0-9a-f]*\\)'.*/\\1/p\""),
                Scm::None => "0".repeat(64),
            };
            hash.parse().unwrap()
        }

        fn checkout(&self, revision: &Revision) -> Result<String> {
            let url = self.at("up");
            checkout(self.scm, url.to_str().unwrap(), revision, &self.at("cache/x.y"), &self.at("work"))?;
            Ok(fs::read_to_string(self.at("work/a/PKGBUILD")).unwrap())
        }
    }

    #[test]
    fn what_is_built_is_the_revision_that_was_asked_for() {
        for scm in [Scm::Git, Scm::Darcs] {
            let place = Place::new(scm);
            let (one, two) = (place.commit("1"), place.commit("2!"));
            assert_eq!(place.checkout(&one).unwrap(), "1");
            fs::write(place.at("work/a/left"), "").unwrap();
            assert_eq!(place.checkout(&two).unwrap(), "2!");
            assert!(!place.at("work/a/left").exists(), "each checkout is clean");
            let three = place.commit("three");
            assert_eq!(place.checkout(&three).unwrap(), "three");
        }
    }

    #[test]
    fn a_revision_that_is_not_there_is_trouble() {
        for scm in [Scm::Git, Scm::Darcs] {
            let place = Place::new(scm);
            place.commit("1");
            let error = place.checkout(&"0".repeat(40).parse().unwrap()).unwrap_err();
            assert!(error.to_string().starts_with("cannot check out 0000"), "{error}");
            assert_eq!(error.kind.status(), 75, "{error}");
        }
    }

    #[test]
    fn a_broken_cache_is_replaced_and_an_unreachable_master_leaves_it_alone() {
        let place = Place::new(Scm::Git);
        let one = place.commit("1");
        place.checkout(&one).unwrap();
        let two = place.commit("2!");
        fs::rename(place.at("up"), place.at("away")).unwrap();
        assert_eq!(place.checkout(&two).unwrap_err().kind.status(), 75);
        assert_eq!(place.checkout(&one).unwrap(), "1", "what was fetched before is still there");
        fs::rename(place.at("away"), place.at("up")).unwrap();
        fs::write(place.at("cache/x.y/HEAD"), "nonsense").unwrap();
        assert_eq!(place.checkout(&two).unwrap(), "2!");
    }

    #[test]
    fn a_repository_of_somebody_else_can_be_checked_out() {
        let place = Place::new(Scm::Git);
        let one = place.commit("1");
        if std::os::unix::fs::chown(place.at("up/.git"), Some(1234), Some(1234)).is_ok() {
            std::os::unix::fs::chown(place.at("up"), Some(1234), Some(1234)).unwrap();
        }
        assert_eq!(place.checkout(&one).unwrap(), "1");
    }

    #[test]
    fn hooks_of_a_checkout_do_not_run() {
        let place = Place::new(Scm::Darcs);
        let one = place.commit("1");
        fs::create_dir_all(place.at("up/_darcs/prefs")).unwrap();
        fs::write(place.at("up/_darcs/prefs/defaults"), "ALL posthook touch ran\nALL run-posthook\n")
            .unwrap();
        place.checkout(&one).unwrap();
        assert!(!place.at("ran").exists() && !place.at("up/ran").exists() && !place.at("work/ran").exists());
    }

    #[test]
    fn an_odd_address_is_refused() {
        let place = Place::new(Scm::Git);
        let (mark, one) = (place.at("ran"), place.commit("1"));
        for url in [format!("ext::touch% {}", mark.display()), "--upload-pack=x".to_owned(), String::new()] {
            let error = checkout(Scm::Git, &url, &one, &place.at("cache"), &place.at("work")).unwrap_err();
            assert!(error.to_string().ends_with("that is no address of a repository"), "{error}");
        }
        assert!(!mark.exists());
    }

    #[test]
    fn a_plain_tree_is_copied_without_its_links() {
        let place = Place::new(Scm::None);
        let any = place.commit("1");
        std::os::unix::fs::symlink("/etc", place.at("up/a/etc")).unwrap();
        assert_eq!(place.checkout(&any).unwrap(), "1");
        assert!(!place.at("work/a/etc").exists());
    }

    #[test]
    fn what_a_build_closed_is_cleared_all_the_same() {
        let place = tempfile::tempdir().unwrap();
        let closed = place.path().join("build/pkg/hello");
        fs::create_dir_all(&closed).unwrap();
        for (dir, mode) in [("build/pkg/hello", 0o000), ("build/pkg", 0o111)] {
            fs::set_permissions(place.path().join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        clear(&place.path().join("build")).unwrap();
        assert!(!place.path().join("build").exists());
    }
}
