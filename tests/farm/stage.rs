//! The stage of the tests: a farm in a temporary directory, with a clock that stands still until it is moved.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use jiff::{SignedDuration, Timestamp};

/// A stand-in for makepkg: sources the recipe, runs `build`, leaves a file for each package.
const MAKEPKG: &str = r#"#!/bin/bash
. ./PKGBUILD
echo "==> Starting build()..."
if declare -F build >/dev/null; then build || exit $?; fi
for name in "${pkgname[@]}"; do
    echo "$name $pkgver-$pkgrel of $(cat PKGBUILD | cksum)" > "$name-$pkgver-$pkgrel-${arch[0]}.pkg.tar.gz"
done
"#;

/// A farm: a spool, a git tree called `current`, a package directory, a configuration.
pub struct Farm {
    place: tempfile::TempDir,
    now: Cell<Timestamp>,
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub out: String,
    pub err: String,
    pub status: i32,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap_or(-1),
        }
    }
}

impl Farm {
    /// An empty spool beside an empty git tree.
    pub fn new() -> Self {
        let farm = Self::without_spool();
        farm.ok("syncpkg-init");
        farm
    }

    /// A configuration and a tree, but no spool yet.
    pub fn without_spool() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let farm = Self { place, now: Cell::new("2026-11-22T12:00:00Z".parse().unwrap()) };
        fs::create_dir(farm.at("bin")).unwrap();
        farm.script("makepkg", MAKEPKG);
        farm.tool("git", &["init", "-q", "-b", "main", "tree"], &farm.at(""));
        farm.configure("");
        farm
    }

    /// Writes the configuration anew, with `more` at its end.
    pub fn configure(&self, more: &str) {
        let root = self.at("").display().to_string();
        let root = root.trim_end_matches('/');
        let text = format!(
            "spool = \"{root}/spool\"\nsite = \"{root}/www\"\nurl = \"https://build.example.org/syncpkg/\"\n\
             [tree.current]\nscm = \"git\"\npath = \"{root}/tree\"\nrecipes = \"*/PKGBUILD\"\n\
             archs = [\"x86_64\"]\npackages = \"{root}/packages/{{name}}-{{version}}-{{release}}-{{arch}}.pkg.tar.gz\"\n\
             [builder]\nwork = \"{root}/work\"\nfree = \"1MiB\"\ncommand = [\"{root}/bin/makepkg\"]\n{more}"
        );
        fs::write(self.at("syncpkg.toml"), text).unwrap();
    }

    /// A path in the farm's directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Puts an executable where the farm finds it.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Moves the clock.
    pub fn later(&self, seconds: i64) -> &Self {
        self.now.set(self.now.get() + SignedDuration::from_secs(seconds));
        self
    }

    /// A command of ours in the farm's environment.
    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(program(words.next().unwrap()));
        command.args(words).current_dir(self.at("")).stdin(Stdio::null());
        command.env("SYNCPKG_CONFIG", self.at("syncpkg.toml")).env("SYNCPKG_NOW", self.now.get().to_string());
        command.env_remove("SYNCPKG_SPOOL").env_remove("DARCS_FILES").env_remove("GIT_DIR");
        command
    }

    /// Runs a command line of ours.
    pub fn run(&self, line: &str) -> Ran {
        self.command(line).output().unwrap().into()
    }

    /// Starts a command line of ours with the real clock.
    pub fn start(&self, line: &str) -> Child {
        self.command(line)
            .env_remove("SYNCPKG_NOW")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Asks a program of ours that was started to end, and waits until it has.
    pub fn end(child: &mut Child) {
        rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM)
            .unwrap();
        child.wait().unwrap();
    }

    /// Runs what must succeed in silence on stderr; returns what it printed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert!(ran.status == 0 && ran.err.is_empty(), "$ {line}\n{ran:#?}");
        ran.out
    }

    /// Runs what must end with `status` and say `err`.
    #[track_caller]
    pub fn no(&self, line: &str, status: i32, err: &str) {
        let ran = self.run(line);
        assert!(
            ran.status == status && ran.err.contains(err),
            "$ {line}\nwanted {status}, {err:?}\n{ran:#?}"
        );
    }

    /// Runs somebody else's program in `directory`; returns what it printed.
    #[track_caller]
    pub fn tool(&self, name: &str, arguments: &[&str], directory: &Path) -> String {
        let mut command = Command::new(name);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        let ran: Ran = in_test(&mut command).output().unwrap().into();
        assert_eq!(ran.status, 0, "$ {name} {arguments:?}\n{ran:#?}");
        ran.out
    }

    /// Commits a recipe to the tree, without telling anybody; returns the revision.
    pub fn commit(&self, name: &str, fields: &str) -> String {
        let directory = self.at("tree").join(name);
        fs::create_dir_all(&directory).unwrap();
        let text = format!(
            "# Maintainer: Ann <ann@example.org>\npkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n{fields}\n"
        );
        fs::write(directory.join("PKGBUILD"), text).unwrap();
        self.tool("git", &["add", "-A"], &self.at("tree"));
        self.tool("git", &["commit", "-q", "--allow-empty", "-m", name], &self.at("tree"));
        self.tool("git", &["rev-parse", "HEAD"], &self.at("tree")).trim().to_owned()
    }

    /// Commits a recipe and asks for its build as a push does; returns the ID.
    #[track_caller]
    pub fn push(&self, name: &str, fields: &str) -> String {
        self.commit(name, fields);
        id_of(&self.ok(&format!("syncpkg-enqueue {name}/PKGBUILD")))
    }

    /// Claims as `builder`; returns the claim.
    #[track_caller]
    pub fn claim(&self, builder: &str) -> Claimed {
        let out = self.ok(&format!("syncpkg-claim --builder {builder} --arch x86_64"));
        let value: toml::Table = out.parse().unwrap();
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        assert!(out.starts_with("claim = "), "{out}");
        Claimed { claim: text("claim"), id: text("id"), name: text("name") }
    }

    /// Ends a claim as built, with the file its package is published as.
    #[track_caller]
    pub fn built(&self, claimed: &Claimed, content: &str) -> PathBuf {
        let file = self.at(&format!("{}-1-1-x86_64.pkg.tar.gz", claimed.name));
        fs::write(&file, content).unwrap();
        self.ok(&format!("syncpkg-report {} --outcome built --file {}", claimed.claim, file.display()));
        file
    }

    /// The lines of `syncpkg-ls ARGUMENTS` as `NAME STATE`.
    pub fn states(&self, arguments: &str) -> Vec<String> {
        let out = self.ok(&format!("syncpkg-ls --json {arguments}"));
        let lines = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .map(|row| format!("{} {}", row["name"].as_str().unwrap(), row["state"].as_str().unwrap()))
            .collect()
    }

    /// The state of one ticket.
    pub fn state(&self, id: &str) -> String {
        let out = self.ok("syncpkg-ls --json all");
        let rows = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let row = rows.into_iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no ticket {id}"));
        row["state"].as_str().unwrap().to_owned()
    }

    /// Every path below `spool/PLACE`, relative, sorted.
    pub fn files(&self, place: &str) -> Vec<String> {
        let root = self.at("spool").join(place);
        let walk = walkdir::WalkDir::new(&root).sort_by_file_name();
        let files = walk.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
        files.map(|entry| entry.path().strip_prefix(&root).unwrap().display().to_string()).collect()
    }

    /// Goes rounds until every claim that is silent now has lost its lease.
    pub fn lose_leases(&self) {
        self.ok("syncpkgd --once");
        self.later(601).ok("syncpkgd --once");
    }

    /// Nothing is wrong with the spool.
    #[track_caller]
    pub fn is_sound(&self) {
        assert_eq!(self.ok("syncpkg-check"), "");
    }
}

/// A claimed ticket.
pub struct Claimed {
    pub claim: String,
    pub id: String,
    pub name: String,
}

/// The path of a program of ours.
pub fn program(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_syncpkg-ls")).parent().unwrap();
    beside.join(name)
}

/// The ID in the first line of what `syncpkg-enqueue` printed.
pub fn id_of(out: &str) -> String {
    out.split(' ').next().unwrap().to_owned()
}

/// Takes the user's own settings away from a tool.
pub fn in_test(command: &mut Command) -> &mut Command {
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Test")
        .env("GIT_AUTHOR_EMAIL", "test@example.org")
        .env("GIT_COMMITTER_NAME", "Test")
        .env("GIT_COMMITTER_EMAIL", "test@example.org")
        .env("DARCS_EMAIL", "Test <test@example.org>")
        .env_remove("GIT_DIR")
}

/// Waits until `done` says so, at the most `seconds`; fails with `what` otherwise.
#[track_caller]
pub fn until(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !done() {
        assert!(std::time::Instant::now() < end, "{what} did not happen within {seconds} s");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
