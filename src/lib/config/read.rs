//! Reading the configuration, with errors that name file, line and column.

use std::path::Path;

use super::{Config, Place, TreeSection};
use crate::base::{Error, Result, durable};
use crate::names::Tree;

/// The largest configuration that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// Reads the configuration file `path`.
///
/// # Errors
/// Not there, not readable, or wrong: the text has file, line, column and a caret.
pub fn load(path: &Path) -> Result<Config> {
    let bytes = durable::read(path, LARGEST)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::wrong(format!("cannot read {}: it is not UTF-8", path.display())))?;
    parse(&text, &path.display().to_string())
}

/// Parses the configuration `text` of the file called `file` in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &str) -> Result<Config> {
    let mut config: Config = toml::from_str(text).map_err(|source| {
        let (line, column) = source.span().map_or((1, 1), |span| position(text, span.start));
        let detail = source.to_string();
        let excerpt: Vec<&str> = detail.lines().filter(|line| line.contains('|')).collect();
        let excerpt = if excerpt.is_empty() { String::new() } else { format!("\n{}", excerpt.join("\n")) };
        Error::wrong(format!(
            "cannot read {file}:{line}:{column}: {}{excerpt}",
            source.message().replace('\n', " ")
        ))
    })?;
    check(&config).map_err(|error| error.within(format!("cannot read {file}")))?;
    if !config.url.ends_with('/') {
        config.url.push('/');
    }
    Ok(config)
}

fn check(config: &Config) -> Result<()> {
    if config.lease.beat.0 * 2 > config.lease.expires.0 {
        return Err(Error::wrong("lease.expires must be at least twice lease.beat"));
    }
    if config.trouble.claims == 0 {
        return Err(Error::wrong("trouble.claims must be at least 1"));
    }
    if config.ssh.command.is_empty() {
        return Err(Error::wrong("ssh.command is empty"));
    }
    for (key, spool) in [("spool", config.spool.to_str()), ("builder.spool", config.builder.spool.as_deref())]
    {
        spool.unwrap_or("/").parse::<Place>().map_err(|error| error.within(key))?;
    }
    if config.mail.hourly == 0 {
        return Err(Error::wrong("mail.hourly must be at least 1"));
    }
    if config.mail.timeout.0.is_zero() {
        return Err(Error::wrong("mail.timeout must be longer than nothing"));
    }
    config.builder.check()?;
    config.tree.iter().try_for_each(|(name, tree)| check_tree(name, tree))
}

fn check_tree(name: &Tree, tree: &TreeSection) -> Result<()> {
    let wrong = |what: &str| Err(Error::wrong(format!("tree.{name}.{what}")));
    if !tree.path.is_absolute() {
        return wrong("path must be an absolute path");
    }
    if !tree.packages.is_empty() {
        if !tree.packages.starts_with('/') {
            return wrong("packages must be an absolute path");
        }
        let last = tree.packages.rsplit('/').next().unwrap_or_default();
        if !["{name}", "{version}", "{release}", "{arch}"].iter().all(|key| last.contains(key)) {
            return wrong("packages must have {name} {version} {release} {arch} in its last part");
        }
    }
    if tree.branch.starts_with('-') || tree.source().starts_with('-') {
        return wrong("branch and url must not begin with \"-\"");
    }
    pattern(&tree.recipes, &format!("tree.{name}.recipes"))
}

pub(super) fn pattern(text: &str, key: &str) -> Result<()> {
    match glob::Pattern::new(text) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::wrong(format!("{key} is no pattern: {source}"))),
    }
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_file_line_and_column() {
        let error = parse("spool = \"/s\"\nspol = \"/t\"\n", "syncpkg.toml").unwrap_err();
        assert_eq!(error.kind.status(), 2);
        assert!(
            error.to_string().starts_with("cannot read syncpkg.toml:2:1: unknown field `spol`"),
            "{error}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named() {
        let error = parse("[lease]\nbeat = \"soon\"\n", "f").unwrap_err().to_string();
        assert!(error.starts_with("cannot read f:2:8: cannot read the duration \"soon\""), "{error}");
        let error = parse("[tree.\"../x\"]\n", "f").unwrap_err().to_string();
        assert!(error.contains("the tree name \"../x\" is not allowed"), "{error}");
    }

    #[test]
    fn every_key_has_a_default() {
        let config = parse("", "f").unwrap();
        assert_eq!(config.lease.expires.0.as_secs(), 600);
        let any = "any".parse().unwrap();
        assert_eq!(config.builder.commands(&any).command, ["makepkg", "-f"]);
    }

    #[test]
    fn a_tree_overrides_the_builders_command() {
        let config = parse("[builder.tree.fw]\ncommand = [\"fwmakepkg\"]\n", "f").unwrap();
        let commands = config.builder.commands(&"fw".parse().unwrap());
        assert_eq!((&*commands.command, &*commands.files), (&["fwmakepkg".to_owned()][..], "*.pkg.tar.*"));
    }

    #[test]
    fn a_preset_fills_in_what_is_not_given() {
        let text = "[builder]\npreset = \"arch-chroot\"\nfiles = \"*.zst\"\n\
                    [builder.tree.fw]\npreset = \"frugalware\"\n[builder.tree.own]\ncommand = [\"make\"]\n";
        let builder = parse(text, "f").unwrap().builder;
        let of = |tree: &str| builder.commands(&tree.parse().unwrap());
        assert_eq!((&*of("any").prepare[2], &*of("any").files), ("arch-nspawn", "*.zst"));
        assert_eq!((&*of("fw").command[1], &*of("fw").files), ("makepkg", "*.fpm"));
        assert_eq!((&*of("own").command, &*of("own").prepare[2]), (&["make".to_owned()][..], "arch-nspawn"));
        assert!(of("fw").prepare.is_empty());
    }

    #[test]
    fn a_builder_that_cannot_work_so_is_refused() {
        let says = |text: &str| parse(&format!("[builder]\n{text}\n"), "f").unwrap_err().to_string();
        assert!(says("slots = 0").contains("builder.slots must be between 1 and"));
        assert!(says("load = 0.0").contains("builder.load must be above 0"));
        assert!(says("environment = { \"A=B\" = \"c\" }").contains("is no name of a variable"));
        assert!(says("command = []").contains("builder.command is empty"));
        assert!(says("files = \"***\"").contains("builder.files is no pattern"));
        assert!(says("slots = 2\npreset = \"frugalware-chroot\"").contains("one chroot for each tree"));
        assert!(says("[builder.tree.fw]\ncommand = []").contains("builder.tree.fw.command is empty"));
    }
}
