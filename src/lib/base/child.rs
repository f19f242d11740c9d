//! Children whose output is read: a pipe that fails is an error to report, not the end of the program that reads it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, Output, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

/// Runs `command` to its end and returns its status and what it wrote, as [`Command::output`], which panics when a
/// pipe cannot be read.
///
/// # Errors
/// It does not start, or what it writes cannot be read.
pub fn output(mut command: Command) -> io::Result<Output> {
    // Not a second pipe, which would have to be emptied while the first one is.
    let mut said = File::from(memfd_create("said", MemfdFlags::CLOEXEC)?);
    let mut child = command.stdout(Stdio::piped()).stderr(said.try_clone()?).spawn()?;
    let mut stdout = Vec::new();
    let heard = child.stdout.take().map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut stdout));
    // The pipe is closed by now: a child with more to say dies of it.
    let status = child.wait()?;
    heard?;
    let mut stderr = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut stderr)?;
    Ok(Output { status, stdout, stderr })
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
}
