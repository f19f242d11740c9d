//! Values with a unit: durations ("10m", "2d") and sizes ("64MiB").

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::base::clock::parse_age;
use crate::base::{Error, Result};

/// A length of time, written `90s`, `10m`, `24h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl Span {
    /// Makes one of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        parse_age(text).map(Self)
    }
}

impl TryFrom<String> for Span {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX);
        f.write_str(&crate::base::clock::age(signed))
    }
}

/// A number of bytes, written `5GiB`, `64MiB`, `10KiB`, `512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Bytes(pub u64);

const UNITS: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("", 0)];

impl FromStr for Bytes {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        UNITS
            .iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), shift)))
            .and_then(|(number, shift)| number.parse::<u64>().ok()?.checked_mul(1 << shift))
            .map(Self)
            .ok_or_else(|| {
                Error::wrong(format!("cannot read the size \"{}\"", crate::base::output::inert(text)))
                    .hint("write it like 64MiB, 5GiB or 512")
            })
    }
}

impl TryFrom<String> for Bytes {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, shift)| self.0 >> shift > 0) {
            Some((unit, shift)) if *shift > 0 => {
                #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
                let number = self.0 as f64 / f64::from(1_u32 << shift);
                write!(f, "{number:.1} {unit}")
            }
            Some(_) | None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_said() {
        assert_eq!("64MiB".parse::<Bytes>().unwrap(), Bytes(64 << 20));
        assert_eq!("512".parse::<Bytes>().unwrap(), Bytes(512));
        assert_eq!(Bytes(5 << 30).to_string(), "5.0 GiB");
        assert!("64MB".parse::<Bytes>().is_err());
        assert!("99999999999999GiB".parse::<Bytes>().is_err());
    }
}
