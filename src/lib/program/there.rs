//! A program whose spool is on another host runs there, with the words it was given here.

use crate::base::{Error, Result};
use crate::config::{Host, SshSection};
use crate::farm::ssh::Ssh;

/// Options that belong to this host, each with a value.
const OURS: [&str; 2] = ["--spool", "--config"];

/// Runs `program` on `host` as it was called here; returns its exit status.
///
/// # Errors
/// No ssh here, no such program there, or a word that is not UTF-8.
pub(super) fn run(program: &str, host: &Host, section: &SshSection) -> Result<u8> {
    let given = std::env::args_os().skip(1).map(|word| word.into_string());
    let given: Vec<String> = given.collect::<Result<_, _>>().map_err(|word| {
        Error::wrong(format!("cannot hand on {}: it is not UTF-8", word.to_string_lossy()))
    })?;
    let words = words(given, &host.to_string());
    let reads = words.iter().any(|word| word == "-");
    Ssh { host, section }.run(program, &words, reads, &mut std::io::stderr())
}

/// Returns the words without those that say where the spool is: options, or an operand (of syncpkg-init).
fn words(given: Vec<String>, spool: &str) -> Vec<String> {
    let (mut words, mut given, mut options) = (Vec::new(), given.into_iter(), true);
    while let Some(word) = given.next() {
        options &= word != "--";
        let ours = OURS.iter().any(|ours| word.strip_prefix(ours).is_some_and(|rest| rest.starts_with('=')));
        if options && OURS.contains(&word.as_str()) {
            given.next();
        } else if !(options && ours || word.trim_end_matches('/') == spool) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_spool_is_concerns_this_host_only() {
        let handed_on = |line: &str| words(line.split(' ').map(str::to_owned).collect(), "m:/s").join(" ");
        assert_eq!(handed_on("--spool m:/s gcc --json --config=f"), "gcc --json");
        assert_eq!(handed_on("--config f --spool=m:/s gcc -- --spool"), "gcc -- --spool");
        assert_eq!(handed_on("m:/s/"), "");
    }
}
