//! The mails owed, with what the log says of the failure.

use std::path::Path;

use crate::base::{Clock, Result};
use crate::build::first_error;
use crate::config::Config;
use crate::mail::{self, FirstError};
use crate::spool::Spool;

/// Sends the mails owed; returns what was done.
///
/// # Errors
/// The first mail that could not be sent; it stays owed.
pub fn notify(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    let summary = mail::notify(spool, config, &first_error_of, clock)?;
    Ok(match summary.sent {
        0 => Vec::new(),
        1 => vec!["sent 1 mail".to_owned()],
        n => vec![format!("sent {n} mails")],
    })
}

fn first_error_of(log: &Path) -> Option<FirstError> {
    let found = first_error::of_file(log).ok()?.found?;
    Some(FirstError { line: found.line, before: found.before, text: found.text, after: found.after })
}
