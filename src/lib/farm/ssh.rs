//! Reaching a spool on another host: the same programs run there through ssh, over one connection that ssh itself
//! keeps open.
//!
//! The far side is a login shell, or a forced command that takes plain words only (`gate`). Either may be cut off at
//! any moment: what was asked then may have been done, and is asked again.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::base::error::Kind;
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::{Host, SshSection, is_plain};

/// How often somebody who waits for the far side asks whether he is to stop.
const LOOK: Duration = Duration::from_millis(200);

/// A far side that is gone is noticed within a minute; ssh says only why it failed.
const ALWAYS: [&str; 4] =
    ["ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=3", "LogLevel=ERROR"];

/// Nobody is there who could type a password.
const BATCH: &str = "BatchMode=yes";

/// The far side of a spool on another host.
#[derive(Debug, Clone, Copy)]
pub struct Ssh<'a> {
    /// Where.
    pub host: &'a Host,
    /// How.
    pub section: &'a SshSection,
}

/// What a program said on the far side.
#[derive(Debug)]
pub struct Heard {
    /// Its exit status.
    pub status: u8,
    /// Its standard output.
    pub out: String,
    /// Its standard error, else ssh's own.
    pub said: String,
}

impl Heard {
    /// Returns it as the end of one operand of several.
    pub fn as_result(&self) -> Result<()> {
        if self.status == 0 { Ok(()) } else { Err(self.error()) }
    }

    /// Returns what was said as an error of the kind that the status means.
    pub fn error(&self) -> Error {
        // Ours say `program: why`, and perhaps a hint; ssh's own reason comes last.
        let ours = self.said.lines().find_map(|line| line.strip_prefix("sync")?.split_once(": "));
        let text = ours.map(|(_, text)| text).or_else(|| self.said.lines().last());
        let text = inert(text.unwrap_or("the other host said nothing"));
        match self.status {
            1 => Error::no(text),
            75 => Error::again(text),
            _ => Error::wrong(text),
        }
    }
}

impl Ssh<'_> {
    /// Runs `program` there with `words` for a person, who may be asked for a password; its output is ours, `said`
    /// gets its standard error, and standard input is handed on if `reads`. Returns its exit status.
    ///
    /// # Errors
    /// There is no ssh.
    pub fn run(&self, program: &str, words: &[String], reads: bool, said: &mut dyn Write) -> Result<u8> {
        let mut command = self.command(&[], program, words);
        command.stdin(if reads { Stdio::inherit() } else { Stdio::null() }).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| self.no_ssh(&source))?;
        let ended = hand_on_stderr(&mut child, said).and_then(|()| child.wait());
        let ended = ended.map_err(|source| Error::io("wait for", self.name(), source))?;
        let status = status(ended);
        if status == NOT_THERE {
            return Err(self.not_there(program));
        }
        Ok(status)
    }

    /// Runs `program` there with `words` and `input`, to its end or until `stop` says so; returns what it said.
    ///
    /// # Errors
    /// There is no ssh here, no such program there; or it was stopped, of kind `Again`.
    pub fn ask(
        &self,
        program: &str,
        words: &[String],
        input: &[u8],
        stop: &dyn Fn() -> bool,
    ) -> Result<Heard> {
        let heard = converse(self.command(&[BATCH], program, words), input, stop)
            .map_err(|source| self.no_ssh(&source))?;
        let heard = heard.ok_or_else(|| Error::again(format!("{program} was stopped while it was asked")))?;
        if heard.status == NOT_THERE {
            return Err(self.not_there(program));
        }
        Ok(heard)
    }

    /// Returns what makes rsync use an ssh of ours that asks nobody for a password: a value of its `-e`.
    pub fn for_rsync(&self) -> String {
        self.with(&[BATCH]).iter().map(|word| rsync_word(word)).collect::<Vec<_>>().join(" ")
    }

    fn with(&self, more: &[&str]) -> Vec<String> {
        let SshSection { command, control, persist, known_hosts } = self.section;
        let mut words = command.clone();
        let mut option = |text: String| words.extend(["-o".to_owned(), text]);
        for text in ALWAYS.iter().chain(more) {
            option((*text).to_owned());
        }
        if let Some(file) = known_hosts {
            option(format!("UserKnownHostsFile={}", file.display()));
            option("StrictHostKeyChecking=yes".to_owned());
        }
        if control != "none" {
            option("ControlMaster=auto".to_owned());
            option(format!("ControlPath={control}"));
            option(format!("ControlPersist={}", persist.0.as_secs()));
        }
        words.push("-T".to_owned());
        words
    }

    fn command(&self, more: &[&str], program: &str, words: &[String]) -> Command {
        let ssh = self.with(more);
        let mut command = Command::new(ssh.first().map_or("ssh", String::as_str));
        command.args(ssh.iter().skip(1)).args(["--", self.host.name()]);
        let line = ["--spool", self.host.dir()].into_iter().chain(words.iter().map(String::as_str));
        command.arg([program].into_iter().chain(line).map(quoted).collect::<Vec<_>>().join(" "));
        command
    }

    fn name(&self) -> &str {
        self.section.command.first().map_or("ssh", String::as_str)
    }

    fn no_ssh(&self, source: &io::Error) -> Error {
        let error = Error::io("run", self.name(), io::Error::from(source.kind()));
        if source.kind() == io::ErrorKind::NotFound {
            error.hint("apt-get install openssh-client")
        } else {
            error
        }
    }

    fn not_there(&self, program: &str) -> Error {
        Error::wrong(format!("cannot run {program} on {}: it is not installed there", self.host.name()))
    }
}

/// What a shell answers when it finds no such program.
const NOT_THERE: u8 = 127;

/// What ssh answers when it failed itself: the far side may be back later.
fn status(ended: ExitStatus) -> u8 {
    match ended.code().and_then(|code| u8::try_from(code).ok()) {
        Some(255) | None => Kind::Again.status(),
        Some(code) => code,
    }
}

/// Runs `command` with `input`; none if it was stopped. Its streams are files in memory: a connection that ssh keeps
/// open in the background keeps hold of a pipe, and whoever reads that never comes to its end.
fn converse(mut command: Command, input: &[u8], stop: &dyn Fn() -> bool) -> io::Result<Option<Heard>> {
    let [mut given, mut out, mut said] = [memory()?, memory()?, memory()?];
    given.write_all(input)?;
    given.rewind()?;
    let mut child = command.stdin(given).stdout(out.try_clone()?).stderr(said.try_clone()?).spawn()?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    loop {
        let ready = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timespec(LOOK)));
        if !matches!(ready, Ok(0) | Err(rustix::io::Errno::INTR)) {
            break;
        }
        if stop() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
    }
    let status = status(child.wait()?);
    Ok(Some(Heard { status, out: text(&mut out)?, said: text(&mut said)? }))
}

fn memory() -> io::Result<File> {
    Ok(File::from(memfd_create("ssh", MemfdFlags::CLOEXEC)?))
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Copies what the child says on standard error to `said`, until it has ended: not until the pipe has, for the reason
/// given at [`converse`].
fn hand_on_stderr(child: &mut Child, said: &mut dyn Write) -> io::Result<()> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let Some(mut pipe) = child.stderr.take() else { return Ok(()) };
    let mut buffer = [0_u8; 4096];
    loop {
        let mut fds = [PollFd::new(&pipe, PollFlags::IN), PollFd::new(&process, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [spoken, ended] = fds.map(|fd| !fd.revents().is_empty());
        let count = if spoken { pipe.read(&mut buffer)? } else { 0 };
        // A stderr that is gone is no reason to fail.
        let _ = said.write_all(buffer.get(..count).unwrap_or_default());
        if count == 0 && (ended || spoken) {
            return Ok(());
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Quotes a word for a shell, if it needs that.
fn quoted(word: &str) -> String {
    if !word.is_empty() && word.bytes().all(is_plain) && !word.starts_with('~') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// rsync splits the words of `-e` at spaces, but for those in quotes.
fn rsync_word(word: &str) -> String {
    if word.contains([' ', '\'', '"']) {
        format!("\"{}\"", word.replace('"', "\"\""))
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_on_the_way_changes_no_word() {
        for word in ["gcc", "", "it's", "a b", "$HOME", "~", "`id`", "a\nb", "\\", "!x", "*", "a=b;c"] {
            let line = format!("printf %s {}", quoted(word));
            let heard = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(heard.stdout).unwrap(), word);
        }
    }

    #[test]
    fn what_stays_in_the_background_with_our_streams_is_not_waited_for() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $!; cat; echo why >&2; exit 75"]);
        let heard = converse(command, b"input", &|| false).unwrap().unwrap();
        let (left, rest) = heard.out.split_once('\n').unwrap();
        assert_eq!((heard.status, rest, &*heard.said), (75, "input", "why\n"));
        assert!(heard.error().kind == Kind::Again && heard.error().to_string() == "why");
        Command::new("kill").arg(left).status().unwrap();
    }

    #[test]
    fn whoever_is_stopped_does_not_wait_for_the_other_host() {
        let mut command = Command::new("sleep");
        command.arg("60");
        assert!(converse(command, b"", &|| true).unwrap().is_none());
    }
}
