//! The options every program has.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Scene, identity};
use crate::base::output::Out;
use crate::base::{Clock, Error, Result};
use crate::config::{self, Config};
use crate::names::{Arch, Version, Word};
use crate::spool::builder::Profile;

/// Where the configuration is when nobody says otherwise.
const CONFIG_FILE: &str = "/etc/syncpkg/syncpkg.toml";

/// `--spool`, `--config`, and the clock of tests.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The spool: a directory, or HOST:DIR
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

/// What a builder says of itself when it registers.
#[derive(Debug, Clone, Args)]
pub struct Abilities {
    /// Register it as building this; may be repeated
    #[arg(long = "arch", value_name = "A", value_delimiter = ',', requires = "name")]
    pub archs: Vec<Arch>,
    /// How many tickets it builds at once
    #[arg(long, value_name = "N", requires = "archs")]
    pub slots: Option<usize>,
    /// What packages may need of it; may be repeated
    #[arg(long = "tag", value_name = "T", requires = "archs", value_delimiter = ',')]
    pub tags: Vec<Word>,
    /// The version of its syncpkg
    #[arg(long, value_name = "VERSION", requires = "archs")]
    pub runs: Option<Version>,
    /// The name of its host
    #[arg(long, value_name = "HOST", requires = "archs")]
    pub host: Option<Word>,
}

impl Abilities {
    /// Returns them as they are kept; none if it is not to register.
    pub fn profile(self) -> Option<Profile> {
        let Self { archs, slots, tags, runs: version, host } = self;
        (!archs.is_empty()).then_some(Profile { archs, slots, tags, version, host })
    }
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
            config.spool = spool.into();
        }
        let mut scene =
            Scene { program, config, config_file, there: None, clock, caller: identity::Caller::ask(), out };
        let spool = scene.config.spool.to_string_lossy().into_owned();
        scene.go_to(&spool)?;
        Ok(scene)
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
            .hint("give --spool SPOOL, or --config FILE"))
    }
}
