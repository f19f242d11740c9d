//! The clock, passed to whatever needs to know the time; fixed in tests and replays.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Error, Result};

/// Tells the time: the system's, or one that stands still (`SYNCPKG_NOW`).
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// Returns the system's clock.
    pub fn system() -> Self {
        Self { fixed: None }
    }

    /// Returns a clock that stands still at `now`.
    pub fn fixed(now: Timestamp) -> Self {
        Self { fixed: Some(now) }
    }

    /// Returns the clock for the value of `SYNCPKG_NOW`: none is the system's.
    ///
    /// # Errors
    /// A value that is no RFC 3339 time is wrong use.
    pub fn from_setting(value: Option<&str>) -> Result<Self> {
        let Some(text) = value.filter(|text| !text.is_empty()) else { return Ok(Self::system()) };
        text.parse().map(Self::fixed).map_err(|source| {
            Error::wrong(format!("cannot read SYNCPKG_NOW \"{text}\": {source}"))
                .hint("write it like 2026-11-22T14:47:43Z")
        })
    }

    /// Returns the time of day, UTC.
    pub fn now(&self) -> Timestamp {
        self.fixed.unwrap_or_else(Timestamp::now)
    }

    /// Returns the time since boot, which no change of the wall clock moves; a fixed clock returns its
    /// time since 1970 instead, so that replays can move it.
    pub fn boot(&self) -> Duration {
        if let Some(now) = self.fixed {
            return Duration::from_millis(u64::try_from(now.as_millisecond()).unwrap_or(0));
        }
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// Returns a word that changes with each boot; times of [`Clock::boot`] compare only under one word.
    pub fn boot_id(&self) -> String {
        match self.fixed {
            Some(_) => "fixed".to_owned(),
            None => kernel_boot().to_owned(),
        }
    }
}

/// Returns a word that changes with each boot of this host, whatever clock is used: what a power cut may have taken
/// back is not trusted under another word.
pub fn kernel_boot() -> &'static str {
    static BOOT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BOOT.get_or_init(|| {
        let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        read.map(|id| id.trim().to_owned()).unwrap_or_default()
    })
}

/// Returns `time` as pages, mails and terminals show it: `2026-11-22 14:47:43 UTC`.
pub fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns a duration in the two largest units people use: `3 days 4 h`, `12 min`, `8 s`.
pub fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let plural = |n: i64| if n == 1 { "1 day".to_owned() } else { format!("{n} days") };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, 0, _) => plural(d),
        (d, h, _) => format!("{} {h} h", plural(d)),
    }
}

/// Parses an age as people type it: `2d`, `3h`, `90s`, `1d 12h`; days have 24 hours.
///
/// # Errors
/// Text that is no duration, or a negative one, is wrong use.
pub fn parse_age(text: &str) -> Result<Duration> {
    let wrong = || {
        let text = super::output::inert(text);
        Error::wrong(format!("cannot read the duration \"{text}\": write it like 90s, 10m, 3h or 2d"))
    };
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_like_a_person_says_them() {
        let said: Vec<String> =
            [8, 725, 7_200, 11_100, 86_400, 273_600].map(|s| age(SignedDuration::from_secs(s))).to_vec();
        assert_eq!(said, ["8 s", "12 min", "2 h", "3 h 5 min", "1 day", "3 days 4 h"]);
    }

    #[test]
    fn ages_are_read_as_typed() {
        assert_eq!(parse_age("2d").unwrap(), Duration::from_secs(172_800));
        assert_eq!(parse_age("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_age("soon").unwrap_err().kind.status(), 2);
        assert_eq!(parse_age("-2d").unwrap_err().kind.status(), 2);
    }

    #[test]
    fn a_clock_that_is_set_stands_still() {
        let clock = Clock::from_setting(Some("2026-11-22T14:47:43Z")).unwrap();
        assert_eq!(shown(clock.now()), "2026-11-22 14:47:43 UTC");
        assert!(Clock::from_setting(Some("yesterday")).is_err());
    }
}
