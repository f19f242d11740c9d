//! stub
use crate::base::{Clock, Result};
use crate::config::Config;
use crate::spool::Spool;
/// x
pub fn numbers(_: &Config, _: &Spool, _: &Clock) -> Result<Vec<String>> {
    Ok(Vec::new())
}
/// x
pub fn write(_: &Config, _: &Spool, _: &Clock) -> Result<Vec<String>> {
    Ok(Vec::new())
}
