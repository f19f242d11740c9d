//! The gate: what a builder may ask of its master through ssh. `syncpkg-shell` is the forced command of its key.
//!
//! Owns: the closed set of requests, each word of which has passed a grammar. Refuses: everything else, with one line,
//! and writes it down. Invariant: who asks is told by the line in `authorized_keys`, never by the request; no shell
//! sees any of it, and what runs has an environment of its own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::base::clock::parse_age;
use crate::base::output::inert;
use crate::base::{Clock, Error, Result, contain, durable, lock};
use crate::config::{QuotaSection, is_plain};
use crate::names::{Arch, Builder, Id, Instance, Name, Outcome, Tree, Version, Word};
use crate::spool::vitals::Load;
use crate::spool::{Claim, Spool, builder, list, upload};

/// The longest request that is read, bytes.
const LONGEST: usize = 16 << 10;

/// A builder at the gate.
#[derive(Debug)]
pub struct Gate<'a> {
    /// Who, as the line of its key says.
    pub builder: &'a Builder,
    /// The spool it asks for.
    pub spool: &'a Spool,
    /// What it may take of this host.
    pub quota: &'a QuotaSection,
}

/// A request that was understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// One of our programs, with these words.
    Run(&'static str, Vec<String>),
    /// rsync as its server, with these words; the last is the directory of this claim's upload.
    Receive(Vec<String>, Claim),
}

type Grammar = fn(&Builder, &str) -> bool;

/// What may be asked of one program: options with what grammar their values have (none: it has none), operands.
struct Verb {
    program: &'static str,
    options: &'static [(&'static str, Option<Grammar>)],
    operands: Option<Grammar>,
}

const ARCHS: Grammar = |_, text| text.split(',').all(|arch| arch.parse::<Arch>().is_ok());
const ME: Grammar = |me, text| me.as_str() == text;
const MINE: Grammar = |me, text| text.parse::<Claim>().is_ok_and(|claim| claim.builder == *me);
const NUMBER: Grammar = |_, text| text.len() < 16 && text.bytes().all(|byte| byte.is_ascii_digit());
const LOAD: Grammar = |_, text| text.len() < 16 && text.parse::<Load>().is_ok();
const HASH: Grammar = |_, text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
const AGE: Grammar = |_, text| parse_age(text).is_ok();
const WORD: Grammar = |_, text| text.parse::<Word>().is_ok();
const WORDS: Grammar = |_, text| text.split(',').all(|word| word.parse::<Word>().is_ok());
const NAMES: Grammar = |_, text| text.split(',').all(|name| name.parse::<Name>().is_ok());
const PACKAGE: Grammar = |_, text| match text.split_once('/') {
    Some((tree, name)) => tree.parse::<Tree>().is_ok() && name.parse::<Name>().is_ok(),
    None => text.parse::<Name>().is_ok() || text.parse::<Id>().is_ok(),
};
const STATE: Grammar =
    |_, text| ["waiting", "building", "all"].contains(&text) || text.parse::<Outcome>().is_ok();

const VERBS: [Verb; 7] = [
    Verb {
        program: "syncpkg-claim",
        options: &[
            ("--builder", Some(ME)),
            ("--arch", Some(ARCHS)),
            ("--instance", Some(|_, text| text.parse::<Instance>().is_ok())),
            ("--count", Some(NUMBER)),
            ("--tag", Some(WORDS)),
            ("--memory", Some(NUMBER)),
            ("--disk", Some(NUMBER)),
            ("--load", Some(LOAD)),
            ("--except", Some(NAMES)),
            ("--last", Some(NAMES)),
            ("--wait", Some(AGE)),
            ("--json", None),
        ],
        operands: None,
    },
    Verb {
        program: "syncpkg-beat",
        options: &[
            ("--log-at", Some(NUMBER)),
            ("--watch", Some(AGE)),
            ("--load", Some(LOAD)),
            ("--disk", Some(NUMBER)),
        ],
        operands: Some(MINE),
    },
    Verb { program: "syncpkg-report", options: &[("--delivered", Some(HASH))], operands: Some(MINE) },
    Verb {
        program: "syncpkg-builder",
        options: &[
            ("--arch", Some(ARCHS)),
            ("--slots", Some(NUMBER)),
            ("--tag", Some(WORDS)),
            ("--runs", Some(|_, text| text.parse::<Version>().is_ok())),
            ("--host", Some(WORD)),
        ],
        operands: Some(ME),
    },
    Verb {
        program: "syncpkg-ls",
        options: &[
            ("--arch", Some(ARCHS)),
            ("--tree", Some(WORD)),
            ("--builder", Some(WORD)),
            ("--stage", Some(WORD)),
            ("--batch", Some(WORD)),
            ("--since", Some(AGE)),
            ("--names", None),
            ("--json", None),
        ],
        operands: Some(STATE),
    },
    Verb { program: "syncpkg-why", options: &[("--json", None)], operands: Some(PACKAGE) },
    Verb {
        program: "syncpkg-log",
        options: &[("--follow", None), ("--errors", None)],
        operands: Some(PACKAGE),
    },
];

impl Gate<'_> {
    /// Understands the request `text`.
    ///
    /// # Errors
    /// It is none that a builder may make, or the builder has taken enough for now.
    pub fn judge(&self, text: &str) -> Result<Request> {
        if text.is_empty() {
            return Err(self.refusal("has no shell here"));
        }
        if text.len() > LONGEST || !text.bytes().all(|byte| byte == b' ' || is_plain(byte)) {
            return Err(self.refusal("may send plain words only"));
        }
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let Some((program, words)) = words.split_first() else {
            return Err(self.refusal("has no shell here"));
        };
        if *program == "rsync" {
            return self.judge_rsync(words);
        }
        let verb = VERBS.iter().find(|verb| verb.program == *program);
        let verb = verb.ok_or_else(|| self.refusal(&format!("may not run {program}")))?;
        let words = self.words(verb, words)?;
        if verb.program == "syncpkg-claim" && !words.iter().any(|word| word == "--builder") {
            return Err(self.refusal("claims for itself only"));
        }
        Ok(Request::Run(verb.program, words))
    }

    /// Returns the words that go to the program: those given, each after its grammar, but for the spool.
    fn words(&self, verb: &Verb, given: &[&str]) -> Result<Vec<String>> {
        let (mut words, mut given) = (Vec::new(), given.iter());
        while let Some(word) = given.next() {
            let (option, joined) =
                word.split_once('=').map_or((*word, None), |(name, rest)| (name, Some(rest)));
            if option == "--spool" {
                self.is_our_spool(joined.or_else(|| given.next().copied()).unwrap_or_default())?;
                continue;
            }
            let known = verb.options.iter().find(|(name, _)| *name == option);
            let fits = match known {
                Some((_, None)) => joined.is_none(),
                // To wait for ever needs no value.
                Some(("--wait", Some(grammar))) => joined.is_none_or(|value| grammar(self.builder, value)),
                Some((_, Some(grammar))) => {
                    words.push(option.to_owned());
                    let value = joined.or_else(|| given.next().copied()).unwrap_or_default();
                    words.push(value.to_owned());
                    if grammar(self.builder, value) {
                        continue;
                    }
                    false
                }
                None => {
                    !word.starts_with('-') && verb.operands.is_some_and(|grammar| grammar(self.builder, word))
                }
            };
            if !fits {
                return Err(self.refusal(&format!("may not give {} \"{word}\"", verb.program)));
            }
            words.push((*word).to_owned());
        }
        Ok(words)
    }

    fn is_our_spool(&self, text: &str) -> Result<()> {
        if Path::new(text) == self.spool.root() {
            return Ok(());
        }
        let root = self.spool.root().display();
        Err(self.refusal(&format!("asks for the spool \"{text}\"")).hint(format!("it is {root} here")))
    }

    /// `rsync --server -OPTIONSe.CAPABILITIES [--partial] [--timeout=N] . UPLOAD`: a receiver, of files and times only.
    fn judge_rsync(&self, words: &[&str]) -> Result<Request> {
        let refused = || self.refusal("may only bring files into its own uploads with rsync");
        let [first, letters, options @ .., here, target] = words else { return Err(refused()) };
        let (given, able) =
            letters.strip_prefix('-').and_then(|rest| rest.split_once("e.")).ok_or_else(refused)?;
        let allowed = *first == "--server"
            && given.bytes().all(|byte| b"rtv".contains(&byte))
            && able.bytes().all(|byte| byte.is_ascii_alphabetic())
            && options.iter().all(|word| {
                *word == "--partial"
                    || word.strip_prefix("--timeout=").is_some_and(|number| NUMBER(self.builder, number))
            })
            && *here == ".";
        let uploads = self.spool.upload_dir(self.builder);
        let claim = Path::new(target).strip_prefix(&uploads).ok().and_then(Path::to_str);
        let claim = claim.filter(|claim| MINE(self.builder, claim)).and_then(|claim| claim.parse().ok());
        match claim {
            Some(claim) if allowed => {
                Ok(Request::Receive(words.iter().map(|&word| word.to_owned()).collect(), claim))
            }
            Some(_) | None => Err(refused()),
        }
    }

    /// Does what was asked: becomes the program, with the configuration `config`. Returns only when it cannot.
    ///
    /// # Errors
    /// It does not start.
    pub fn become_program(&self, program: &str, words: &[String], config: Option<&Path>) -> Error {
        let path = std::env::current_exe().map(|own| own.with_file_name(program));
        let path = path.unwrap_or_else(|_| PathBuf::from(program));
        let mut command = Command::new(&path);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        Error::io("run", path, command.arg("--spool").arg(self.spool.root()).args(words).exec())
    }

    /// Lets rsync receive, in a sandbox where the builder's uploads are all there is to write to; returns its status.
    ///
    /// # Errors
    /// `Again` when there is no room, or the builder has brought as much as it may.
    pub fn receive(&self, words: &[String]) -> Result<u8> {
        let uploads = self.spool.upload_dir(self.builder);
        durable::make_dir(&uploads)?;
        self.has_room()?;
        self.is_within_quota()?;
        let mut command = Command::new("bwrap");
        contain::detach(&mut command);
        command.arg("--unshare-all");
        contain::show_system(&mut command);
        command.args(["--dev", "/dev", "--bind"]).arg(&uploads).arg(&uploads);
        command.args(["--remount-ro", "/", "--chdir", "/", "--", "prlimit", "--core=0", "--nproc=64"]);
        command.arg(format!("--fsize={}", self.quota.bytes.0)).arg("rsync").args(words);
        let mut child = command.spawn().map_err(|source| Error::io("run", "bwrap", source))?;
        self.watch(&mut child)
    }

    /// Waits for the end of `child`, which is ended when it has brought too much.
    fn watch(&self, child: &mut Child) -> Result<u8> {
        let failed = |source: std::io::Error| Error::io("wait for", "rsync", source);
        let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
        let process = process.map_err(|source| failed(source.into()))?;
        let tick = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
        while matches!(
            poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&tick)),
            Ok(0) | Err(rustix::io::Errno::INTR)
        ) {
            if let Err(error) = self.is_within_quota() {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                return Err(error);
            }
        }
        let ended = child.wait().map_err(failed)?;
        Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(75))
    }

    fn is_within_quota(&self) -> Result<()> {
        let (bytes, files) = upload::weigh(self.spool, self.builder);
        if bytes <= self.quota.bytes.0 && files <= self.quota.files {
            return Ok(());
        }
        Err(Error::again(format!(
            "{} has brought {bytes} bytes in {files} files that are not acted on yet: that is its quota",
            self.builder
        )))
    }

    fn has_room(&self) -> Result<()> {
        if !upload::is_full(self.spool, self.quota.free)? {
            upload::note_room(self.spool);
            return Ok(());
        }
        upload::note_full(self.spool)?;
        Err(Error::again(format!("the disk of {} is full", inert(&self.spool.root().to_string_lossy()))))
    }

    /// Tells whether the builder may claim; a request that is repeated with its `--instance` gets what it has.
    ///
    /// # Errors
    /// `No` when it holds as much as it may.
    pub fn may_claim(&self, words: &[String]) -> Result<()> {
        let held = list::building_by(self.spool, self.builder)?;
        let value = |option: &str| {
            words.iter().position(|word| word == option).and_then(|at| words.get(at + 1)).map(String::as_str)
        };
        let repeats = |claim: Claim| value("--instance") == Some(claim.instance.as_str());
        let more = value("--count").and_then(|count| count.parse().ok()).unwrap_or(1);
        if held.len().saturating_add(more) <= self.quota.claims
            || held.iter().filter_map(Claim::of).any(repeats)
        {
            return Ok(());
        }
        let (builder, held, most) = (self.builder, held.len(), self.quota.claims);
        Err(Error::no(format!(
            "nothing to claim: {builder} holds {held} and asks for {more}: its quota is {most}"
        )))
    }

    fn refusal(&self, what: &str) -> Error {
        Error::wrong(format!("refused: {} {}", self.builder, inert(what)))
    }

    /// Writes down what was refused: who, from where, what; in `builder/NAME.refused`, of which the newest part stays.
    ///
    /// # Errors
    /// A failing system call.
    pub fn note(&self, from: &str, text: &str, clock: &Clock) -> Result<()> {
        let _lock = lock::exclusive(&self.spool.at("lock").join("builder"), lock::PATIENCE)?;
        let path = builder::refusals(self.spool, self.builder);
        let before = durable::read(&path, 2 * LOG as u64).unwrap_or_default();
        let before = String::from_utf8_lossy(&before).into_owned();
        let kept = before.len().saturating_sub(LOG);
        let kept = before
            .get(kept..)
            .and_then(|rest| if kept == 0 { Some(rest) } else { Some(rest.split_once('\n')?.1) });
        let short: String = inert(text).chars().take(200).collect();
        let line = format!("{:.0} from {}: {short}\n", clock.now(), inert(from));
        durable::replace(&path, format!("{}{line}", kept.unwrap_or_default()).as_bytes()).map(drop)
    }
}

/// How much is kept of what was refused, bytes.
const LOG: usize = 64 << 10;

#[cfg(test)]
mod tests;
