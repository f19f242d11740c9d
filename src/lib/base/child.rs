//! Children whose output is read: a pipe that fails is an error to report, not the end of the program that reads it.

use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Read by whoever waits for a child of his own.
static WAITING: RwLock<()> = RwLock::new(());

fn waiting() -> RwLockReadGuard<'static, ()> {
    WAITING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Returns, if nobody waits for a child here, what keeps everybody from starting one: whoever buries the dead of others must
/// not take one that is waited for, and cannot tell them apart.
pub fn none_is_awaited() -> Option<RwLockWriteGuard<'static, ()>> {
    WAITING.try_write().ok()
}

/// Runs `command` to its end and returns its status and what it wrote, as [`Command::output`], which panics when a
/// pipe cannot be read.
///
/// # Errors
/// It does not start, or what it writes cannot be read.
pub fn output(command: Command) -> io::Result<Output> {
    let mut stdout = Vec::new();
    let (heard, (status, stderr)) = heard(command, |mut pipe| pipe.read_to_end(&mut stdout))?;
    heard?;
    Ok(Output { status, stdout, stderr })
}

/// Runs `command` to its end and lets `hear` read what it writes, as much of it as `hear` likes; returns what that
/// returned, the status, and what the child said on standard error. With more to say than was heard it dies of it.
///
/// # Errors
/// It does not start, or cannot be waited for.
pub fn heard<T>(
    mut command: Command,
    hear: impl FnOnce(ChildStdout) -> T,
) -> io::Result<(T, (ExitStatus, Vec<u8>))> {
    let _waiting = waiting();
    // Not a second pipe, which would have to be emptied while the first one is.
    let mut said = File::from(memfd_create("said", MemfdFlags::CLOEXEC)?);
    let mut child = command.stdout(Stdio::piped()).stderr(said.try_clone()?).spawn()?;
    let pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    // It closes the pipe: a child with more to say dies of it.
    let heard = hear(pipe);
    let status = child.wait()?;
    let mut stderr = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut stderr)?;
    Ok((heard, (status, stderr)))
}

/// Returns `bytes` for a child to read: not as a pipe, which would have to be filled while another one is emptied, and
/// breaks when nobody reads it.
///
/// # Errors
/// There is no memory for them.
pub fn letter(bytes: &[u8]) -> io::Result<File> {
    let mut letter = File::from(memfd_create("letter", MemfdFlags::CLOEXEC)?);
    letter.write_all(bytes)?;
    letter.rewind()?;
    Ok(letter)
}

/// What came of a child that was given limits.
#[derive(Debug)]
pub struct Ran {
    /// How it ended; none when it took too long, and was killed.
    pub status: Option<ExitStatus>,
    /// The beginning of what it wrote, to either side.
    pub said: Vec<u8>,
}

/// Runs `command` with `input` to read, for at most `limit`; of what it writes `most` bytes are kept, and the rest is let
/// go. Nothing of its process group is left when it has ended.
///
/// # Errors
/// It does not start, or cannot be watched; then too nothing of it is left.
pub fn limited(mut command: Command, input: &[u8], limit: Duration, most: usize) -> io::Result<Ran> {
    let _waiting = waiting();
    let (mut output, end) = io::pipe()?;
    fcntl_setfl(&output, OFlags::NONBLOCK)?;
    command.stdin(letter(input)?).stdout(end.try_clone()?).stderr(end).process_group(0);
    let mut child = command.spawn()?;
    // It holds the ends of the pipe that the child writes to.
    drop(command);
    let pid = Pid::from_child(&child);
    let mut said = Vec::new();
    let watched = pidfd_open(pid, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|pidfd| watch(&pidfd, &mut output, (Instant::now(), limit), (&mut said, most)));
    // Before it is reaped: until then nobody else can have its number. Not there any more is as good as dead.
    let _ = kill_process_group(pid, Signal::KILL);
    let status = child.wait()?;
    let in_time = watched?;
    hear(&mut output, (&mut said, most))?;
    Ok(Ran { status: in_time.then_some(status), said })
}

/// Waits until the child has ended, and hears what it says; tells whether it did so in time.
fn watch(
    pidfd: &OwnedFd,
    output: &mut PipeReader,
    (start, limit): (Instant, Duration),
    (said, most): (&mut Vec<u8>, usize),
) -> io::Result<bool> {
    let mut open = true;
    loop {
        let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
            return Ok(false);
        };
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 });
        let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
        fds.extend(open.then(|| PollFd::new(&*output, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => return Err(source.into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        if ready.next().unwrap_or(false) {
            return Ok(true);
        }
        if ready.next().unwrap_or(false) {
            open = hear(output, (&mut *said, most))?;
        }
    }
}

/// Takes what is in the pipe, one load of it; tells whether there may come more.
fn hear(output: &mut PipeReader, (said, most): (&mut Vec<u8>, usize)) -> io::Result<bool> {
    let mut buffer = [0_u8; 64 << 10];
    match output.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => {
            let room = most.saturating_sub(said.len()).min(count);
            said.extend_from_slice(buffer.get(..room).unwrap_or_default());
            Ok(true)
        }
        Err(source) if matches!(source.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
            Ok(true)
        }
        Err(source) => Err(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(line: &str) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", line]).stdin(Stdio::null());
        output(command).unwrap()
    }

    #[test]
    fn what_a_child_says_is_heard_on_both_sides_however_much_it_is() {
        let ran = sh("seq 100000; seq 100000 >&2; echo last >&2; exit 3");
        assert_eq!(ran.status.code(), Some(3));
        assert_eq!(ran.stdout.len(), 588_895);
        assert!(ran.stderr.len() == 588_895 + 5 && ran.stderr.ends_with(b"100000\nlast\n"));
    }

    #[test]
    fn what_is_not_installed_is_an_error() {
        assert_eq!(output(Command::new("/nonexistent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    fn limited_sh(line: &str, limit: Duration) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        limited(command, b"dear\nall\n", limit, 1000).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_child_with_limits_reads_what_it_is_given_and_what_it_says_is_heard() {
        let ran = limited_sh("cat; echo no >&2; exit 3", LONG);
        assert_eq!((ran.status.unwrap().code(), &*ran.said), (Some(3), &b"dear\nall\nno\n"[..]));
        assert_eq!(limited_sh("seq 100000", LONG).said.len(), 1000);
        assert_eq!(limited_sh("exit 0", LONG).status.unwrap().code(), Some(0));
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed_with_all_it_started() {
        let place = tempfile::tempdir().unwrap();
        let late = place.path().join("late");
        let line = format!("(trap '' TERM; sleep 1; touch {}) & sleep 60", late.display());
        let start = Instant::now();
        assert!(limited_sh(&line, Duration::from_millis(200)).status.is_none());
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(1300));
        assert!(!late.exists());
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_is_not_waited_for() {
        let start = Instant::now();
        let ran = limited_sh("setsid sleep 5 & echo done", LONG);
        assert_eq!(&*ran.said, b"done\n");
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}
