//! A farm whose spool and packages lie on a file system of their own, and what was done in it.
//!
//! The tree and the configuration lie elsewhere: a power cut of the master's disk is not theirs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};

use crate::found::Found;

/// A configuration, a git tree, and a clock.
pub struct Life {
    place: tempfile::TempDir,
    /// What time it is.
    pub now: Timestamp,
    /// Programs are run by this: a tracer, or nothing.
    pub tracer: Vec<String>,
    /// What was done, in order.
    pub steps: Vec<Step>,
}

/// One program that has answered.
pub struct Step {
    /// Its command line.
    pub line: String,
    /// When.
    pub now: Timestamp,
    /// What is found from its answer on.
    pub after: Found,
}

/// A claim as `syncpkg-claim` printed it.
pub struct Claimed {
    /// The word for beat and report.
    pub claim: String,
    /// The package.
    pub name: String,
}

impl Claimed {
    /// Reads what `syncpkg-claim --json` printed.
    pub fn read(out: &str) -> Vec<Self> {
        let rows = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.map(|row| Self { claim: text(&row, "claim"), name: text(&row, "name") }).collect()
    }
}

/// How a program ended.
pub struct Ran {
    /// What it printed.
    pub out: String,
    /// What it said.
    pub err: String,
    /// Its exit status.
    pub status: i32,
}

impl Life {
    /// Begins a life; spool and packages will be in `disk`, which is a directory of the place.
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(place.path().join("disk")).unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let life = Self { place, now, tracer: Vec::new(), steps: Vec::new() };
        life.git(&["init", "-q", "-b", "main", "tree"], "");
        let root = life.at("").display().to_string();
        let text = format!(
            "spool = \"{root}disk/spool\"\nsite = \"{root}www\"\nurl = \"https://build.example.org/\"\n\
             [tree.current]\nscm = \"git\"\npath = \"{root}tree\"\nrecipes = \"*/PKGBUILD\"\narchs = [\"x86_64\"]\n\
             packages = \"{root}disk/packages/{{name}}-{{version}}-{{release}}-{{arch}}.pkg.tar.gz\"\n"
        );
        fs::write(life.at("syncpkg.toml"), text).unwrap();
        life
    }

    /// Runs programs under `tracer` from now on.
    pub fn under(&mut self, tracer: &str) {
        self.tracer = tracer.split_whitespace().map(str::to_owned).collect();
    }

    /// A path in its place.
    pub fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Where the file system is mounted that everything happens on.
    pub fn disk(&self) -> PathBuf {
        self.at("disk")
    }

    /// Moves the clock.
    pub fn later(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    /// Commits recipes that say `fields` besides what each must.
    pub fn commit(&self, names: &[String], fields: &str) {
        for name in names {
            let directory = self.at("tree").join(name);
            fs::create_dir_all(&directory).unwrap();
            let text = format!(
                "# Maintainer: Ann <ann@example.org>\npkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n{fields}\n"
            );
            fs::write(directory.join("PKGBUILD"), text).unwrap();
        }
        self.git(&["add", "-A"], "tree");
        self.git(&["commit", "-q", "-m", "recipes"], "tree");
    }

    fn git(&self, arguments: &[&str], directory: &str) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Test", "-c", "user.email=test@example.org"]).args(arguments);
        git.current_dir(self.at(directory)).env("GIT_CONFIG_GLOBAL", "/dev/null").env_remove("GIT_DIR");
        assert!(git.status().unwrap().success(), "git {arguments:?}");
    }

    /// Other users may not see what was compiled: for them there are copies.
    fn program(&self, name: &str) -> PathBuf {
        let copy = self.at("bin").join(name);
        if copy.exists() { copy } else { program(name) }
    }

    /// Copies these programs to where everybody finds them.
    pub fn copy_for_others(&self, names: &[&str]) {
        fs::create_dir(self.at("bin")).unwrap();
        for name in names {
            fs::copy(program(name), self.at("bin").join(name)).unwrap();
        }
    }

    /// Runs a program of ours at the time `now`, with `input`.
    pub fn run_at(&self, line: &str, input: &str, now: Timestamp) -> Ran {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words[0] = self.program(&words[0]).display().to_string();
        let words: Vec<String> = self.tracer.iter().cloned().chain(words).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.at(""));
        command.env("SYNCPKG_CONFIG", self.at("syncpkg.toml")).env("SYNCPKG_NOW", now.to_string());
        command.env_remove("SYNCPKG_SPOOL").env_remove("GIT_DIR");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // Who does not read its input has ended: its status says why.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code().unwrap_or(-1),
        }
    }
}

/// The path of a program of ours.
fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_syncpkg-ls")).parent().unwrap().join(name)
}
