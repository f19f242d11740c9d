//! The options every program has.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Scene, identity};
use crate::base::output::Out;
use crate::base::{Clock, Error, Result};
use crate::config::{self, Config};

/// Where the configuration is when nobody says otherwise.
const CONFIG_FILE: &str = "/etc/syncpkg/syncpkg.toml";

/// `--spool`, `--config`, and the clock of tests.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The spool directory
    #[arg(long, env = "SYNCPKG_SPOOL", hide_env_values = true, value_name = "SPOOL")]
    pub spool: Option<String>,
    /// The configuration file [default: /etc/syncpkg/syncpkg.toml]
    #[arg(long, env = "SYNCPKG_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A time that replaces the clock, for tests and replays
    #[arg(long, env = "SYNCPKG_NOW", hide = true, value_name = "TIME")]
    pub now: Option<String>,
}

/// `--json`, for programs that list.
#[derive(Debug, Clone, Copy, Args)]
pub struct Json {
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// Reads the configuration and looks at the clock.
    ///
    /// # Errors
    /// A configuration that is wrong, or missing while no spool is given.
    pub fn scene<'a>(&self, program: &'static str, out: Out<'a>) -> Result<Scene<'a>> {
        let clock = Clock::from_setting(self.now.as_deref())?;
        let (mut config, config_file) = self.read()?;
        if let Some(spool) = &self.spool {
            config.spool = local(spool)?;
        }
        Ok(Scene { program, config, config_file, clock, caller: identity::Caller::ask(), out })
    }

    fn read(&self) -> Result<(Config, Option<PathBuf>)> {
        if let Some(file) = &self.config {
            return Ok((config::load(file)?, Some(file.clone())));
        }
        let file = Path::new(CONFIG_FILE);
        if file.exists() {
            return Ok((config::load(file)?, Some(file.to_owned())));
        }
        if self.spool.is_some() {
            return Ok((Config::default(), None));
        }
        Err(Error::wrong(format!("cannot read {CONFIG_FILE}: No such file or directory"))
            .hint("give --spool DIRECTORY, or --config FILE"))
    }
}

/// A spool on another host is not to be taken for a directory with an odd name.
pub(super) fn local(text: &str) -> Result<PathBuf> {
    let host = text.split('/').next().unwrap_or_default();
    if host.contains(':') {
        return Err(Error::wrong(format!("cannot open {text}: spools on other hosts are not supported yet"))
            .hint("log in there and run it with the directory's name"));
    }
    if text.is_empty() {
        return Err(Error::wrong("--spool is empty"));
    }
    Ok(PathBuf::from(text))
}
