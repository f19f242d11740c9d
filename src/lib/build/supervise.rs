//! Running a build: its output into the log, its limits kept, its lease extended, no process of it left behind.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::cgroup::Cgroup;
use super::log::Log;
use super::strays::{self, MARK};
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::Span;

/// How often 64 KiB are read from the pipe of a build that has ended: more than any pipe holds by default.
const PIPE_LOADS: u32 = 32;

/// What a build may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may take in all.
    pub total: Duration,
    /// How long it may print nothing.
    pub silence: Duration,
    /// How many bytes of its output are kept.
    pub log: u64,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How often its lease is extended.
    pub beat: Duration,
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// By us: it took too long.
    TotalLimit,
    /// By us: it printed nothing for too long.
    SilenceLimit,
    /// By us: the beat gave this reason.
    Stopped(String),
}

/// Runs `command` in `dir` with `env` added to the environment and its output appended to `log`, until it ends or
/// a limit is met. `beat` is called every [`Limits::beat`]; a reason it returns stops the build, an error of its is
/// passed over (the master may be away). Meanwhile nothing else is looked at: it must not take long.
///
/// # Errors
/// The command does not start, or the log cannot be written; then too nothing of the build is left.
pub fn run(
    command: &[String],
    dir: &Path,
    env: &[(String, String)],
    log: &Path,
    limits: &Limits,
    beat: &mut dyn FnMut() -> Result<Option<String>>,
) -> Result<End> {
    let mut log = Log::open(log, limits.log)?;
    let (mut build, output) = Build::start(command, dir, env)?;
    let mut watch = Watch::new(limits);
    let mut output = Some(output);
    loop {
        let (ended, readable) = wait(&build.pidfd, output.as_ref(), watch.patience())?;
        if readable {
            match drain(output.as_mut(), &mut log)? {
                Drained::Some => watch.heard(),
                Drained::Nothing => {}
                Drained::Closed => output = None,
            }
        }
        if ended {
            break;
        }
        match watch.judge(beat) {
            Act::Nothing => {}
            Act::Terminate => build.signal(Signal::TERM),
            Act::Kill => build.signal(Signal::KILL),
        }
    }
    let status = build.finish()?;
    // A grandchild that left the group may hold the pipe open, and print: what a full pipe can hold is taken, the
    // end not waited for.
    for _ in 0..PIPE_LOADS {
        if drain(output.as_mut(), &mut log)? != Drained::Some {
            break;
        }
    }
    let end = watch.end(status);
    if let Some(text) = said(&end, limits) {
        log.mark(&text)?;
    }
    Ok(end)
}

/// What is to be done to the build.
enum Act {
    Nothing,
    Terminate,
    Kill,
}

/// The clockwork of one build.
struct Watch<'a> {
    limits: &'a Limits,
    start: Instant,
    last_output: Instant,
    next_beat: Instant,
    stopping: Option<(End, Instant)>,
    killed: bool,
}

impl<'a> Watch<'a> {
    fn new(limits: &'a Limits) -> Self {
        let now = Instant::now();
        let next_beat = later(now, limits.beat);
        Self { limits, start: now, last_output: now, next_beat, stopping: None, killed: false }
    }

    fn heard(&mut self) {
        self.last_output = Instant::now();
    }

    /// Returns how long nothing has to be done.
    fn patience(&self) -> Duration {
        let next = match (&self.stopping, self.killed) {
            // Nothing is left to be done but to wait; look now and then all the same.
            (_, true) => return Duration::from_secs(60),
            (Some((_, kill)), false) => *kill,
            (None, false) => {
                let total = later(self.start, self.limits.total);
                total.min(later(self.last_output, self.limits.silence)).min(self.next_beat)
            }
        };
        next.saturating_duration_since(Instant::now())
    }

    fn judge(&mut self, beat: &mut dyn FnMut() -> Result<Option<String>>) -> Act {
        let now = Instant::now();
        if let Some((_, kill)) = &self.stopping {
            if self.killed || now < *kill {
                return Act::Nothing;
            }
            self.killed = true;
            return Act::Kill;
        }
        let Some(end) = self.verdict(now, beat) else { return Act::Nothing };
        self.stopping = Some((end, later(Instant::now(), self.limits.grace)));
        Act::Terminate
    }

    fn verdict(&mut self, now: Instant, beat: &mut dyn FnMut() -> Result<Option<String>>) -> Option<End> {
        if now.duration_since(self.start) >= self.limits.total {
            return Some(End::TotalLimit);
        }
        if now.duration_since(self.last_output) >= self.limits.silence {
            return Some(End::SilenceLimit);
        }
        if now < self.next_beat {
            return None;
        }
        let reason = beat().ok().flatten();
        self.next_beat = later(Instant::now(), self.limits.beat);
        reason.map(End::Stopped)
    }

    fn end(self, status: ExitStatus) -> End {
        match (self.stopping, status.code(), status.signal()) {
            (Some((end, _)), _, _) => end,
            (None, Some(code), _) => End::Exited(code),
            (None, None, signal) => End::Signalled(signal.unwrap_or(0)),
        }
    }
}

/// Adds, as far as the clock goes: a limit of a million years is as good as a year.
fn later(time: Instant, after: Duration) -> Instant {
    time + after.min(Duration::from_secs(366 * 86_400))
}

fn said(end: &End, limits: &Limits) -> Option<String> {
    match end {
        End::Exited(_) => None,
        End::Signalled(signal) => Some(format!("killed by signal {signal}")),
        End::TotalLimit => Some(format!("stopped: it took longer than {}", Span(limits.total))),
        End::SilenceLimit => Some(format!("stopped: no output for {}", Span(limits.silence))),
        End::Stopped(reason) => Some(format!("stopped: {}", inert(reason))),
    }
}

/// A running process group; dropped, it is dead.
struct Build {
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
    /// What its processes are known by when they have left the group.
    mark: Option<String>,
    /// Ends last.
    _cgroup: Option<Cgroup>,
}

impl Build {
    fn start(command: &[String], dir: &Path, env: &[(String, String)]) -> Result<(Self, PipeReader)> {
        let [program, words @ ..] = command else {
            return Err(Error::wrong("cannot run the build: its command is empty"));
        };
        let mark = env.iter().find_map(|(name, value)| (name == MARK).then(|| value.clone()));
        let cgroup = mark.as_deref().and_then(Cgroup::make);
        // So that the build does not outlive its supervisor, however that dies.
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]);
        wrapped.args(cgroup.as_ref().map(Cgroup::words).unwrap_or_default()).args(command);
        let (child, output) = match spawn(wrapped, dir, env) {
            Err(source) if source.kind() == io::ErrorKind::NotFound && dir.is_dir() => {
                let mut plain = Command::new(program);
                plain.args(words);
                spawn(plain, dir, env)
            }
            other => other,
        }
        .map_err(|source| Error::io("run", program, source))?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        let pidfd = pidfd.map_err(|source| Error::io("watch", program, source))?;
        Ok((Self { child, pid, pidfd, status: None, mark, _cgroup: cgroup }, output))
    }

    fn signal(&self, signal: Signal) {
        // Not there any more is as good as dead.
        let _ = kill_process_group(self.pid, signal);
    }

    fn finish(&mut self) -> Result<ExitStatus> {
        // Before it is reaped: until then nobody else can have its number.
        self.signal(Signal::KILL);
        let status = self.child.wait().map_err(|source| Error::io("wait for", "the build", source))?;
        self.status = Some(status);
        strays::end(self.pid, self.mark.as_deref());
        Ok(status)
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.finish();
        }
    }
}

fn spawn(mut command: Command, dir: &Path, env: &[(String, String)]) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    rustix::fs::fcntl_setfl(&output, rustix::fs::OFlags::NONBLOCK)?;
    command.current_dir(dir).envs(env.iter().cloned()).process_group(0);
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    strays::start(|| Ok((command.spawn()?, output)))
}

/// Waits until the build has ended, or has printed, or `patience` is over.
fn wait(pidfd: &OwnedFd, output: Option<&PipeReader>, patience: Duration) -> Result<(bool, bool)> {
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 });
    let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
    fds.extend(output.map(|output| PollFd::new(output, PollFlags::IN)));
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok((false, false)),
        Err(source) => return Err(Error::io("wait for", "the build", source)),
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    Ok((ready.next().unwrap_or(false), ready.next().unwrap_or(false)))
}

/// What came out of the pipe.
#[derive(PartialEq, Eq)]
enum Drained {
    Some,
    Nothing,
    Closed,
}

/// Takes one load from the pipe into the log.
fn drain(output: Option<&mut PipeReader>, log: &mut Log) -> Result<Drained> {
    let Some(pipe) = output else { return Ok(Drained::Closed) };
    let mut buffer = [0_u8; 64 << 10];
    match pipe.read(&mut buffer) {
        Ok(0) => Ok(Drained::Closed),
        Ok(count) => log.keep(buffer.get(..count).unwrap_or_default()).map(|()| Drained::Some),
        Err(source) if source.kind() == io::ErrorKind::Interrupted => Ok(Drained::Nothing),
        Err(source) if source.kind() == io::ErrorKind::WouldBlock => Ok(Drained::Nothing),
        Err(source) => Err(Error::io("read", "the build's output", source)),
    }
}
