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
            ("--except", Some(NAMES)),
            ("--last", Some(NAMES)),
            ("--wait", Some(AGE)),
            ("--json", None),
        ],
        operands: None,
    },
    Verb {
        program: "syncpkg-beat",
        options: &[("--log-at", Some(NUMBER)), ("--watch", Some(AGE))],
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
mod tests {
    use super::*;

    const CLAIM: &str = "b1.20261122-144743-123-k3f7x2.1.x7k2m9qa";

    fn judge(text: &str) -> Result<Request> {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::create(&place.path().join("s")).unwrap();
        let gate = Gate { builder: &"b1".parse().unwrap(), spool: &spool, quota: &QuotaSection::default() };
        gate.judge(&text.replace("/s", &spool.root().to_string_lossy()))
    }

    #[test]
    fn a_builder_may_claim_beat_report_register_and_look() {
        for (text, wanted) in [
            (
                "syncpkg-claim --spool /s --json --builder b1 --arch x86_64,i686 --instance a1 --count 2 --wait=5m",
                "syncpkg-claim --json --builder b1 --arch x86_64,i686 --instance a1 --count 2 --wait=5m",
            ),
            ("syncpkg-claim --builder=b1 --wait", "syncpkg-claim --builder b1 --wait"),
            (&format!("syncpkg-beat {CLAIM} --log-at 17"), &format!("syncpkg-beat {CLAIM} --log-at 17")),
            (
                &format!("syncpkg-report --delivered {0} {CLAIM}", "a".repeat(64)),
                &format!("syncpkg-report --delivered {0} {CLAIM}", "a".repeat(64)),
            ),
            ("syncpkg-builder --arch x86_64 b1", "syncpkg-builder --arch x86_64 b1"),
            (
                "syncpkg-builder --arch x86_64 --slots 2 --tag big,ssd --runs 2.0.0 --host b1.example.org b1",
                "syncpkg-builder --arch x86_64 --slots 2 --tag big,ssd --runs 2.0.0 --host b1.example.org b1",
            ),
            (
                "syncpkg-claim --builder b1 --tag big --memory 8 --disk 9 --except gtk+,libsigc++ --last a@b",
                "syncpkg-claim --builder b1 --tag big --memory 8 --disk 9 --except gtk+,libsigc++ --last a@b",
            ),
            ("syncpkg-ls failed --since 3h --json", "syncpkg-ls failed --since 3h --json"),
            ("syncpkg-why current/gcc", "syncpkg-why current/gcc"),
            ("syncpkg-log --follow gcc", "syncpkg-log --follow gcc"),
        ] {
            let Request::Run(program, words) = judge(text).unwrap() else { unreachable!("{text}") };
            assert_eq!([&[program.to_owned()][..], &words].concat().join(" "), wanted);
        }
    }

    #[test]
    fn what_a_shell_takes_for_itself_is_refused_before_it_is_looked_at() {
        for bad in ["syncpkg-ls 'all'", "syncpkg-ls $HOME", "syncpkg-ls\nid", "syncpkg-ls *", "rsync \\"] {
            assert!(judge(bad).unwrap_err().to_string().contains("plain words only"), "{bad}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("syncpkg-why {}", "a".repeat(1 << 20));
        for bad in [
            "",
            " ",
            "sh",
            "sh -c id",
            "/bin/sh",
            "eval syncpkg-ls",
            "syncpkg-ls;id",
            "syncpkg-ls $(id)",
            "syncpkg-ls `id`",
            "syncpkg-ls\nid",
            "syncpkg-ls | sh",
            "syncpkg-ls > /tmp/x",
            "syncpkg-ls 'all'",
            "syncpkg-ls \"all\"",
            "syncpkg-ls \\all",
            "syncpkg-ls ~root",
            "syncpkg-ls *",
            "syncpkg-ls --maintainer a@b",
            "A=b syncpkg-ls",
            "LC_ALL=x syncpkg-ls",
            "../syncpkg-ls",
            "syncpkg-abort gcc",
            "syncpkg-enqueue gcc",
            "syncpkg-init /s",
            "syncpkg-check --repair",
            "syncpkg-shell b2",
            "syncpkg-stats",
            "syncpkg-ls --config /etc/passwd",
            "syncpkg-ls --spool /other",
            "syncpkg-ls --spool=/other",
            "syncpkg-ls --out /tmp",
            "syncpkg-ls --spool",
            "syncpkg-claim --arch x86_64",
            "syncpkg-claim --builder b2",
            "syncpkg-claim --builder b1 --builder b2",
            "syncpkg-claim --builder b1 --wait=x",
            "syncpkg-claim --builder b1 --instance A",
            "syncpkg-claim --builder b1 extra",
            "syncpkg-claim --builder b1 --json=x",
            "syncpkg-beat b2.20261122-144743-123-k3f7x2.1.x7k2m9qa",
            "syncpkg-beat x",
            "syncpkg-beat --log /etc/shadow b1.20261122-144743-123-k3f7x2.1.x7k2m9qa",
            "syncpkg-beat --log-at -1",
            "syncpkg-report --outcome built b1.20261122-144743-123-k3f7x2.1.x7k2m9qa",
            "syncpkg-report --delivered x",
            "syncpkg-report --file /etc/shadow b1.20261122-144743-123-k3f7x2.1.x7k2m9qa",
            "syncpkg-builder --pause b1",
            "syncpkg-builder b2",
            "syncpkg-builder --forget b1",
            "syncpkg-builder --key b1 x.pub",
            "syncpkg-why ../x",
            "syncpkg-why a/b/c",
            "syncpkg-why /etc/passwd",
            "scp -t /tmp",
            "scp -f /etc/passwd",
            "/usr/lib/openssh/sftp-server",
            "internal-sftp",
            "git-upload-pack x",
            "syncpkg-ls é",
            &long,
        ] {
            let error = judge(bad).unwrap_err();
            assert!(
                error.kind.status() == 2 && error.to_string().starts_with("refused: b1 "),
                "{bad}: {error}"
            );
            assert!(error.to_string().len() < 8192 && !error.to_string().contains('\n'));
        }
    }

    #[test]
    fn rsync_may_bring_files_into_the_builders_own_uploads_and_nothing_else() {
        let up = format!("/s/upload/b1/{CLAIM}");
        let line = |words: &str| format!("rsync --server {words}");
        for good in
            [format!("-tre.iLsfxCIvu . {up}/"), format!("-vtre.LsfxCIvu --partial --timeout=60 . {up}")]
        {
            let Request::Receive(words, claim) = judge(&line(&good)).unwrap() else { unreachable!("{good}") };
            assert!(words.len() >= 4 && claim.to_string() == CLAIM);
        }
        let other = up.replace("/b1/", "/b2/");
        for bad in [
            format!("--sender -tre.iLsfxCIvu . {up}/"),
            format!("-ltre.iLsfxCIvu . {up}/"),
            format!("-logDtpre.iLsfxCIvu . {up}/"),
            format!("-tre.iLsfxCIvu --inplace . {up}/"),
            format!("-tre.iLsfxCIvu --delete . {up}/"),
            format!("-tre.iLsfxCIvu --log-file=/s/x . {up}/"),
            format!("-tre.iLsfxCIvu --temp-dir=/tmp . {up}/"),
            format!("-tre.iLsfxCIvu --partial-dir=/s . {up}/"),
            format!("-tre.iLsfxCIvu . {up}/files/"),
            format!("-tre.iLsfxCIvu . {up}/../../../new"),
            format!("-tre.iLsfxCIvu . {up}/.."),
            format!("-tre.iLsfxCIvu . {other}"),
            "-tre.iLsfxCIvu . /s/upload/b1/".to_owned(),
            "-tre.iLsfxCIvu . /s/new".to_owned(),
            "-tre.iLsfxCIvu . .".to_owned(),
            format!("-tre.iLsfxCIvu {up} {up}"),
            format!("-stre.iLsfxCIvu . {up}/"),
            format!("-tr . {up}/"),
            format!("--daemon . {up}/"),
            String::new(),
        ] {
            assert!(judge(&line(&bad)).unwrap_err().to_string().contains("its own uploads"), "{bad}");
        }
    }

    #[test]
    fn what_was_refused_is_written_down_and_bounded() {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::create(&place.path().join("s")).unwrap();
        let gate = Gate { builder: &"b1".parse().unwrap(), spool: &spool, quota: &QuotaSection::default() };
        for _ in 0..700 {
            gate.note("10.0.0.7", &format!("sh\n\u{1b}[31m{}", "a".repeat(5000)), &Clock::system()).unwrap();
        }
        let text = std::fs::read_to_string(builder::refusals(&spool, gate.builder)).unwrap();
        assert!(text.len() <= LOG + 400 && text.lines().count() > 200);
        assert!(text.lines().all(|line| line.contains(" from 10.0.0.7: sh\\u{a}\\u{1b}[31maaa")), "{text}");
    }
}
