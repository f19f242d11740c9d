//! The mirror: a copy of the spool in a directory of another disk or host, whole at any moment.
//!
//! The directory holds two copies, `a` and `b`, the link `current` to the one that is finished, and the link `from` that
//! names the spool. A run renews the other one, taking what has not changed from the finished one (hard links), and turns
//! `current` at its end: wherever it is cut off, the copy before is still there, untouched.
//!
//! What has not ended is copied from a picture of one moment, what has ended after that, and what belongs to it last. So
//! nothing is missed; a ticket that moved on meanwhile is there twice, and `syncpkg-check --repair` keeps the later one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::ssh::Ssh;
use crate::base::output::inert;
use crate::base::{Error, Result, child, durable, lock, random};
use crate::config::{Place, SshSection};
use crate::spool::{COPY, Spool, picture};

/// What belongs to tickets, and is put before they end or removed after.
///
/// What is told moves from `owed` to `post` to `sent`, and rsync looks at them in this order, by their names.
const BELONGINGS: [&str; 14] = [
    "report", "log", "live", "hold", "batch", "late", "bad", "builder", "owed", "post", "sent", "told",
    "expired", "request",
];

/// What is empty in a copy: locks and uploads of programs that are at work here, and what can be derived.
const EMPTY: [&str; 4] = ["cache", "lock", "tmp", "upload"];

/// What rsync answers when all is copied.
const DONE: i32 = 0;

/// What it answers when something could not be copied.
const PARTLY: i32 = 23;

/// What it answers when something was moved or removed meanwhile.
const VANISHED: i32 = 24;

/// What `flock` is told to answer when somebody else holds the lock.
const BUSY: i32 = 75;

/// What is said then.
const AT_IT: &str = "another run is still at it";

/// A spool and where its copy is kept.
#[derive(Debug)]
pub struct Mirror<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// The name of this host.
    pub host: &'a str,
    /// The directory of the copies.
    pub target: &'a Place,
    /// How another host is reached.
    pub ssh: &'a SshSection,
}

/// Renews the copy.
///
/// # Errors
/// Wrong use for a directory that is something else; `Again` when it cannot be reached or written, or somebody else is at it.
/// The copy of the run before is still there.
pub fn renew(mirror: &Mirror) -> Result<()> {
    let lock = lock::exclusive(&mirror.spool.at("lock").join("mirror"), lock::PATIENCE)?;
    let stage = mirror.spool.tmp().join(format!(".mirror-{}", random::word(8)));
    let done = Run::new(mirror, &lock, &stage).and_then(|run| run.go());
    durable::remove_tree(&stage)?;
    done
}

/// One run.
struct Run<'a> {
    mirror: &'a Mirror<'a>,
    lock: &'a lock::Lock,
    stage: &'a Path,
    /// The directory, as rsync takes it.
    dir: String,
    /// The spool's name in `from`.
    from: String,
}

impl<'a> Run<'a> {
    fn new(mirror: &'a Mirror, lock: &'a lock::Lock, stage: &'a Path) -> Result<Self> {
        let root = mirror.spool.root();
        let root = root.canonicalize().map_err(|source| Error::io("find", root, source))?;
        let dir = match mirror.target {
            Place::Here(path) => {
                let dir = std::path::absolute(path).map_err(|source| Error::io("find", path, source))?;
                if dir.canonicalize().unwrap_or_else(|_| dir.clone()).starts_with(&root) {
                    return Err(wrong(mirror.target, "it is in the spool"));
                }
                dir.display().to_string()
            }
            Place::There(host) => host.to_string(),
        };
        Ok(Self { mirror, lock, stage, dir, from: format!("{}:{}", mirror.host, root.display()) })
    }

    fn go(&self) -> Result<()> {
        let found = self.look(false)?;
        self.refuse(&found)?;
        let finished = found.link("current").filter(|name| found.has(name));
        let next = if finished == Some("a") { "b" } else { "a" };
        self.begin(next)?;
        self.copy(next, finished)?;
        self.finish(next)
    }

    /// Takes from the copy that is to be renewed what says that it is finished.
    fn begin(&self, next: &str) -> Result<()> {
        let begin = self.stage.join("begin");
        durable::lead(&begin.join("from"), Path::new(&self.from))?;
        durable::make_dir(&begin.join(next))?;
        // Made now: its time says of when the copy is.
        let format = durable::read(&self.mirror.spool.at("format"), 1 << 10)?;
        durable::draft(&self.stage.join(COPY), &format)?;
        let only = [format!("--include=/{next}/"), format!("--include=/{next}/{COPY}")];
        let [copy, mark] = only.each_ref().map(String::as_str);
        let options = ["-rl", "--delete", "--include=/from", copy, mark, "--exclude=*"];
        self.send(&options, &[begin.join("")], "", &[DONE])
    }

    fn copy(&self, next: &str, finished: Option<&str>) -> Result<()> {
        let (root, picture) = (self.mirror.spool.root(), self.stage.join("picture"));
        picture::take(self.mirror.spool, &picture)?;
        EMPTY.iter().try_for_each(|name| durable::make_dir(&picture.join(name)))?;
        let same = finished.map(|name| format!("--link-dest=../{name}/"));
        let mut options = vec!["-a", "--delete"];
        options.extend(same.as_deref());
        let places: Vec<PathBuf> =
            ["new", "park", "run"].iter().chain(&EMPTY).map(|name| picture.join(name)).collect();
        self.send(&options, &places, next, &[DONE])?;
        self.send(&options, &[root.join("done")], next, &[DONE, VANISHED])?;
        let belongings = BELONGINGS.map(|name| format!("--include=/{name}/***"));
        options.extend(belongings.iter().map(String::as_str));
        options.extend(["--include=/pause", "--exclude=/*"]);
        self.send(&options, &[root.join("")], next, &[DONE, VANISHED])?;
        // Hostile: what is too large, or cannot be read, is no request.
        let options = ["-rtpg", "--delete", "--max-size=1m"];
        self.send(&options, &[root.join("drop")], next, &[DONE, PARTLY, VANISHED])
    }

    /// Says that the copy is finished: in itself, then in `current`, which rsync replaces by a rename.
    fn finish(&self, next: &str) -> Result<()> {
        self.send(&["-t"], &[self.stage.join(COPY)], next, &[DONE])?;
        let current = self.stage.join("current");
        durable::lead(&current, Path::new(next))?;
        self.send(&["-l"], &[current], "", &[DONE])?;
        let found = self.look(true)?;
        if found.link("current") == Some(next) && found.has(&format!("{next}/{COPY}")) {
            return Ok(());
        }
        Err(self.again("somebody else changed it meanwhile"))
    }

    /// Never into somebody's files, nor into a copy that has become a spool.
    fn refuse(&self, found: &Found) -> Result<()> {
        let wrong = |why: &str| Err(wrong(self.mirror.target, why));
        if let Some(name) = found.spool() {
            return wrong(&format!("there is a spool in it ({name})"));
        }
        match (found.link("from"), found.foreign()) {
            (Some(from), _) if from == self.from => Ok(()),
            (Some(from), _) => {
                let hint = format!("if that is this one by another name, there: ln -sfn {} from", self.from);
                wrong(&format!("it is the mirror of {from}")).map_err(|error| error.hint(hint))
            }
            (None, Some(name)) => wrong(&format!("it is not empty (there is {name})")),
            (None, None) => Ok(()),
        }
    }

    /// Lists the directory; `flushed` first, or as it is.
    fn look(&self, flushed: bool) -> Result<Found> {
        let mut command = if flushed { self.writer()? } else { self.rsync("rsync") };
        // With what is directly in each directory of it, as far as it matters.
        let inside = ["format", COPY].map(|name| format!("--include=/*/{name}"));
        command.args(["-rl", "--list-only", "--exclude=/lost+found/", "--include=/*"]).args(inside);
        command.arg("--exclude=*").arg(format!("{}/", self.dir));
        let ran = self.output(command)?;
        let is_missing = || String::from_utf8_lossy(&ran.stderr).contains("No such file or directory");
        match ran.status.code() {
            Some(DONE) => Ok(Found::parse(&String::from_utf8_lossy(&ran.stdout))),
            Some(PARTLY) if is_missing() => Ok(Found::default()),
            Some(_) | None => Err(self.failed(&ran)),
        }
    }

    /// Sends `sources` to the directory `to` of the mirror; one of the statuses `fine` will do.
    fn send(&self, options: &[&str], sources: &[PathBuf], to: &str, fine: &[i32]) -> Result<()> {
        let mut command = self.writer()?;
        command.args(options).arg("--").args(sources).arg(format!("{}/{to}", self.dir));
        let ran = self.output(command)?;
        if ran.status.code().is_some_and(|code| fine.contains(&code)) {
            Ok(())
        } else {
            Err(self.failed(&ran))
        }
    }

    /// Returns an rsync that runs when all before it is on the disk, and nobody else is at the directory: one that was cut off
    /// may go on there for a while.
    fn writer(&self) -> Result<Command> {
        let busy = BUSY.to_string();
        match self.mirror.target {
            Place::Here(_) => {
                let dir = Path::new(&self.dir);
                durable::make_dir(dir)?;
                durable::sync_fs(dir)?;
                let mut command = Command::new("flock");
                command.args(["-n", "-E", &busy]).arg(dir.join("lock")).arg("rsync");
                Ok(command)
            }
            Place::There(host) => {
                let dir = host.dir();
                // rsync does not always hand on what the other side ended with, so it is said, too.
                let free = format!("flock -n {dir}/lock true || echo {AT_IT} >&2");
                let there = format!("mkdir -p {dir} && sync -f {dir} && {free} && flock -n {dir}/lock rsync");
                Ok(self.rsync(&there))
            }
        }
    }

    /// Returns an rsync that is called `there` on the other host.
    fn rsync(&self, there: &str) -> Command {
        let mut command = Command::new("rsync");
        if let Place::There(host) = self.mirror.target {
            let ssh = Ssh { host, section: self.mirror.ssh };
            command.args(["-e", &ssh.for_rsync(), "--rsync-path", there]);
        }
        command
    }

    fn output(&self, mut command: Command) -> Result<Output> {
        let program = command.get_program().to_string_lossy().into_owned();
        // It holds our lock until it has ended, also when we are killed.
        command.env("LC_ALL", "C").stdin(self.lock.share()?);
        child::output(command).map_err(|source| {
            let error = Error::io("run", &program, source);
            error.hint("apt-get install rsync util-linux")
        })
    }

    fn failed(&self, ran: &Output) -> Error {
        let said = String::from_utf8_lossy(&ran.stderr);
        if ran.status.code() == Some(BUSY) || said.lines().any(|line| line == AT_IT) {
            return self.again(AT_IT);
        }
        let reason = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("rsync said nothing");
        self.again(&inert(reason))
    }

    fn again(&self, why: &str) -> Error {
        Error::again(format!("cannot mirror into {}: {why}", self.mirror.target))
    }
}

fn wrong(target: &Place, why: &str) -> Error {
    Error::wrong(format!("cannot mirror into {target}: {why}"))
}

/// What a directory has in it: names, and where those that are links lead.
#[derive(Debug, Default)]
struct Found(Vec<(String, Option<String>)>);

impl Found {
    /// Reads lines of rsync: mode, size, day, time, and a name that may have spaces.
    fn parse(text: &str) -> Self {
        let name = |line: &str| {
            let mut rest = line;
            for _ in 0..4 {
                rest = rest.trim_start().split_once(' ')?.1;
            }
            let (name, to) = match rest.split_once(" -> ") {
                Some((name, to)) if line.starts_with('l') => (name, Some(to.to_owned())),
                Some(_) | None => (rest, None),
            };
            (name != ".").then(|| (inert(name), to))
        };
        Self(text.lines().filter_map(name).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn link(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name)?.1.as_deref()
    }

    /// The `format` of a spool, or of one a directory further down.
    fn spool(&self) -> Option<&str> {
        self.0
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| name.split('/').next_back() == Some("format"))
    }

    /// What no first run can have left there.
    fn foreign(&self) -> Option<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| *name != "lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_every_directory_of_a_spool() {
        let copied = ["new", "park", "run", "done", "drop"].into_iter().chain(BELONGINGS).chain(EMPTY);
        let copied: std::collections::BTreeSet<&str> = copied.collect();
        assert_eq!(copied, crate::spool::DIRECTORIES.iter().copied().collect());
    }

    #[test]
    fn a_list_of_rsyncs_is_read_whatever_the_names_are() {
        let found = Found::parse(
            "drwxr-xr-x          4,096 2026/11/29 00:56:16 .\n\
             lrwxrwxrwx              1 2026/11/29 00:56:16 current -> a\n\
             drwxr-xr-x          4,096 2026/11/29 00:56:16 a b -> c\n\
             -rw-r--r--              2 2026/11/29 00:56:16 a/format.copy\n",
        );
        assert_eq!(found.link("current"), Some("a"));
        assert!(found.has("a b -> c") && found.has("a/format.copy") && !found.has("."));
        assert_eq!((found.link("a b"), found.spool(), found.foreign()), (None, None, Some("current")));
        assert_eq!(Found::parse("- 1 d t a/format\n").spool(), Some("a/format"));
    }
}
