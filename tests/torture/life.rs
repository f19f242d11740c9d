//! A farm's whole life on one file system, program by program, and what has to be found of it after each.
//!
//! The tree and the configuration lie elsewhere: a power cut of the master's disk is not theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};

/// What is kept of a spool for good; what else is there is a cache, a lock, a sign of life.
const KEPT: [&str; 9] = ["report", "log", "sent", "late", "owed", "hold", "builder", "drop", "request"];

/// Somebody who does not own the spool, but is of the group that may use its drop box.
const PUSHER: &str = "setpriv --reuid=61002 --regid=61002 --groups=0 --";

/// A configuration, a git tree, and a clock.
pub struct Life {
    place: tempfile::TempDir,
    now: Timestamp,
    /// Programs are run by this: a tracer, or nothing.
    tracer: Vec<String>,
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

/// What is found in a spool and in its package directory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Found {
    tickets: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
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

    fn copy_for_others(&self, names: &[&str]) {
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

    /// Looks at what is there now; a spool that is not made yet has nothing.
    pub fn look(&self, now: Timestamp) -> Result<Found, String> {
        let spool = self.disk().join("spool");
        if !spool.join("format").exists() {
            return Ok(Found::default());
        }
        let ran = self.run_at("syncpkg-ls --json all", "", now);
        if ran.status != 0 || !ran.err.is_empty() {
            return Err(format!("syncpkg-ls ends with {}: {}", ran.status, ran.err.trim()));
        }
        let mut files = BTreeMap::new();
        for place in KEPT.map(|kept| spool.join(kept)).iter().chain([&self.disk().join("packages")]) {
            keep(&mut files, &self.disk(), place)?;
        }
        Ok(Found { tickets: tickets(&ran.out)?, files })
    }
}

/// Reads every file below `place`; dot names are nobody's yet, reasons and registrations can be had again.
fn keep(files: &mut BTreeMap<String, Vec<u8>>, root: &Path, place: &Path) -> Result<(), String> {
    for entry in walkdir::WalkDir::new(place).into_iter().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy();
        let again = name.ends_with(".why") || place.ends_with("builder") && name.ends_with(".toml");
        if entry.file_type().is_file() && !name.starts_with('.') && !again {
            let bytes = fs::read(entry.path()).map_err(|error| format!("{name}: {error}"))?;
            files.insert(entry.path().strip_prefix(root).unwrap().display().to_string(), bytes);
        }
    }
    Ok(())
}

/// What is said of each ticket, by ID.
fn tickets(lines: &str) -> Result<BTreeMap<String, String>, String> {
    let mut tickets = BTreeMap::new();
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let said = ["state", "epoch", "builder", "priority", "tree", "name", "version", "release", "arch"]
            .map(|key| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned));
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        if let Some(other) = tickets.insert(id.clone(), said.join(" ")) {
            return Err(format!("ticket {id} is there twice: {other}, {}", said.join(" ")));
        }
    }
    Ok(tickets)
}

impl Found {
    /// Returns which tickets of `before` are not there any more.
    pub fn lost(&self, before: &Found) -> Vec<String> {
        before.tickets.keys().filter(|id| !self.tickets.contains_key(*id)).cloned().collect()
    }

    /// Returns the states of a package's tickets, oldest first.
    pub fn states(&self, name: &str) -> Vec<&str> {
        let words = self.tickets.values().map(|said| said.split(' ').collect::<Vec<_>>());
        words.filter(|words| words[5] == name).map(|words| words[0]).collect()
    }

    /// Judges what was found after a crash between `before` and `after`: of each ticket and each file it is the one
    /// or the other, and there is no other.
    pub fn between(&self, before: &Found, after: &Found) -> Vec<String> {
        let mut wrong =
            differences("ticket", &self.tickets, &before.tickets, &after.tickets, |text| text.clone());
        let bytes = |bytes: &Vec<u8>| format!("{} bytes", bytes.len());
        wrong.extend(differences("file", &self.files, &before.files, &after.files, bytes));
        wrong
    }
}

fn differences<T: PartialEq>(
    what: &str,
    found: &BTreeMap<String, T>,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    show: impl Fn(&T) -> String,
) -> Vec<String> {
    let names: BTreeSet<&String> = found.keys().chain(before.keys()).chain(after.keys()).collect();
    let shown = |value: Option<&T>| value.map_or_else(|| "not there".to_owned(), &show);
    let wrong = |name: &&String| {
        let (is, was, will) = (found.get(*name), before.get(*name), after.get(*name));
        let text = format!("{what} {name} is {} (was {}, then {})", shown(is), shown(was), shown(will));
        (is != was && is != will).then_some(text)
    };
    names.iter().filter_map(wrong).collect()
}

/// A life that is being lived on a disk; `answered` is told how many programs have answered.
pub struct Living<'a> {
    life: &'a mut Life,
    answered: &'a dyn Fn(usize),
}

impl<'a> Living<'a> {
    /// Begins.
    pub fn new(life: &'a mut Life, answered: &'a dyn Fn(usize)) -> Self {
        Self { life, answered }
    }

    #[track_caller]
    fn step(&mut self, line: &str, input: &str, status: i32) -> String {
        let now = self.life.now;
        let ran = self.life.run_at(line, input, now);
        (self.answered)(self.life.steps.len() + 1);
        assert_eq!(ran.status, status, "$ {line}\n{}{}", ran.out, ran.err);
        let tracer = std::mem::take(&mut self.life.tracer);
        let after = self.life.look(now).unwrap();
        self.life.tracer = tracer;
        self.life.steps.push(Step { line: line.to_owned(), now, after });
        ran.out
    }

    #[track_caller]
    fn ok(&mut self, line: &str) -> String {
        self.step(line, "", 0)
    }

    #[track_caller]
    fn claim(&mut self, arguments: &str) -> Vec<Claimed> {
        let out = self.ok(&format!("syncpkg-claim --arch x86_64 --json {arguments}"));
        Claimed::read(&out)
    }

    fn built(&mut self, claimed: &Claimed, packages: &[&str]) -> String {
        let log = self.life.at("log");
        fs::write(&log, format!("==> building {}\n", claimed.name).repeat(300)).unwrap();
        let files = packages.iter().map(|name| {
            let file = self.life.at(&format!("{name}-1-1-x86_64.pkg.tar.gz"));
            fs::write(&file, name.repeat(5000)).unwrap();
            format!(" --file {}", file.display())
        });
        let files: String = files.collect();
        format!("syncpkg-report {} --outcome built --log {}{files}", claimed.claim, log.display())
    }

    /// The shortest life that has everything: asked for, claimed, built; but for the first step under `tracer`.
    pub fn briefly(mut self, tracer: &str) {
        self.life.commit(&["gcc".to_owned()], "");
        self.ok("syncpkg-init");
        self.life.under(tracer);
        self.ok("syncpkg-enqueue gcc");
        let claimed = self.claim("--builder b1");
        let report = self.built(&claimed[0], &["gcc"]);
        self.ok(&report);
        self.life.under("");
    }

    /// Everything that can become of a ticket.
    pub fn fully(mut self) {
        let names: Vec<String> = (0..20).map(|n| format!("p{n:02}")).collect();
        self.life.commit(&names, "");
        self.life.commit(&["gcc".to_owned()], "pkgname=(gcc gcc-libs)");
        self.ok("syncpkg-init");
        self.ok("syncpkg-enqueue gcc");
        let items: String = names.iter().map(|name| format!("{name}-1-1-x86_64\n")).collect();
        self.life.later(1);
        self.step("syncpkg-enqueue --batch mass -", &items, 0);
        self.ends();
        self.trouble();
        self.comes_back();
        self.others_ask();
        self.life.later(60);
        self.ok("syncpkgd --once");
    }

    /// Reports: built, with a log and two packages; failed; each also said twice.
    fn ends(&mut self) {
        let gcc = self.claim("--builder b1");
        let three = self.claim("--builder b2 --count 3");
        self.ok(&format!("syncpkg-beat {}", gcc[0].claim));
        let report = self.built(&gcc[0], &["gcc", "gcc-libs"]);
        self.ok(&report);
        self.ok(&report);
        let failed = format!("syncpkg-report {} --outcome failed --stage build", three[0].claim);
        let log = self.life.at("log").display().to_string();
        self.ok(&format!("{failed} --log {log}"));
        self.step(&format!("syncpkg-report {} --outcome built --log {log}", three[0].claim), "", 1);
        // Publishes gcc, mails about what failed.
        self.ok("syncpkgd --once");
        self.ok(&format!("syncpkg-abort {}", three[1].name));
        self.ok("syncpkg-abort p19 p18");
        self.step("syncpkg-abort p19", "", 1);
        let line = format!("syncpkg-report {} --outcome trouble --reason disk", three[2].claim);
        self.ok(&line);
        self.ok(&line);
    }

    /// A ticket that always has trouble, to its end.
    fn trouble(&mut self) {
        self.ok("syncpkg-enqueue --priority urgent p17");
        for n in 0..5 {
            // Whoever had trouble with it last would get another.
            let claimed = self.claim(&format!("--builder c{n}"));
            assert_eq!(claimed[0].name, "p17");
            self.ok(&format!("syncpkg-report {} --outcome trouble --reason disk", claimed[0].claim));
            self.life.later(3600);
        }
        self.ok("syncpkgd --once");
    }

    /// What is handed in through the drop box, and acted on by the next round.
    fn others_ask(&mut self) {
        self.life.copy_for_others(&["syncpkg-enqueue", "syncpkg-abort"]);
        for line in ["syncpkg-enqueue p19", "syncpkg-abort p19"] {
            self.life.under(PUSHER);
            self.ok(line);
            self.life.under("");
            self.ok("syncpkgd --once");
        }
    }

    /// What comes back: lost leases, released claims, later revisions.
    fn comes_back(&mut self) {
        let lost = self.claim("--builder b4 --count 2 --instance one");
        let again = self.claim("--builder b4 --count 2 --instance one");
        assert_eq!(lost[0].claim, again[0].claim);
        self.life.commit(std::slice::from_ref(&lost[0].name), "# a later revision");
        self.life.later(1);
        self.ok(&format!("syncpkg-enqueue {}/PKGBUILD", lost[0].name));
        self.life.commit(&["p16".to_owned()], "# a later revision");
        self.life.later(1);
        self.ok("syncpkg-enqueue p16/PKGBUILD");
        self.ok("syncpkgd --once");
        self.life.later(601);
        self.ok("syncpkgd --once");
        self.claim("--builder b5 --count 2");
        self.ok("syncpkg-builder --pause --release b5");
        self.ok("syncpkg-builder --resume b5");
        let late = self.claim("--builder b5");
        let report = self.built(&late[0], &[&late[0].name]);
        self.ok(&report);
        self.ok("syncpkg-enqueue --force --reason again p17");
    }
}

/// The path of a program of ours.
fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_syncpkg-ls")).parent().unwrap().join(name)
}
