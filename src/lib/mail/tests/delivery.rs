//! How mails get out, whatever the other side does.

use std::path::PathBuf;

use super::server::{Manner, Server};
use super::*;
use crate::config::Span;

/// Longer than any answer takes.
const PATIENT: Span = Span::seconds(30);

/// Long enough for who answers on a busy machine; whoever does not costs a test so much.
const SHORT: Span = Span::seconds(2);

fn farm_with(server: &Server) -> Farm {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = server.name.clone();
    farm.config.mail.timeout = PATIENT;
    farm
}

fn sendmail(farm: &mut Farm, script: &str) -> PathBuf {
    let path = farm.place.path().join("sendmail");
    let text = format!("#!/bin/sh\necho call >>{}\n{script}\n", farm.place.path().join("calls").display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    farm.config.mail.transport = Transport::Sendmail;
    farm.config.mail.sendmail = path.clone();
    farm.config.mail.timeout = PATIENT;
    path
}

/// A mail is owed and the other side behaves so; later it behaves well. Returns what the first try said.
#[track_caller]
fn delays_and_never_loses(manner: Manner, copies: usize) -> String {
    let server = Server::start(manner);
    let mut farm = farm_with(&server);
    if matches!(manner, Manner::HangAfterData | Manner::Mute) {
        farm.config.mail.timeout = SHORT;
    }
    farm.ends("gcc", Outcome::Failed);
    let error = farm.notify().unwrap_err();
    farm.config.mail.timeout = PATIENT;
    assert_eq!(error.kind.status(), 75);
    assert_eq!((farm.owed(), farm.in_post().len(), farm.sent().len()), (0, 1, 0));
    let tries = server.heard().connections;
    assert_eq!(farm.later(59).notify().unwrap_err().to_string(), error.to_string());
    assert_eq!(server.heard().connections, tries, "it is left alone for a minute");
    server.becomes(Manner::Well);
    assert_eq!(farm.later(1).notify().unwrap(), Summary { sent: 1, kept: 0, dropped: 0 });
    assert_eq!((farm.in_post().len(), farm.sent().len()), (0, 1));
    let mut ids = server.ids();
    assert_eq!(ids.len(), copies);
    ids.dedup();
    assert_eq!(ids.len(), 1, "a repeat is the same mail");
    error.to_string()
}

#[test]
fn a_server_that_has_no_time_is_asked_again() {
    assert!(delays_and_never_loses(Manner::Busy, 1).contains("421"));
}

#[test]
fn a_server_that_refuses_the_sender_is_asked_again() {
    assert!(delays_and_never_loses(Manner::NoSender, 1).contains("who are you"));
}

#[test]
fn a_server_that_wants_the_mail_later_gets_it_later() {
    assert!(delays_and_never_loses(Manner::NotNow, 2).contains("451"));
}

#[test]
fn a_server_that_takes_the_mail_for_spam_is_asked_again_and_the_maintainer_is_not_blamed() {
    assert!(delays_and_never_loses(Manner::Spam, 2).contains("this is spam"));
}

#[test]
fn a_server_that_hangs_after_the_mail_gets_it_at_most_once_more_with_the_same_message_id() {
    delays_and_never_loses(Manner::HangAfterData, 2);
}

#[test]
fn a_server_that_hangs_up_in_the_mail_is_asked_again() {
    delays_and_never_loses(Manner::CutInData, 1);
}

#[test]
fn a_server_that_hangs_up_after_the_mail_gets_it_at_most_once_more_with_the_same_message_id() {
    delays_and_never_loses(Manner::CutAfterData, 2);
}

#[test]
fn a_server_that_says_nothing_is_asked_again() {
    delays_and_never_loses(Manner::Mute, 1);
}

#[test]
fn something_that_is_no_mail_server_is_asked_again() {
    delays_and_never_loses(Manner::Babble, 1);
}

#[test]
fn a_server_that_is_down_is_asked_ever_less_often_and_at_least_every_half_hour() {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = "127.0.0.1:1".to_owned();
    farm.ends("gcc", Outcome::Failed);
    let mut asked = Vec::new();
    for minute in 0..200 {
        let tries = post::server(&farm.spool).unwrap().tries;
        let error = farm.notify().unwrap_err();
        assert!(error.to_string().starts_with("cannot send mail to 127.0.0.1:1: "), "{error}");
        asked.extend((post::server(&farm.spool).unwrap().tries > tries).then_some(minute));
        farm.later(60);
    }
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181]);
}

#[test]
fn a_mail_that_nobody_takes_waits_for_up_to_four_hours_and_is_given_up_after_five_days() {
    let server = Server::start(Manner::NotNow);
    let mut farm = farm_with(&server);
    farm.ends("gcc", Outcome::Failed);
    let mut asked = Vec::new();
    for quarter in 0..(5 * 24 * 4 + 20) {
        let before = server.heard().connections;
        drop(farm.notify());
        asked.extend((server.heard().connections > before).then_some(quarter));
        farm.later(15 * 60);
    }
    let gaps: Vec<usize> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.iter().max(), Some(&16), "a quarter of an hour each: {gaps:?}");
    assert!(asked.len() < 50, "{asked:?}");
    let given_up = given_up(&farm.spool).unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].to, "ann@example.org");
    assert!(given_up[0].error.contains("(451)"), "{given_up:?}");
    assert_eq!((farm.in_post().len(), farm.sent().len()), (0, 0));
    // A person moves it back.
    let place = farm.spool.at("post");
    for end in ["eml", "toml"] {
        let name = format!("{}.{end}", given_up[0].name);
        std::fs::rename(place.join("given-up").join(&name), place.join(&name)).unwrap();
    }
    server.becomes(Manner::Well);
    farm.notify().unwrap();
    assert_eq!(farm.sent().len(), 1);
}

#[test]
fn a_server_that_is_down_for_five_days_is_waited_for_no_longer() {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = "127.0.0.1:1".to_owned();
    for name in ["a", "b"] {
        farm.ends(name, Outcome::Failed);
    }
    farm.notify().unwrap_err();
    farm.later(5 * 24 * 3600 - 1).notify().unwrap_err();
    assert_eq!(given_up(&farm.spool).unwrap().len(), 0);
    farm.later(3600).notify().unwrap_err();
    assert_eq!((given_up(&farm.spool).unwrap().len(), farm.in_post().len()), (2, 0));
}

#[test]
fn a_letter_whose_slip_is_gone_is_given_up_and_stops_no_other() {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = "127.0.0.1:1".to_owned();
    farm.ends("a", Outcome::Failed);
    farm.notify().unwrap_err();
    let slip = farm.in_post()[0].replace(".eml", ".toml");
    std::fs::remove_file(farm.spool.at("post").join(slip)).unwrap();
    farm.config.mail.transport = Transport::File;
    farm.ends("b", Outcome::Failed);
    assert_eq!(farm.later(3600).notify().unwrap().sent, 1);
    assert_eq!(given_up(&farm.spool).unwrap().len(), 1);
}

#[test]
fn all_mails_of_a_round_go_through_one_connection_and_one_mail_never_stops_the_others() {
    let server = Server::start(Manner::Well);
    let mut farm = farm_with(&server);
    for (package, maintainer) in
        [("a", "later@example.org"), ("b", "b@example.org"), ("c", "c@example.org"), ("d", "d@example.org")]
    {
        farm.ask(package, maintainer);
        farm.end(Outcome::Failed);
        farm.later(1);
    }
    let error = farm.notify().unwrap_err();
    assert!(error.kind.status() == 75 && error.to_string().contains("451"), "{error}");
    assert_eq!((farm.in_post().len(), farm.sent().len()), (1, 3));
    assert_eq!(server.heard().connections, 1);
}

#[test]
fn what_a_refused_maintainer_would_hear_the_admin_hears_and_of_the_address_once() {
    let server = Server::start(Manner::Well);
    let mut farm = farm_with(&server);
    for package in ["a", "b"] {
        farm.ask(package, "Ann <refused@example.org>");
        farm.end(Outcome::Failed);
        farm.notify().unwrap();
        farm.later(4000);
    }
    let asked = server.recipients().iter().filter(|to| to.contains("refused")).count();
    assert_eq!(asked, 1, "what the server said of it is remembered");
    let admin = "admin@example.org:";
    assert_eq!(
        farm.subjects(),
        [
            format!("{admin} a 14.2-1 x86_64 failed in build"),
            format!("{admin} b 14.2-1 x86_64 failed in build"),
            format!("{admin} mail addresses that cannot be used: 1"),
        ]
    );
    let mail = farm.sent().into_iter().find(|mail| mail.contains("because nobody can be told")).unwrap();
    assert!(mail.contains("refused@example.org: cannot send mail to 127.0.0.1"), "{mail}");
}

#[test]
fn an_admin_who_is_refused_loses_no_mail() {
    let server = Server::start(Manner::Well);
    let mut farm = farm_with(&server);
    farm.config.mail.admin = "refused@example.org".to_owned();
    farm.ends("gcc", Outcome::Trouble);
    assert!(farm.notify().unwrap_err().to_string().contains("550"));
    farm.config.mail.admin = "admin@example.org".to_owned();
    assert_eq!(farm.later(3600).notify().unwrap().sent, 1, "whoever is the admin now hears of it");
    assert_eq!((farm.in_post().len(), farm.owed()), (0, 0));
}

#[test]
fn a_thousand_failures_at_once_with_a_server_that_is_down_are_five_mails_in_one_connection() {
    let server = Server::start(Manner::Busy);
    let mut farm = farm_with(&server);
    farm.config.trouble.failures = 0;
    let asks: Vec<Ask> = (0..1000).map(|n| farm.wish(&format!("p{n}"), "ann@example.org")).collect();
    queue::enqueue(&farm.spool, &asks, &farm.clock, Duration::ZERO).unwrap();
    (0..1000).for_each(|_| drop(farm.end(Outcome::Failed)));
    farm.notify().unwrap_err();
    assert_eq!((server.heard().connections, farm.in_post().len()), (1, 5));
    server.becomes(Manner::Well);
    assert_eq!(farm.later(60).notify().unwrap().sent, 5);
    assert_eq!(server.heard().connections, 2);
}

#[test]
fn a_sendmail_that_is_missing_or_fails_delays_the_mail() {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Sendmail;
    farm.config.mail.sendmail = "/nonexistent/sendmail".into();
    farm.ends("gcc", Outcome::Failed);
    let error = farm.notify().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot send mail through /nonexistent/sendmail: No such file or directory"
    );
    sendmail(&mut farm, "echo 'queue is full' >&2; exit 75");
    let error = farm.later(60).notify().unwrap_err();
    assert!(error.to_string().ends_with("it failed (exit status: 75): queue is full"), "{error}");
    sendmail(&mut farm, "kill -9 $$");
    let error = farm.later(3600).notify().unwrap_err();
    assert!(error.to_string().ends_with("it failed (signal: 9 (SIGKILL)): it said nothing"), "{error}");
    sendmail(&mut farm, "sleep 60");
    farm.config.mail.timeout = SHORT;
    let error = farm.later(3600).notify().unwrap_err();
    assert!(error.to_string().contains("it took longer than"), "{error}");
    assert_eq!((farm.in_post().len(), farm.sent().len()), (1, 0));
    let mail = farm.place.path().join("mail");
    sendmail(&mut farm, &format!("cat >{}", mail.display()));
    assert_eq!(farm.later(3 * 3600).notify().unwrap().sent, 1);
    assert_eq!(std::fs::read_to_string(mail).unwrap(), farm.sent()[0]);
}

#[test]
fn a_sendmail_that_knows_no_such_user_makes_the_admin_hear_of_it() {
    let mut farm = farm();
    sendmail(&mut farm, "case $5 in ann@*) exit 67;; esac; cat >/dev/null");
    farm.ends("gcc", Outcome::Failed);
    assert_eq!(farm.notify().unwrap().sent, 2);
    assert!(
        farm.subjects().iter().all(|told| told.starts_with("admin@example.org: ")),
        "{:?}",
        farm.subjects()
    );
}

#[test]
fn a_sendmail_that_hangs_holds_up_a_round_for_two_mails_and_no_longer() {
    let mut farm = farm();
    sendmail(&mut farm, "sleep 60");
    farm.config.mail.timeout = SHORT;
    for n in 0..4 {
        farm.ends(&format!("p{n}"), Outcome::Failed);
    }
    farm.notify().unwrap_err();
    assert_eq!(std::fs::read_to_string(farm.place.path().join("calls")).unwrap(), "call\ncall\n");
    assert_eq!(farm.in_post().len(), 4);
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_farm_that_wants_tls_and_has_none_sends_nothing_and_says_so() {
    let server = Server::start(Manner::Well);
    let mut farm = farm_with(&server);
    farm.config.mail.tls = crate::config::Tls::Starttls;
    farm.ends("gcc", Outcome::Failed);
    let error = farm.notify().unwrap_err();
    assert_eq!((error.kind.status(), server.heard().connections), (2, 0));
    assert_eq!(error.to_string(), "cannot use mail.tls: this syncpkg was built without TLS");
}
