//! A daemon's surroundings as they are: signals, standard error, systemd where it runs the daemon.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{Scene, say};
use crate::base::{Error, Result};
use crate::config::{Config, load};
use crate::farm::service::Service;

/// How often a watchdog is told that it need not bark, at the least: half of what it waits for, and never less than this.
const SELDOM: Duration = Duration::from_secs(5);

/// The signals and the service manager of this process.
pub struct Surroundings {
    program: &'static str,
    file: Option<PathBuf>,
    term: Arc<AtomicBool>,
    hup: Arc<AtomicBool>,
    ends: AtomicUsize,
    told: Mutex<Option<(Instant, String)>>,
}

/// Takes over what this process is asked from outside: TERM and INT to end, HUP to read its configuration again.
///
/// # Errors
/// Signals cannot be caught.
pub fn service(scene: &Scene) -> Result<Surroundings> {
    let flag = |signals: &[i32]| -> Result<Arc<AtomicBool>> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in signals {
            signal_hook::flag::register(*signal, Arc::clone(&flag))
                .map_err(|source| Error::io("catch", "signals", source))?;
        }
        Ok(flag)
    };
    Ok(Surroundings {
        program: scene.program,
        file: scene.config_file.clone(),
        term: flag(&[SIGTERM, SIGINT])?,
        hup: flag(&[SIGHUP])?,
        ends: AtomicUsize::new(0),
        told: Mutex::new(None),
    })
}

impl Service for Surroundings {
    fn ends(&self) -> usize {
        if self.term.swap(false, Ordering::Relaxed) {
            tell(&[NotifyState::Stopping]);
            self.ends.fetch_add(1, Ordering::Relaxed);
        }
        self.ends.load(Ordering::Relaxed)
    }

    fn reread(&self) -> Option<Result<Config>> {
        let asked = self.hup.swap(false, Ordering::Relaxed);
        asked.then(|| self.file.as_deref().map_or_else(|| Ok(Config::default()), load))
    }

    fn say(&self, line: &str) {
        say(self.program, line);
    }

    fn lives(&self, doing: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = told.as_ref().is_none_or(|(when, what)| when.elapsed() >= SELDOM || what != doing);
        if news {
            tell(&[NotifyState::Ready, NotifyState::Watchdog, NotifyState::Status(doing)]);
            *told = Some((Instant::now(), doing.to_owned()));
        }
    }
}

/// Where no service manager listens, nobody is told.
fn tell(state: &[NotifyState]) {
    let _ = sd_notify::notify(state);
}
