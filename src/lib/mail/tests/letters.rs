//! What a mail says, whole.

use super::*;

/// A mail without what chance has given it: the ticket's name.
fn golden(mail: &str, claims: &[&claim::Claim]) -> String {
    let named = claims
        .iter()
        .enumerate()
        .fold(mail.to_owned(), |text, (n, claim)| text.replace(claim.id.as_str(), &format!("ID{}", n + 1)));
    named.replace("\r\n", "\n")
}

fn git_farm() -> Farm {
    let mut farm = farm();
    farm.config = crate::config::parse("[tree.current]\npath = \"/srv/it's\"\n", "f").unwrap();
    farm.after = vec!["make: *** [x] Error 1".to_owned()];
    farm
}

#[test]
fn the_mail_of_a_failure_reads_like_this() {
    let mut farm = git_farm();
    farm.ask_for(Ask { revision: "aaaa".parse().unwrap(), ..farm.wish("gcc", "Ann <ann@example.org>") });
    let good = farm.end(Outcome::Built);
    farm.notify().unwrap();
    farm.later(3600).ask("gcc", "Ann <ann@example.org>");
    let first = farm.end(Outcome::Failed);
    farm.notify().unwrap();
    farm.later(3600).ask("gcc", "Ann <ann@example.org>");
    let second = farm.end_with(Outcome::Failed, "it exited with status 2");
    farm.notify().unwrap();
    let mail = golden(&farm.sent()[1], &[&good, &first, &second]);
    let wanted = include_str!("failed.eml");
    assert!(mail == wanted, "it reads:\n{mail}");
}

#[test]
fn the_mails_of_a_package_are_one_thread_and_a_later_failure_answers_the_first() {
    let mut farm = git_farm();
    let first = farm.ends("gcc", Outcome::Failed);
    farm.notify().unwrap();
    farm.later(3600).ends("gcc", Outcome::Failed);
    farm.notify().unwrap();
    farm.later(3600).ends("gcc", Outcome::Built);
    farm.notify().unwrap();
    let root = "<current.gcc.x86_64@build.example.org>";
    let began = format!("<{}.1.failed.maintainer@build.example.org>", first.id);
    let mails = farm.sent();
    assert!(mails[0].contains(&format!("In-Reply-To: {root}\r\nReferences: {root}\r\n")), "{}", mails[0]);
    assert!(mails[0].contains(&format!("Message-ID: {began}\r\n")), "{}", mails[0]);
    for mail in &mails[1..] {
        let unfolded = mail.replace("\r\n ", " ");
        assert!(
            unfolded.contains(&format!("In-Reply-To: {began}\r\nReferences: {root} {began}\r\n")),
            "{mail}"
        );
    }
}

#[test]
fn nothing_in_a_mail_acts() {
    let farm = farm();
    let hostile = "x\u{1b}[2J\r\nBcc: eve@example.org\r\n\r\n.\r\nQUIT\r\n\u{202e}=?utf-8?q?=0d=0aBcc:_eve@example.org?=";
    farm.ask_for(Ask {
        by: hostile.to_owned(),
        reason: hostile.to_owned(),
        ..farm.wish("gcc", "ann@example.org")
    });
    farm.end_with(Outcome::Failed, "b\r\nBcc: eve@example.org\u{1b}]0;x\u{7}");
    farm.notify().unwrap();
    let mail = farm.sent().remove(0);
    assert!(mail.len() < 64 << 10 && mail.lines().all(|line| line.len() < 998));
    let (headers, body) = mail.split_once("\r\n\r\n").unwrap();
    assert!(
        !headers.contains("Bcc: eve@example.org\r\n") && !headers.to_lowercase().contains("\nbcc"),
        "{headers}"
    );
    assert!(!body.lines().any(|line| line.starts_with("Bcc") || line == "." || line == "QUIT"), "{body}");
    assert!(mail.bytes().all(|byte| byte >= b' ' || byte == b'\r' || byte == b'\n'));
}

#[test]
fn a_recipe_cannot_choose_a_second_recipient() {
    let mut farm = farm();
    let script = farm.place.path().join("sendmail");
    let told = farm.place.path().join("told");
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" >>{}\ncat >/dev/null\n", told.display()))
        .unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    farm.config.mail.transport = Transport::Sendmail;
    farm.config.mail.sendmail = script;
    for (package, maintainer) in [
        ("a", "ann@example.org, eve@example.org"),
        ("b", "ann@example.org\r\nBcc: eve@example.org"),
        ("c", "eve@example.org <ann@example.org>"),
        ("d", "-Xeve@example.org"),
    ] {
        farm.ask(package, maintainer);
        farm.end(Outcome::Failed);
    }
    assert_eq!(farm.notify().unwrap().sent, 5, "four, and what is wrong with the addresses");
    let calls = std::fs::read_to_string(told).unwrap();
    assert_eq!(calls, "-i -f noreply@example.org -- admin@example.org\n".repeat(5));
}

#[test]
fn the_mail_of_a_digest_reads_like_this() {
    let mut farm = git_farm();
    farm.config.mail.hourly = 1;
    let a = farm.ends("a", Outcome::Failed);
    let b = farm.later(1).ends("b", Outcome::Failed);
    farm.notify().unwrap();
    let mail = golden(&farm.sent()[0], &[&a, &b]);
    let id = mail.lines().find(|line| line.starts_with("Message-ID")).unwrap().to_owned();
    let mail = mail.replace(&id, "Message-ID: <ID.digest@build.example.org>");
    let wanted = include_str!("digest.eml");
    assert!(mail == wanted, "it reads:\n{mail}");
}
