//! The stage of the torture: a farm in a directory that can be put back as it was, and programs that end in time.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use syncpkg::base::Clock;
use syncpkg::farm::check;
use syncpkg::names::State;
use syncpkg::spool::Spool;
use syncpkg::spool::listed::{self, Filter, Listed};

/// How long any program may take; none of the farm waits so long for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// The packages of the tree, with what else their recipes say.
const RECIPES: [(&str, &str); 8] = [
    ("gcc", ""),
    ("make", ""),
    ("lib", ""),
    ("app", "depends=('lib')"),
    ("old", ""),
    ("tool", ""),
    ("pub", ""),
    ("doc", ""),
];

/// A farm: a git tree and a configuration beside `farm/`, which has the spool and all that the programs write.
pub struct Stage {
    place: tempfile::TempDir,
    now: Cell<Timestamp>,
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub out: String,
    pub err: String,
    pub status: ExitStatus,
    pub in_time: bool,
}

impl Ran {
    /// The exit status; none for a program that a signal ended.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// A ticket, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub name: String,
    pub state: String,
    pub text: String,
}

impl Stage {
    /// A farm without a spool, in memory where there is room: what is killed here loses no page.
    pub fn new() -> Self {
        Self::on(&syncpkg::tree::roomy(std::env::temp_dir()))
    }

    /// A farm without a spool, below `directory`.
    pub fn on(directory: &Path) -> Self {
        let place = tempfile::tempdir_in(directory).unwrap();
        let stage = Self { place, now: Cell::new("2026-11-22T12:00:00Z".parse().unwrap()) };
        fs::create_dir(stage.at("")).unwrap();
        fs::create_dir(stage.beside("tree")).unwrap();
        stage.git(&["init", "-q", "-b", "main"]);
        RECIPES.iter().for_each(|(name, more)| stage.write_recipe(name, more));
        stage.commit();
        stage.configure("");
        stage
    }

    /// Writes the configuration anew, with `more` at its end.
    pub fn configure(&self, more: &str) {
        let (farm, tree) = (self.at(""), self.beside("tree"));
        let (farm, tree) = (farm.to_str().unwrap().trim_end_matches('/'), tree.display());
        let text = format!(
            "spool = \"{farm}/spool\"\nsite = \"{farm}/www\"\nurl = \"https://build.example.org/syncpkg/\"\n\
             [tree.current]\nscm = \"git\"\npath = \"{tree}\"\nrecipes = \"*/PKGBUILD\"\narchs = [\"x86_64\"]\n\
             packages = \"{farm}/packages/{{name}}-{{version}}-{{release}}-{{arch}}.pkg.tar.gz\"\n{more}"
        );
        fs::write(self.beside("syncpkg.toml"), text).unwrap();
    }

    /// A path in the part of the farm that is put back.
    pub fn at(&self, name: &str) -> PathBuf {
        self.beside("farm").join(name)
    }

    /// A path beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Keeps the farm as it is now.
    pub fn save(&self) {
        let _ = fs::remove_dir_all(self.beside("saved"));
        copy(&self.beside("farm"), &self.beside("saved"));
    }

    /// Puts the farm back as it was kept, file times included.
    pub fn put_back(&self) {
        let (saved, farm) = (self.beside("saved"), self.beside("farm"));
        if !farm.join("spool/format").exists() || !saved.join("spool/format").exists() {
            fs::remove_dir_all(&farm).unwrap();
            return copy(&saved, &farm);
        }
        // It is the same spool, not a copy of it: that is told by the time of change of the file `format`.
        for (part, kept) in [("spool", "format"), ("", "spool")] {
            for entry in others(&farm.join(part), kept) {
                let remove = if entry.is_dir() { fs::remove_dir_all } else { fs::remove_file };
                remove(&entry).unwrap();
            }
            let mut command = Command::new("cp");
            command.args(["-a", "--reflink=auto", "-t"]).arg(farm.join(part));
            let entries = others(&saved.join(part), kept);
            assert!(entries.is_empty() || command.args(entries).status().unwrap().success());
        }
    }

    /// Moves the clock.
    pub fn later(&self, seconds: i64) -> &Self {
        self.now.set(self.now.get() + SignedDuration::from_secs(seconds));
        self
    }

    /// The time of the farm.
    pub fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Writes a recipe; it is committed with the next [`Stage::commit`].
    pub fn write_recipe(&self, name: &str, more: &str) {
        let directory = self.beside("tree").join(name);
        fs::create_dir_all(&directory).unwrap();
        let head = "# Maintainer: Ann <ann@example.org>";
        let text = format!("{head}\npkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n{more}\n");
        fs::write(directory.join("PKGBUILD"), text).unwrap();
    }

    /// Commits what was written.
    pub fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "change"]);
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.beside("tree")).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Test");
            command.env(format!("GIT_{who}_EMAIL"), "test@example.org");
        }
        assert!(command.status().unwrap().success(), "git {arguments:?}");
    }

    /// A command in the farm's environment; a first word that begins with `sync` is a program of ours.
    pub fn command(&self, words: &[&str]) -> Command {
        let ours = |word: &&str| if word.starts_with("sync") { program(word) } else { PathBuf::from(*word) };
        let words: Vec<PathBuf> = words.iter().map(ours).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.at("")).stdin(Stdio::null());
        command.env("SYNCPKG_CONFIG", self.beside("syncpkg.toml")).env("SYNCPKG_NOW", self.now().to_string());
        command.env_remove("SYNCPKG_SPOOL").env_remove("GIT_DIR").env_remove("RUST_BACKTRACE");
        command
    }

    /// Runs a command line, behind `wrapper` if there is one, with `input` on its standard input.
    pub fn run_behind(&self, wrapper: &[&str], line: &str, input: &str) -> Ran {
        let words: Vec<&str> = wrapper.iter().copied().chain(line.split_whitespace()).collect();
        let mut command = self.command(&words);
        if !input.is_empty() {
            let path = self.beside("input");
            fs::write(&path, input).unwrap();
            command.stdin(File::open(path).unwrap());
        }
        ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Runs a command line of ours.
    pub fn run(&self, line: &str) -> Ran {
        self.run_behind(&[], line, "")
    }

    /// Runs what must succeed in silence on stderr; returns what it printed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert!(ran.code() == Some(0) && ran.err.is_empty(), "$ {line}\n{ran:#?}");
        ran.out
    }

    /// Claims as `builder`; returns the claim.
    #[track_caller]
    pub fn claim(&self, builder: &str) -> String {
        let out = self.ok(&format!("syncpkg-claim --builder {builder} --arch x86_64 --instance a{builder}"));
        out.split('"').nth(1).unwrap().to_owned()
    }

    /// Whether there is a spool already, whole.
    pub fn has_spool(&self) -> bool {
        self.at("spool/format").exists()
    }

    /// Every ticket the farm knows, as `syncpkg-ls all` lists them; here and in the check without starting a program,
    /// which would take most of the time of a case.
    #[track_caller]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if self.has_spool() {
            let spool = Spool::open(&self.at("spool")).unwrap();
            let filter = Filter { states: State::ALL.to_vec(), ..Filter::default() };
            let mut add = |ticket| {
                rows.push(row(&ticket));
                Ok(())
            };
            listed::listing(&spool, &filter, &Clock::fixed(self.now()), &mut add).unwrap();
        }
        rows
    }

    /// What is wrong with the spool, a line each; with `repair` after it was mended.
    pub fn problems(&self, repair: bool) -> Vec<String> {
        let clock = Clock::fixed(self.now());
        let check = |repair| check::check(&Spool::open(&self.at("spool"))?, repair, &clock);
        let mended = if repair { check(true).map(drop) } else { Ok(()) };
        match mended.and_then(|()| check(false)) {
            Ok(problems) => problems.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("the check: {error}")],
        }
    }
}

fn row(ticket: &Listed) -> Row {
    let builder = ticket.builder.as_ref().map(ToString::to_string).unwrap_or_default();
    let Listed { id, tree, name, version, state, epoch, priority, .. } = ticket;
    let text = format!("{id} {tree} {name} {version} {state} {epoch} {builder} {priority}");
    Row { id: id.to_string(), name: name.to_string(), state: state.to_string(), text }
}

/// The path of a program of ours.
pub fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_syncpkg-ls")).parent().unwrap().join(name)
}

/// Waits for a child and what it prints; one that does not end in time is killed.
pub fn ended(child: Child) -> Ran {
    let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    let (tell, told) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = told.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        late && pidfd_send_signal(&handle, Signal::KILL).is_ok()
    });
    let output = child.wait_with_output().unwrap();
    drop(tell);
    let in_time = !guard.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { out: text(output.stdout), err: text(output.stderr), status: output.status, in_time }
}

/// What lies in a directory beside `kept`.
fn others(directory: &Path, kept: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().is_some_and(|name| name != kept)).collect()
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    assert!(command.status().unwrap().success(), "cp {} {}", from.display(), to.display());
}

/// Says at once how much was tried, also while other tests run.
pub fn say(text: &str) {
    println!("{text}");
    let _ = std::io::stdout().flush();
}
