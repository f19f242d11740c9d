//! Command lines that pages and mails show: how to force a build, how to do what the builder did.

use super::{Config, Scm};
use crate::base::output::inert;
use crate::names::Tree;

impl Config {
    /// Returns the host the site is seen at, fit for a command line and a Message-ID; `localhost` if there is none.
    pub fn host(&self) -> String {
        let authority = self.address().split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let plain = !host.is_empty() && !host.starts_with('-') && host.bytes().all(fits);
        if plain { host.to_owned() } else { "localhost".to_owned() }
    }

    /// Returns the path the site is seen at, with slashes at both ends.
    pub fn url_path(&self) -> String {
        format!("/{}", self.address().split_once('/').map_or("", |(_, path)| path))
    }

    fn address(&self) -> &str {
        self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest)
    }

    /// Returns the line that builds the package again.
    pub fn force_line(&self, tree: &str, name: &str) -> String {
        format!("{}syncpkg-enqueue --force {tree}/{name}", self.there())
    }

    /// Returns the line that ends the ticket.
    pub fn abort_line(&self, id: &str) -> String {
        format!("{}syncpkg-abort {id}", self.there())
    }

    /// Returns what comes before a command that is to run on the master: nothing when the site is seen from its
    /// own disk.
    pub fn there(&self) -> String {
        match self.host().as_str() {
            "localhost" => String::new(),
            host => format!("ssh {host} "),
        }
    }

    /// Returns the line that shows, in a clone of the tree, what was changed of a recipe (tree and path) between two
    /// revisions; none where there is no history.
    pub fn between_line(&self, (tree, path): (&str, &str), old: &str, new: &str) -> Option<String> {
        let name: Tree = tree.parse().ok()?;
        let directory = quoted(path.rsplit_once('/').map_or(".", |(directory, _)| directory));
        match self.tree.get(&name)?.scm {
            Scm::Git if old != new => Some(format!("git log {old}..{new} -- {directory}")),
            Scm::Darcs if old != new => {
                Some(format!("darcs log --from-hash {old} --to-hash {new} {directory}"))
            }
            Scm::Git | Scm::Darcs | Scm::None => None,
        }
    }

    /// Returns the lines that do what a builder does with the recipe `path` at `revision`; none for a tree the
    /// configuration does not know.
    pub fn reproduce_lines(&self, tree: &str, revision: &str, path: &str) -> Option<[String; 3]> {
        let name: Tree = tree.parse().ok()?;
        let section = self.tree.get(&name)?;
        let source = quoted(&section.source());
        let get = match section.scm {
            Scm::Git => format!("git clone {source} {name} && cd {name} && git checkout {revision}"),
            Scm::Darcs => format!("darcs clone --to-hash {revision} {source} {name} && cd {name}"),
            Scm::None => format!("rsync -a {source}/ {name}/ && cd {name}"),
        };
        let directory = path.rsplit_once('/').map_or(".", |(directory, _)| directory);
        let command: Vec<String> =
            self.builder.commands(&name).command.iter().map(|word| quoted(word)).collect();
        Some([get, format!("cd {}", quoted(directory)), command.join(" ")])
    }
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

    fn with_url(url: &str) -> Config {
        Config { url: url.to_owned(), ..Config::default() }
    }

    #[test]
    fn the_host_is_fit_for_a_command_line() {
        for (url, host) in [
            ("https://build.example.org:8080/syncpkg/", "build.example.org"),
            ("file:///srv/www/", "localhost"),
            ("https://-oProxyCommand=x/", "localhost"),
            ("https://a;b/", "localhost"),
        ] {
            assert_eq!(with_url(url).host(), host, "{url}");
        }
    }

    #[test]
    fn what_the_shell_would_act_on_is_quoted() {
        assert_eq!(quoted("a/b-1"), "a/b-1");
        assert_eq!(quoted("it's; rm"), "'it'\\''s; rm'");
        assert_eq!(quoted(""), "''");
    }
}
