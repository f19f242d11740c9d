//! What a program finds around it: environment, directory, standard input and output, host.

use std::io::Read;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::output::inert;
use crate::base::{Error, Result};

/// Returns the environment variable `name` if it is set and UTF-8; hooks are spoken to that way.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the environment variables `PREFIX0`, `PREFIX1`, … as many as are set in a row.
pub fn variables(prefix: &str) -> Vec<String> {
    (0..).map_while(|n| variable(&format!("{prefix}{n}"))).collect()
}

/// Returns the directory the program was started in.
///
/// # Errors
/// It has vanished.
pub fn current_dir() -> Result<PathBuf> {
    std::env::current_dir().map_err(|source| Error::io("find", "the current directory", source))
}

/// Reads all of standard input as lines; broken UTF-8 is replaced, so that no name can match it.
///
/// # Errors
/// Standard input cannot be read.
pub fn input_lines() -> Result<Vec<String>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", "standard input", source))?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// Tells whether nobody reads standard output any more: the connection it goes through was cut.
pub fn is_unheard() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::from_borrowed_fd(stdout, PollFlags::empty())];
    let _ = poll(&mut fds, Some(&Timespec::default()));
    fds.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Reads at most `limit` bytes of standard input.
///
/// # Errors
/// It cannot be read.
pub fn input(limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", "standard input", source))?;
    Ok(bytes)
}

/// Returns this host's name.
pub fn host_name() -> String {
    inert(&rustix::system::uname().nodename().to_string_lossy())
}
