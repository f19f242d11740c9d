//! One conversation with the reader in its sandbox: a request for each recipe, and what is said to it.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::sandbox::Launch;
use crate::base::random;
use crate::base::{Error, Result};

/// The most that is kept of what recipes say on standard error.
const TALK: usize = 8 << 10;

/// How long the end of what was killed is waited for.
const DEATH: Duration = Duration::from_secs(2);
/// What bwrap says of a program that was killed: as a shell does.
const KILLED: i32 = 128 + 9;

/// What the reader said about one recipe: keys with values, a key as often as it likes.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Takes apart `KEY=VALUE` records, each ended by NUL; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let records = bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        Self(
            records
                .filter_map(|record| {
                    record.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
                })
                .collect(),
        )
    }

    /// Adds `value` to those of `key`, if there is one.
    pub(super) fn add(&mut self, key: &str, value: Option<&str>) {
        self.0.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    }

    /// Puts `value` before all others of `key`, if there is one.
    pub(super) fn lead(&mut self, key: &str, value: Option<&str>) {
        self.0.splice(..0, value.map(|value| (key.to_owned(), value.to_owned())));
    }

    /// Returns the values of `key`, also empty ones.
    pub(super) fn all<'a, 'k: 'a>(&'a self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        self.0.iter().filter(move |(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// Returns the first value of `key` unless it is empty.
    pub(super) fn one(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own == key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// How the reading of one recipe ended.
#[derive(Debug)]
pub(super) enum Turn {
    /// The recipe had its turn; what it said, and what it said on standard error.
    Done(Fields, String),
    /// The recipe broke the conversation, for this reason; the session is over.
    Broken(String),
}

/// A running sandbox; dropped, everything in it is dead.
pub(super) struct Session {
    child: Child,
    requests: UnixStream,
    answers: ChildStdout,
    talk: ChildStderr,
    heard: Vec<u8>,
    said: Vec<u8>,
    common: Vec<String>,
}

impl Session {
    /// Starts what `launch` says, and does not wait for it.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(launch: Launch) -> Result<Self> {
        let Launch { mut command, bash } = launch;
        // A socket, because a recipe could open the reader's end of a pipe through /proc.
        let (requests, theirs) =
            UnixStream::pair().map_err(|source| Error::io("make", "a socket", source))?;
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(not_installed)?;
        drop(bash);
        let (Some(answers), Some(talk)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::wrong("cannot read recipes: the sandbox has no output"));
        };
        Ok(Self { child, requests, answers, talk, heard: Vec::new(), said: Vec::new(), common: Vec::new() })
    }

    /// Lets the reader source the prelude, now that the schemes are where it looks for them, and waits until that is done.
    ///
    /// # Errors
    /// It did not start, the prelude breaks, or it takes longer than `patience`.
    pub(super) fn furnish(mut self, patience: Duration) -> Result<Self> {
        let told = self.requests.write_all(b"\0").map_err(|source| source.to_string());
        let heard = self.hear(b"ready\0", patience, TALK);
        match heard.and_then(|before| told.map(|()| before)) {
            Ok(before) => {
                self.common = Fields::parse(&before).all("scheme").map(str::to_owned).collect();
                Ok(self)
            }
            Err(why) => {
                let said = crate::base::output::inert(self.last_said());
                let why = if said.is_empty() { why } else { said };
                let text = format!("cannot read recipes: the sandbox does not start: {why}");
                let error = if self.was_killed() { Error::again(text) } else { Error::said(text, &why) };
                let hint = "check the tree's prelude, and that bwrap may make namespaces for this user";
                Err(if error.may_pass() { error } else { error.hint(hint) })
            }
        }
    }

    /// Lets the reader read the recipe `path`: within `patience`, with at most `limit` bytes of fields.
    pub(super) fn read(&mut self, path: &str, patience: Duration, limit: usize) -> Turn {
        let (begin, end) = (random::word(24), random::word(24));
        self.said.clear();
        let asked = self.requests.write_all(format!("{begin}{path}\0{end}").as_bytes());
        let heard = asked
            .map_err(|source| source.to_string())
            .and_then(|()| self.hear(format!("{begin}\0").as_bytes(), patience, limit))
            .and_then(|_| self.hear(format!("{end}\0").as_bytes(), patience, limit));
        match heard.and_then(|fields| self.hear_out().map(|()| fields)) {
            Ok(fields) => {
                Turn::Done(Fields::parse(&fields), String::from_utf8_lossy(&self.said).into_owned())
            }
            Err(why) => Turn::Broken(why),
        }
    }

    /// Returns the schemes that the prelude included for all.
    pub(super) fn common(&self) -> &[String] {
        &self.common
    }

    fn last_said(&self) -> &str {
        let text = std::str::from_utf8(&self.said).unwrap_or_default();
        text.lines().last().unwrap_or_default()
    }

    /// Tells whether somebody has killed the sandbox, as a kernel that is short of memory does. bwrap ends as what is in it did.
    fn was_killed(&mut self) -> bool {
        let timeout = Timespec::try_from(DEATH).unwrap_or_default();
        // An error says no more than that it is not waited for.
        let _ = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .and_then(|pidfd| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)));
        let killed = |status: ExitStatus| status.signal().is_some() || status.code() == Some(KILLED);
        self.child.try_wait().ok().flatten().is_some_and(killed)
    }

    /// Takes in what is left on standard error when nobody is alive who could say more: the next recipe must not
    /// answer for it.
    fn hear_out(&mut self) -> Result<(), String> {
        loop {
            let mut talk = [PollFd::new(&self.talk, PollFlags::IN)];
            poll(&mut talk, Some(&Timespec::default())).map_err(|errno| errno.to_string())?;
            if !talk.iter().any(|fd| fd.revents().contains(PollFlags::IN)) {
                return Ok(());
            }
            self.listen(Duration::ZERO).map_err(|source| source.to_string())?;
        }
    }

    /// Returns what comes before `mark` and forgets both.
    fn hear(&mut self, mark: &[u8], patience: Duration, limit: usize) -> Result<Vec<u8>, String> {
        let start = Instant::now();
        let mut searched = 0;
        loop {
            if let Some(at) = position(&self.heard, mark, searched) {
                let mut before: Vec<u8> = self.heard.drain(..at + mark.len()).collect();
                before.truncate(at);
                return Ok(before);
            }
            searched = self.heard.len().saturating_sub(mark.len());
            if self.heard.len() > limit + mark.len() {
                return Err(format!("it says more than {} KiB", limit >> 10));
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(format!("it takes longer than {} s", patience.as_secs_f32()));
            }
            if !self.listen(left).map_err(|source| source.to_string())? {
                return Err("it ended the shell that reads it".to_owned());
            }
        }
    }

    /// Takes in what is there or comes within `patience`; false at the end of the answers.
    fn listen(&mut self, patience: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut fds = [PollFd::new(&self.answers, PollFlags::IN), PollFd::new(&self.talk, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other.map(drop)?,
        }
        let [answers, talk] = fds.map(|fd| !fd.revents().is_empty());
        let mut buffer = [0_u8; 16 << 10];
        if talk {
            let count = self.talk.read(&mut buffer)?;
            let room = TALK.saturating_sub(self.said.len()).min(count);
            self.said.extend(buffer.iter().take(room));
        }
        if answers {
            let count = self.answers.read(&mut buffer)?;
            self.heard.extend(buffer.iter().take(count));
            return Ok(count > 0);
        }
        Ok(true)
    }
}

/// Returns where `mark` first begins in `bytes`, at or after `from`.
fn position(bytes: &[u8], mark: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(mark.len()).position(|window| window == mark).map(|at| from + at)
}

impl Drop for Session {
    fn drop(&mut self) {
        // bwrap is the parent of the first process of the PID namespace: with it dies everything inside, soon.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let end = Instant::now() + DEATH;
        while Instant::now() < end && matches!(self.listen(DEATH), Ok(true)) {
            self.heard.clear();
        }
    }
}

fn not_installed(source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::NotFound {
        return Error::wrong("cannot read recipes: bwrap is not installed")
            .hint("apt-get install bubblewrap");
    }
    Error::io("run", "bwrap", source)
}
