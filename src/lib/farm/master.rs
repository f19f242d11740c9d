//! The master as a builder sees it: a spool of this host, or one on another that is reached through ssh and rsync.
//!
//! Invariant: whatever is asked may be asked again when the answer was lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

use super::offer::Offer;
use super::ssh::{Heard, Ssh};
use crate::base::output::inert;
use crate::base::{Clock, Error, Result, child, durable, random};
use crate::config::{Config, NeedSection};
use crate::names::{Arch, Builder, Item, Name, Release, Revision, Tree, Version, Word};
use crate::spool::builder::Profile;
use crate::spool::claim::{self, Claimed, Request};
use crate::spool::lease::{self, Beat, Growth};
use crate::spool::report::{self, Ending};
use crate::spool::{Claim, Spool, Vitals, builder, upload, vitals};

/// How long a builder on another host waits for work before it asks anew, on the connection that is kept open.
const HELD: Duration = Duration::from_secs(300);

/// What is to be built.
#[derive(Debug, Clone, Deserialize)]
pub struct Task {
    /// The word for beats and the report.
    #[serde(deserialize_with = "parsed")]
    pub claim: Claim,
    /// The tree.
    pub tree: Tree,
    /// The package.
    pub name: Name,
    /// With epoch.
    pub version: Version,
    /// The packaging's count.
    pub release: Release,
    /// What it is built for.
    pub arch: Arch,
    /// Exactly what is built.
    pub revision: Revision,
    /// The recipe file, relative to the tree.
    pub path: String,
    /// What it belongs to.
    #[serde(default)]
    pub batch: Option<Word>,
}

fn parsed<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Claim, D::Error> {
    String::deserialize(source)?.parse().map_err(serde::de::Error::custom)
}

impl Task {
    /// Returns what is built, as it is called.
    pub fn item(&self) -> Item {
        let Self { name, version, release, arch, .. } = self.clone();
        Item { name, version, release, arch }
    }

    fn of(claimed: &Claimed) -> Self {
        let ticket = claimed.ticket.clone();
        Self {
            claim: claimed.claim.clone(),
            tree: ticket.tree,
            name: ticket.name,
            version: ticket.version,
            release: ticket.release,
            arch: ticket.arch,
            revision: ticket.revision,
            path: ticket.path,
            batch: claimed.batch.clone(),
        }
    }
}

/// Where tickets come from and reports go to.
#[derive(Debug)]
pub enum Master<'a> {
    /// On this host.
    Here(&'a Spool),
    /// On another one.
    There(Ssh<'a>),
}

impl Master<'_> {
    /// Registers a builder, or changes what it says of itself.
    ///
    /// # Errors
    /// The master cannot be reached, or a failing system call.
    pub fn register(&self, name: &Builder, profile: &Profile, clock: &Clock) -> Result<()> {
        match self {
            Self::Here(spool) => builder::register(spool, name, profile, clock),
            Self::There(ssh) => {
                let mut words = profile.words();
                words.push(name.to_string());
                said(ssh, "syncpkg-builder", &words, b"", &|| false).map(drop)
            }
        }
    }

    /// Claims, waiting for work if `waits`, until `stop` says so.
    ///
    /// # Errors
    /// `No` when there is nothing it may have; the master cannot be reached, or a failing system call.
    pub fn claim(
        &self,
        request: &Request,
        offer: &Offer,
        needs: &BTreeMap<Name, NeedSection>,
        waits: bool,
        stop: &dyn Fn() -> bool,
        clock: &Clock,
    ) -> Result<Vec<Task>> {
        let ssh = match self {
            Self::Here(spool) => {
                vitals::note(spool, &request.builder, offer.vitals())?;
                let request = Request { choice: offer.choice(needs), ..request.clone() };
                let claimed = match waits {
                    true => claim::wait(spool, &request, None, stop, clock)?,
                    false => claim::take(spool, &request, clock)?,
                };
                return Ok(claimed.iter().map(Task::of).collect());
            }
            Self::There(ssh) => ssh,
        };
        let Request { builder, instance, archs, count, choice: _ } = request;
        let mut words = vec!["--json".to_owned()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--builder", builder.to_string());
        option("--instance", instance.to_string());
        option("--arch", list(archs));
        option("--count", count.to_string());
        words.extend(offer.words());
        if waits {
            words.push(format!("--wait={}s", HELD.as_secs()));
        }
        let answer = said(ssh, "syncpkg-claim", &words, b"", stop)?;
        let read = |line: &str| {
            let task = serde_json::from_str::<Task>(line);
            task.map_err(|source| Error::wrong(format!("cannot read what the master gave: {source}")))
        };
        answer.lines().map(read).collect()
    }

    /// Extends the lease of a claim, hands over what its log has grown by, and says how the builder's host does.
    ///
    /// # Errors
    /// The master cannot be reached, or a failing system call.
    pub fn beat(&self, claim: &Claim, log: Option<&Log>, vitals: Vitals, config: &Config) -> Result<Beat> {
        match self {
            Self::Here(spool) => {
                let beat = lease::beat(spool, claim, log.map(|log| log.path.as_path()), &config.limit);
                if let Some(log) = log {
                    log.handed_over.store(lease::known(spool, claim), Ordering::Relaxed);
                }
                if matches!(beat, Ok(Beat::GoOn)) {
                    vitals::note(spool, &claim.builder, vitals)?;
                }
                beat
            }
            Self::There(ssh) => beat_there(ssh, claim, log, vitals),
        }
    }

    /// Waits until the claim does not hold any more, or `stop` says so; at times it returns just so.
    ///
    /// # Errors
    /// The master cannot be reached, or a failing system call.
    pub fn watch(&self, claim: &Claim, stop: &dyn Fn() -> bool) -> Result<Beat> {
        match self {
            Self::Here(spool) => lease::watch(spool, claim, HELD, stop),
            Self::There(ssh) => {
                let words = [format!("--watch={}s", HELD.as_secs()), claim.to_string()];
                heard_beat(&ssh.ask("syncpkg-beat", &words, b"", stop)?)
            }
        }
    }

    /// Ends a claim.
    ///
    /// # Errors
    /// `No` when refused; otherwise nothing was acknowledged: ask again.
    pub fn report(&self, claim: &Claim, ending: &Ending, config: &Config, clock: &Clock) -> Result<()> {
        match self {
            Self::Here(spool) => report::end(spool, claim, ending, &config.trouble, clock),
            Self::There(ssh) => report_there(ssh, claim, ending),
        }
    }
}

/// The growing log of a running try, and how much of it the master has.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    handed_over: AtomicU64,
}

impl Log {
    /// Nothing of `path` is handed over yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, handed_over: AtomicU64::new(0) }
    }

    /// Tells whether there is more than was handed over.
    pub fn has_grown(&self) -> bool {
        let have = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        have > self.handed_over.load(Ordering::Relaxed)
    }
}

/// What has grown goes along on standard input; the master says how much it has then.
fn beat_there(ssh: &Ssh, claim: &Claim, log: Option<&Log>, vitals: Vitals) -> Result<Beat> {
    let mut words = vitals.words();
    words.push(claim.to_string());
    let mut bytes = Vec::new();
    if let Some(log) = log {
        let growth = Growth::of(&log.path, log.handed_over.load(Ordering::Relaxed))?;
        words.extend(["--log-at".to_owned(), growth.at.to_string()]);
        bytes = growth.bytes;
    }
    let heard = ssh.ask("syncpkg-beat", &words, &bytes, &|| false)?;
    if let (Some(log), Ok(has)) = (log, heard.out.trim().parse()) {
        log.handed_over.store(has, Ordering::Relaxed);
    }
    heard_beat(&heard)
}

fn heard_beat(heard: &Heard) -> Result<Beat> {
    match heard.status {
        0 => Ok(Beat::GoOn),
        1 => Ok(Beat::Stop(inert(heard.out.trim()))),
        _ => Err(heard.error()),
    }
}

/// Brings what there is to bring, and then says what was brought: its hash comes by another way than itself.
fn report_there(ssh: &Ssh, claim: &Claim, ending: &Ending) -> Result<()> {
    let stage = std::env::temp_dir().join(format!("syncpkg-report-{}", random::word(8)));
    let done = upload::stage(ending, &stage).and_then(|sha256| {
        bring(ssh, claim, &stage)?;
        let words = ["--delivered".to_owned(), sha256, claim.to_string()];
        said(ssh, "syncpkg-report", &words, b"", &|| false).map(drop)
    });
    durable::remove_tree(&stage)?;
    done
}

fn bring(ssh: &Ssh, claim: &Claim, stage: &std::path::Path) -> Result<()> {
    let target = ssh.host.at(&format!("upload/{}/{claim}/", claim.builder));
    let mut command = Command::new("rsync");
    command.args(["-rtL", "--partial", "--timeout=60", "-e", &ssh.for_rsync()]);
    command.arg(format!("{}/", stage.display())).arg(target).stdin(Stdio::null());
    let ran = child::output(command).map_err(|source| Error::io("run", "rsync", source))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let reason = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(Error::again(format!("cannot bring the report to {}: {}", ssh.host.name(), inert(reason))))
}

/// Returns what a program said on the far side, if it did what it was asked.
fn said(ssh: &Ssh, program: &str, words: &[String], input: &[u8], stop: &dyn Fn() -> bool) -> Result<String> {
    let heard = ssh.ask(program, words, input, stop)?;
    match heard.status {
        0 => Ok(heard.out),
        _ => Err(heard.error()),
    }
}

fn list(archs: &[Arch]) -> String {
    archs.iter().map(Arch::as_str).collect::<Vec<_>>().join(",")
}
