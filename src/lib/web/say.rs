//! Words, links and command lines of pages.

use crate::base::output::{acts, inert};
use crate::config::{Config, Scm};

use super::model::TicketRow;

/// Returns `text` as one harmless line of at most `limit` characters.
pub(super) fn line(text: &str, limit: usize) -> String {
    let safe = inert(text);
    if safe.chars().count() <= limit {
        return safe;
    }
    safe.chars().take(limit).chain(['…']).collect()
}

/// Returns bytes as one harmless line: what is no UTF-8 is written `\xNN`, what acts `\u{…}`; colours of a
/// terminal are left out.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        plain(chunk.valid(), &mut safe);
        chunk.invalid().iter().for_each(|byte| safe.push_str(&format!("\\x{byte:02x}")));
    }
    safe
}

fn plain(text: &str, safe: &mut String) {
    let mut parts = text.split("\u{1b}[");
    let mut push = |part: &str| {
        part.chars()
            .for_each(|c| if acts(c) && c != '\t' { safe.extend(c.escape_unicode()) } else { safe.push(c) });
    };
    push(parts.next().unwrap_or_default());
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match rest.strip_prefix(['m', 'K']) {
            Some(after) => push(after),
            None => {
                push("\u{1b}[");
                push(part);
            }
        }
    }
}

/// Returns `text` as one part of an address: all but `A-Z a-z 0-9 - . _ ~` is written `%NN`.
pub(super) fn segment(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                part.push(char::from(byte))
            }
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}

/// Returns the directory of a package's page. `~` is in no package's name: it keeps the list of packages, which
/// is a file `index.html`, apart from a package of that name.
pub(super) fn package_dir(name: &str) -> String {
    if name == "index.html" { "index.html~".to_owned() } else { name.to_owned() }
}

/// Returns the host of `config.url`, fit for a command line.
pub(super) fn host(config: &Config) -> String {
    let rest = config.url.split_once("://").map_or(config.url.as_str(), |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let plain = !host.is_empty() && !host.starts_with('-') && host.bytes().all(fits);
    if plain { host.to_owned() } else { "localhost".to_owned() }
}

/// Returns the path of `config.url`, with slashes at both ends.
pub(super) fn url_path(config: &Config) -> String {
    let rest = config.url.split_once("://").map_or(config.url.as_str(), |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    format!("/{path}")
}

/// Returns the lines that do what the builder did; none for a tree the configuration does not know.
pub(super) fn reproduce(config: &Config, ticket: &TicketRow) -> Option<String> {
    let tree = config.tree.iter().find(|(name, _)| name.as_str() == ticket.tree);
    let (name, section) = tree?;
    let (source, revision) = (quoted(&section.source()), &ticket.revision);
    let get = match section.scm {
        Scm::Git => format!("git clone {source} {name} && cd {name} && git checkout {revision}"),
        Scm::Darcs => format!("darcs clone --to-hash {revision} {source} {name} && cd {name}"),
        Scm::None => format!("rsync -a {source}/ {name}/ && cd {name}"),
    };
    let directory = ticket.path.rsplit_once('/').map_or(".", |(directory, _)| directory);
    let command: Vec<String> = config.builder.commands(name).1.iter().map(|word| quoted(word)).collect();
    Some(format!("{get}\ncd {}\n{}", quoted(directory), command.join(" ")))
}

/// Quotes a word for sh when it needs it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.:_+=@,%{}-".contains(&byte);
    let safe = inert(word);
    if !safe.is_empty() && safe.bytes().all(plain) {
        safe
    } else {
        format!("'{}'", safe.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_in_a_name_is_written_out_in_links() {
        assert_eq!(segment("gtk+-2.0~x"), "gtk%2B-2.0~x");
        assert_eq!(segment("a/\"b"), "a%2F%22b");
    }

    #[test]
    fn bytes_of_a_log_are_shown_as_text() {
        assert_eq!(
            bytes(b"\x1b[1;31merror:\x1b[0m x\xff\x1b]0;t\x07\t\xe2\x80\xae"),
            "error: x\\xff\\u{1b}]0;t\\u{7}\t\\u{202e}"
        );
        assert_eq!(bytes(b"\x1b[2J"), "\\u{1b}[2J");
    }

    #[test]
    fn the_host_comes_from_the_sites_address() {
        let of = |url: &str| host(&Config { url: url.to_owned(), ..Config::default() });
        assert_eq!(of("https://build.example.org:8443/syncpkg/"), "build.example.org");
        assert_eq!(of("https://-oProxyCommand=x/"), "localhost");
    }
}
