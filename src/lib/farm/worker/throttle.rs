//! When a builder claims nothing for a while: its disk is full, or it has enough to do. Neither goes to and fro: to
//! begin again takes more than what stopped it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::base::{Result, durable};
use crate::config::{BuilderSection, Bytes};
use crate::spool::Vitals;

/// So much must be free beyond the least before anything is claimed again, bytes.
const TO_SPARE: u64 = 1 << 30;

/// The load must be this part of the most before anything is claimed again.
const CALM: f64 = 0.8;

/// Which limits have been met and not yet left behind.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    met: Mutex<Met>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Met {
    free: bool,
    load: bool,
}

impl Throttle {
    /// Returns why nothing is to be claimed now; none if something may.
    ///
    /// # Errors
    /// The disk of `work` cannot be measured.
    pub fn closed(&self, work: &Path, section: &BuilderSection) -> Result<Option<String>> {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        *met = judge(*met, vitals(work)?, section);
        Ok(match (*met, section.load) {
            (Met { free: true, .. }, _) => Some(format!("less than {} free", section.free)),
            (Met { load: true, .. }, Some(most)) => Some(format!("the load is above {most}")),
            _ => None,
        })
    }
}

fn judge(met: Met, vitals: Vitals, section: &BuilderSection) -> Met {
    let least = section.free.0 + if met.free { TO_SPARE.min(section.free.0) } else { 0 };
    let most = section.load.map(|most| if met.load { most * CALM } else { most });
    Met {
        free: vitals.disk.is_some_and(|disk| disk < least),
        load: most.zip(vitals.load).is_some_and(|(most, load)| load.value() > most),
    }
}

/// Measures this host, and the disk of `work`.
///
/// # Errors
/// The disk cannot be measured.
pub(super) fn vitals(work: &Path) -> Result<Vitals> {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load = load.and_then(|text| text.split(' ').next()?.parse().ok());
    Ok(Vitals { load, disk: Some(durable::available(work)?) })
}

/// Returns the memory that a build could have without another process losing any.
pub(super) fn spare_memory() -> Option<Bytes> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Bytes(kib * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn section() -> BuilderSection {
        BuilderSection { free: Bytes(5 * GIB), load: Some(4.0), ..BuilderSection::default() }
    }

    fn after(met: Met, free: u64, load: f64) -> (bool, bool) {
        let met = judge(met, Vitals { disk: Some(free), load: load.to_string().parse().ok() }, &section());
        (met.free, met.load)
    }

    #[test]
    fn a_full_disk_must_have_something_to_spare_before_more_is_claimed() {
        assert_eq!(after(Met::default(), 5 * GIB, 0.0), (false, false));
        assert_eq!(after(Met::default(), 5 * GIB - 1, 0.0), (true, false));
        let met = Met { free: true, load: false };
        assert_eq!(after(met, 6 * GIB - 1, 0.0), (true, false));
        assert_eq!(after(met, 6 * GIB, 0.0), (false, false));
    }

    #[test]
    fn a_busy_host_must_be_calm_before_more_is_claimed() {
        assert_eq!(after(Met::default(), 9 * GIB, 4.0), (false, false));
        assert_eq!(after(Met::default(), 9 * GIB, 4.1), (false, true));
        let met = Met { free: false, load: true };
        assert_eq!(after(met, 9 * GIB, 3.3), (false, true));
        assert_eq!(after(met, 9 * GIB, 3.2), (false, false));
    }

    #[test]
    fn this_host_can_be_measured() {
        let throttle = Throttle::default();
        let here = Path::new("/");
        let roomy = BuilderSection { free: Bytes(0), ..BuilderSection::default() };
        assert_eq!(throttle.closed(here, &roomy).unwrap(), None);
        let greedy = BuilderSection { free: Bytes(u64::MAX / 4), ..BuilderSection::default() };
        assert!(throttle.closed(here, &greedy).unwrap().unwrap().ends_with(" free"));
        assert!(spare_memory().is_some() && vitals(here).unwrap().load.is_some());
    }
}
