//! The line in `authorized_keys` that lets a builder in, and nowhere else.

use std::path::{Path, PathBuf};

use crate::base::output::inert;
use crate::base::{Error, Result, durable};
use crate::names::Builder;

/// The largest key, and the largest file of keys, that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// What sshd takes for a key.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// Returns what the file of a public key says.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&durable::read(file, LARGEST)?).into_owned())
}

/// Returns the line for the public key `text`: `command="SHELL BUILDER",restrict TYPE KEY COMMENT`.
///
/// # Errors
/// It is no public key, or more than one.
pub fn line(builder: &Builder, text: &str, config: Option<&Path>) -> Result<String> {
    let wrong = |what: &str| Error::wrong(format!("cannot let {builder} in: {what}"));
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (Some(key), None) = (lines.next(), lines.next()) else {
        return Err(wrong("a public key is one line").hint("it is the file that ends in .pub"));
    };
    let mut words = key.split_whitespace();
    let (kind, body) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let in_body = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if !TYPES.contains(&kind) || body.len() < 32 || !body.bytes().all(in_body) {
        return Err(wrong("that is no public key").hint("ssh-keygen -t ed25519 makes one"));
    }
    let in_comment = |c: &char| c.is_ascii_alphanumeric() || "@._-".contains(*c);
    let comment: String = words.next().unwrap_or_default().chars().filter(in_comment).take(80).collect();
    let line = format!("command=\"{}\",restrict {kind} {body} {comment}", command(builder, config)?);
    Ok(line.trim_end().to_owned())
}

fn command(builder: &Builder, config: Option<&Path>) -> Result<String> {
    let own = std::env::current_exe().map_err(|source| Error::io("find", "this program", source))?;
    let shell = own.with_file_name("syncpkg-shell").display().to_string();
    let config = config.map(std::path::absolute).transpose();
    let config = config.map_err(|source| Error::io("find", "the configuration", source))?;
    let config = config.filter(|config| config != Path::new("/etc/syncpkg/syncpkg.toml"));
    let config = config.map_or(String::new(), |config| format!(" --config {}", config.display()));
    let command = format!("{shell}{config} {builder}");
    // A shell takes it apart, inside quotes of sshd's.
    let plain = |byte: u8| crate::config::is_plain(byte) || byte == b' ';
    match command.bytes().all(plain) && command.split(' ').count() == if config.is_empty() { 2 } else { 4 } {
        true => Ok(command),
        false => Err(Error::wrong(format!(
            "cannot let {builder} in: a path in \"{}\" is not plain",
            inert(&command)
        ))),
    }
}

/// Adds `line` to the keys of the user `uid` unless it is there; returns the file.
///
/// # Errors
/// That user has no home directory, or a failing system call.
pub fn install(line: &str, uid: u32) -> Result<PathBuf> {
    use uzers::os::unix::UserExt;
    let user = uzers::get_user_by_uid(uid)
        .ok_or_else(|| Error::wrong(format!("there is no user with the uid {uid}")))?;
    add(line, &user.home_dir().join(".ssh"))
}

fn add(line: &str, ssh: &Path) -> Result<PathBuf> {
    let path = ssh.join("authorized_keys");
    let before = match durable::present(&path)? {
        true => String::from_utf8_lossy(&durable::read(&path, LARGEST)?).into_owned(),
        false => String::new(),
    };
    if before.lines().any(|there| there == line) {
        return Ok(path);
    }
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    durable::replace(&path, format!("{before}{end}{line}\n").as_bytes())?;
    durable::confirm(&path).map(|()| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn of(text: &str) -> Result<String> {
        line(&"b1".parse().unwrap(), text, Some(Path::new("/etc/other.toml")))
    }

    #[test]
    fn a_key_opens_the_gate_and_nothing_else() {
        let line = of(&format!("{KEY} root@b1\n")).unwrap();
        let (command, rest) = line.strip_prefix("command=\"").unwrap().split_once("\",restrict ").unwrap();
        assert!(command.ends_with("/syncpkg-shell --config /etc/other.toml b1"), "{command}");
        assert_eq!(rest, format!("{KEY} root@b1"));
        let hostile = of(&format!("{KEY} x\",command=\"sh")).unwrap();
        assert!(hostile.ends_with(" xcommandsh") && hostile.matches('"').count() == 2, "{hostile}");
    }

    #[test]
    fn what_is_no_public_key_lets_nobody_in() {
        let two = format!("{KEY}\n{KEY}\n");
        let options = format!("command=\"sh\" {KEY}");
        for bad in [
            "",
            "x",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
            &two,
            &options,
            "ssh-dss AAAA",
            "ssh-ed25519 \"\"\"\"",
        ] {
            assert_eq!(of(bad).unwrap_err().kind.status(), 2, "{bad}");
        }
    }

    #[test]
    fn a_key_is_added_once_and_no_other_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let ssh = place.path().join(".ssh");
        let path = add("one", &ssh).unwrap();
        std::fs::write(&path, "one\nmine").unwrap();
        add("two", &ssh).unwrap();
        add("two", &ssh).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nmine\ntwo\n");
    }
}
