//! What surrounds a daemon: those who ask it to end or to read its configuration again, whoever reads what it says, and
//! the service manager that wants to know whether it lives.

use crate::base::Result;
use crate::config::Config;

/// A daemon's surroundings.
pub trait Service: Sync {
    /// Returns how often it was asked to end.
    fn ends(&self) -> usize;

    /// Returns the configuration, read again, if it was asked to do so since the last call.
    fn reread(&self) -> Option<Result<Config>>;

    /// Says a line to people.
    fn say(&self, line: &str);

    /// Tells the service manager that it lives, and at what.
    fn lives(&self, doing: &str);
}
