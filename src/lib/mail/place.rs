//! Addresses and command lines a mail mentions.

use crate::config::{Config, Scm};
use crate::names::Id;
use crate::spool::Ticket;

/// Returns the host of `config.url`, fit for a Message-ID and a command line.
pub(super) fn host(config: &Config) -> String {
    let rest = config.url.split_once("://").map_or(config.url.as_str(), |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let plain = !host.is_empty() && !host.starts_with('-') && host.bytes().all(fits);
    if plain { host.to_owned() } else { "localhost".to_owned() }
}

/// Returns the address of the ticket's page.
pub(super) fn page(config: &Config, id: &Id) -> String {
    format!("{}ticket/{id}/", config.url)
}

/// Returns the address of the log of one try.
pub(super) fn log(config: &Config, id: &Id, epoch: u32) -> String {
    format!("{}log/{id}.{epoch}.txt", config.url)
}

/// Returns the line that builds it again.
pub(super) fn force(config: &Config, ticket: &Ticket) -> String {
    format!("ssh {} syncpkg-enqueue --force {}/{}", host(config), ticket.tree, ticket.name)
}

/// Returns the lines that do what the builder did; none for a tree the configuration does not know.
pub(super) fn reproduce(config: &Config, ticket: &Ticket) -> Option<String> {
    let tree = config.tree.get(&ticket.tree)?;
    let (source, revision) = (quoted(&tree.source()), &ticket.revision);
    let get = match tree.scm {
        Scm::Git => format!("git clone {source} {0} && cd {0} && git checkout {revision}", ticket.tree),
        Scm::Darcs => format!("darcs clone --to-hash {revision} {source} {0} && cd {0}", ticket.tree),
        Scm::None => format!("rsync -a {source}/ {0}/ && cd {0}", ticket.tree),
    };
    let directory = ticket.path.rsplit_once('/').map_or(".", |(directory, _)| directory);
    let command: Vec<String> =
        config.builder.commands(&ticket.tree).1.iter().map(|word| quoted(word)).collect();
    Some(format!("{get} && cd {} && {}", quoted(directory), command.join(" ")))
}

/// Quotes a word for sh when it needs it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.:_+=@,%{}-".contains(&byte);
    let safe = crate::base::output::inert(word);
    if !safe.is_empty() && safe.bytes().all(plain) {
        safe
    } else {
        format!("'{}'", safe.replace('\'', "'\\''"))
    }
}
