//! Who is told, in a spool: each test is a sentence of the policy.

use std::collections::BTreeMap;

use super::*;
use crate::names::Id;

const ANN: &str = "Ann <ann@example.org>";

fn failed(name: &str) -> String {
    format!("{ANN}: {name} 14.2-1 x86_64 failed in build")
}

#[test]
fn a_failure_is_mailed_once() {
    let mut farm = farm();
    let claim = farm.ends("gcc", Outcome::Failed);
    assert_eq!(farm.notify().unwrap(), Summary { sent: 1, kept: 0, dropped: 0 });
    assert_eq!(farm.notify().unwrap(), Summary::default());
    // A copy of the spool that was made before had the note.
    std::fs::write(farm.spool.owed(&claim.id, 1, Outcome::Failed), "").unwrap();
    farm.later(60).notify().unwrap();
    assert_eq!((farm.sent().len(), farm.owed()), (1, 0));
}

#[test]
fn more_than_five_an_hour_for_one_address_merge_into_a_digest_and_none_is_dropped() {
    let mut farm = farm();
    for n in 1..=8 {
        farm.ends(&format!("p{n}"), Outcome::Failed);
        farm.later(1);
    }
    farm.notify().unwrap();
    let mut all: Vec<String> = (1..=4).map(|n| failed(&format!("p{n}"))).collect();
    all.insert(0, format!("{ANN}: 4 packages: 4 failed"));
    assert_eq!(farm.subjects(), all);
    let digest = farm.sent().into_iter().find(|mail| mail.contains("4 packages")).unwrap();
    for n in 5..=8 {
        assert!(digest.contains(&format!("* p{n} 14.2-1 x86_64 failed in build\r\n")), "{digest}");
    }
    assert_eq!(farm.owed(), 0);
}

#[test]
fn with_the_hour_used_up_the_next_ones_wait_for_one_mail() {
    let mut farm = farm();
    for n in 1..=5 {
        farm.ends(&format!("p{n}"), Outcome::Failed);
        farm.later(1);
    }
    farm.notify().unwrap();
    for n in 6..=8 {
        farm.ends(&format!("p{n}"), Outcome::Failed);
        farm.later(1);
    }
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 3, dropped: 0 });
    farm.ask("b", "Ben <ben@example.org>");
    farm.end(Outcome::Failed);
    assert_eq!(farm.notify().unwrap().sent, 1, "another address has its own hour");
    assert_eq!(farm.later(3600).notify().unwrap(), Summary { sent: 3, kept: 0, dropped: 0 });
    farm.ends("p9", Outcome::Failed);
    farm.later(60).notify().unwrap();
    assert_eq!((farm.owed(), farm.sent().len()), (0, 10));
}

#[test]
fn a_thousand_failures_at_once_are_five_mails() {
    let mut farm = farm();
    // A whole thousand is asked for in one batch.
    let asks: Vec<Ask> = (0..1000).map(|n| farm.wish(&format!("p{n}"), ANN)).collect();
    queue::enqueue(&farm.spool, &asks, &farm.clock, Duration::ZERO).unwrap();
    for _ in 0..1000 {
        farm.end(Outcome::Failed);
    }
    farm.config.trouble.failures = 0;
    assert_eq!(farm.notify().unwrap(), Summary { sent: 5, kept: 0, dropped: 0 });
    let digest = farm.sent().into_iter().find(|mail| mail.contains("996 packages: 996 failed")).unwrap();
    let text = digest.replace("=\r\n", "").replace("\r\n", " ");
    assert!(
        (0..1000)
            .filter(|n| text.contains(&format!(" p{n} 14.2-1")) || text.contains(&format!(" p{n}-14.2-1")))
            .count()
            == 996
    );
    assert!(digest.len() < 64 << 10, "{}", digest.len());
    assert_eq!(farm.owed(), 0);
}

#[test]
fn what_was_fixed_before_anybody_heard_of_it_is_no_news() {
    let mut farm = farm();
    farm.ends("gcc", Outcome::Failed);
    farm.later(60).ends("gcc", Outcome::Built);
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 0, dropped: 2 });
    farm.later(60).ends("gcc", Outcome::Failed);
    assert_eq!(farm.notify().unwrap().sent, 1);
    farm.later(60).ends("gcc", Outcome::Built);
    assert_eq!(farm.notify().unwrap().sent, 1);
    assert_eq!(farm.subjects(), [failed("gcc"), format!("{ANN}: gcc 14.2-1 x86_64 is built again")]);
}

#[test]
fn trouble_is_mailed_to_the_admin_and_green_only_after_red() {
    let mut farm = farm();
    farm.ends("gcc", Outcome::Trouble);
    farm.later(60).ends("vim", Outcome::Built);
    assert_eq!(farm.notify().unwrap(), Summary { sent: 1, kept: 0, dropped: 1 });
    assert_eq!(farm.subjects(), ["admin@example.org: gcc 14.2-1 x86_64: the farm could not build it"]);
}

#[test]
fn only_the_root_cause_is_mailed_and_says_what_waits_for_it() {
    let farm = farm();
    let batch = Some("b".parse().unwrap());
    let on = |name: &str| [name.parse().unwrap()].into();
    let lib = Ask { batch: batch.clone(), ..farm.wish("lib", ANN) };
    let app = Ask { batch: batch.clone(), depends: on("lib"), ..farm.wish("app", ANN) };
    let top = Ask { batch, depends: on("app"), ..farm.wish("top", ANN) };
    queue::enqueue(&farm.spool, &[lib, app, top], &farm.clock, Duration::ZERO).unwrap();
    farm.end(Outcome::Failed);
    assert_eq!(farm.notify().unwrap().sent, 1);
    assert_eq!(farm.subjects(), [failed("lib")]);
    assert!(farm.sent()[0].contains("2 packages wait for it:\r\n\r\n  app top\r\n"), "{}", farm.sent()[0]);
}

#[test]
fn the_pusher_hears_too_when_he_is_not_the_maintainer() {
    let mut farm = farm();
    farm.ends("a", Outcome::Failed);
    farm.notify().unwrap();
    assert_eq!(farm.sent().len(), 1, "not unless it is wished");
    farm.config.mail.pusher = Some("{user}@example.org".to_owned());
    farm.later(60).ends("b", Outcome::Failed);
    farm.notify().unwrap();
    assert_eq!(farm.sent().len(), 2, "ann is the maintainer");
    farm.later(60).ask("c", "Ben <ben@example.org>");
    farm.end(Outcome::Failed);
    farm.notify().unwrap();
    let told = farm.subjects();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.contains(&"ann@example.org: c 14.2-1 x86_64 failed in build".to_owned()), "{told:?}");
}

#[test]
fn whoever_has_opted_out_gets_no_mail_and_nobody_gets_it_for_him() {
    let mut farm = farm();
    farm.config.mail.optout = vec!["Ann@Example.org".to_owned()];
    farm.ends("gcc", Outcome::Failed);
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 0, dropped: 1 });
}

#[test]
fn an_address_of_the_configuration_stands_for_the_one_in_the_recipe() {
    let mut farm = farm();
    farm.config.mail.address = BTreeMap::from([
        ("ann@example.org".to_owned(), "Ann <ann@new.example.org>".to_owned()),
        ("ben at example dot org".to_owned(), "ben@example.org".to_owned()),
    ]);
    farm.ends("a", Outcome::Failed);
    farm.ask("b", "Ben at example dot org");
    farm.end(Outcome::Failed);
    farm.notify().unwrap();
    let told = farm.subjects();
    assert!(told[0].starts_with("Ann <ann@new.example.org>: a "), "{told:?}");
    assert!(told[1].starts_with("ben@example.org: b "), "{told:?}");
    farm.config.mail.address.insert("x@example.org".to_owned(), "nobody".to_owned());
    let error = farm.notify().unwrap_err();
    assert_eq!(error.to_string(), "cannot use mail.address \"nobody\": it is no address");
    farm.config.mail.address.clear();
    farm.config.mail.optout = vec!["ann".to_owned()];
    let error = farm.notify().unwrap_err();
    assert_eq!(error.to_string(), "cannot use mail.optout \"ann\": it is no address");
}

#[test]
fn what_a_maintainer_without_usable_address_would_hear_the_admin_hears_and_of_the_address_once() {
    let mut farm = farm();
    for name in ["gcc", "vim"] {
        farm.ask(name, "Ann <ann at example dot org>");
        farm.end(Outcome::Failed);
        farm.later(4000).notify().unwrap();
    }
    let told = farm.subjects();
    let admin = "admin@example.org:";
    assert_eq!(
        told,
        [
            format!("{admin} gcc 14.2-1 x86_64 failed in build"),
            format!("{admin} mail addresses that cannot be used: 1"),
            format!("{admin} vim 14.2-1 x86_64 failed in build"),
        ]
    );
    assert!(
        farm.sent().iter().any(|mail| mail.contains("\r\nAnn <ann at example dot org>: it is no address"))
    );
}

#[test]
fn the_admin_hears_once_of_a_full_disk_and_again_when_it_was_free_between() {
    let mut farm = farm();
    let disk = Alarm { kind: Kind::Disk, key: "spool".to_owned(), text: disk_text(1 << 20, 1 << 30) };
    farm.alarms = vec![disk.clone()];
    farm.notify().unwrap();
    farm.later(7200).notify().unwrap();
    assert_eq!(farm.subjects(), ["admin@example.org: the master's disk is full"]);
    assert!(farm.sent()[0].contains("* 1.0 MiB are free on the spool's disk, less than 1.0 GiB\r\n"));
    farm.alarms.clear();
    farm.notify().unwrap();
    farm.alarms = vec![disk];
    farm.later(7200).notify().unwrap();
    assert_eq!(farm.sent().len(), 2);
}

#[test]
fn the_admin_hears_of_what_is_built_and_not_published() {
    let mut farm = farm();
    let held = |key: &str| Alarm {
        kind: Kind::Held,
        key: key.to_owned(),
        text: held_text("gcc-14.2-1-x86_64", farm.clock.now(), "gpg failed"),
    };
    farm.alarms = vec![held("a"), held("b")];
    farm.notify().unwrap();
    assert_eq!(farm.subjects(), ["admin@example.org: built, not published: 2"]);
}

fn unbuilt(item: &str, maintainer: Option<&str>) -> Unbuilt {
    Unbuilt {
        item: item.to_owned(),
        tree: "current".to_owned(),
        since: "2026-11-19T14:47:43Z".parse().unwrap(),
        cause: "it was never asked for".to_owned(),
        maintainer: maintainer.map(str::to_owned),
    }
}

#[test]
fn each_day_every_maintainer_and_the_list_hear_what_is_unbuilt() {
    let mut farm = farm();
    farm.config.mail.list = Some("devel@example.org".to_owned());
    farm.unbuilt = vec![
        unbuilt("gcc-14.2-1-x86_64", Some(ANN)),
        unbuilt("vim-9-1-x86_64", Some(ANN)),
        unbuilt("tar-1-1-x86_64", None),
    ];
    farm.at("2026-11-22T05:59:00Z");
    farm.notify().unwrap();
    assert_eq!(farm.sent().len(), 0, "not in the night");
    farm.at("2026-11-22T06:00:00Z");
    for _ in 0..3 {
        farm.later(60).notify().unwrap();
    }
    let today =
        ["Ann <ann@example.org>: 2 packages are unbuilt", "devel@example.org: 3 packages are unbuilt"];
    assert_eq!(farm.subjects(), today);
    let line = "* current/gcc-14.2-1-x86_64 is missing for 2 days 15 h: it was never asked for\r\n";
    assert!(farm.sent()[0].contains(line), "{}", farm.sent()[0]);
    farm.later(24 * 3600).notify().unwrap();
    assert_eq!(farm.sent().len(), 4);
    farm.unbuilt.clear();
    farm.later(24 * 3600).notify().unwrap();
    assert_eq!(farm.sent().len(), 4, "nothing is no news");
}

#[test]
fn whoever_has_opted_out_gets_no_daily_list_and_is_not_told_as_pusher() {
    let mut farm = farm();
    farm.config.mail.optout = vec!["ann@example.org".to_owned()];
    farm.config.mail.list = Some("devel@example.org".to_owned());
    farm.config.mail.pusher = Some("{user}@example.org".to_owned());
    farm.unbuilt = vec![unbuilt("gcc-14.2-1-x86_64", Some(ANN))];
    farm.ask_for(Ask { by: "ann".to_owned(), ..farm.wish("vim", "ben@example.org") });
    farm.end(Outcome::Failed);
    farm.notify().unwrap();
    assert_eq!(
        farm.subjects(),
        ["ben@example.org: vim 14.2-1 x86_64 failed in build", "devel@example.org: 1 package is unbuilt"]
    );
}

#[test]
fn a_list_that_was_half_sent_when_somebody_died_is_finished_and_nobody_gets_it_twice() {
    let mut farm = farm();
    farm.config.mail.list = Some("devel@example.org".to_owned());
    farm.unbuilt = vec![unbuilt("gcc-14.2-1-x86_64", Some(ANN))];
    farm.notify().unwrap();
    assert_eq!(farm.sent().len(), 2);
    // As if it had not been noted that this was done.
    std::fs::remove_file(farm.spool.at("told").join("daily-20261122")).unwrap();
    farm.later(60).notify().unwrap();
    assert_eq!(farm.sent().len(), 2);
}

#[test]
fn a_note_that_did_not_come_true_is_dropped_and_one_in_progress_is_left() {
    let farm = farm();
    farm.ask("gcc", "ann@example.org");
    let instance = "i1".parse().unwrap();
    let archs = vec!["x86_64".parse().unwrap()];
    let request =
        Request { builder: "b1".parse().unwrap(), instance, archs, count: 1, choice: Default::default() };
    let claim = claim::take(&farm.spool, &request, &farm.clock).unwrap().remove(0).claim;
    std::fs::write(farm.spool.owed(&claim.id, 1, Outcome::Failed), "").unwrap();
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 1, dropped: 0 });
    crate::spool::abort::abort(&farm.spool, claim.id.as_str(), "ann", "", &farm.clock).unwrap();
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 0, dropped: 1 });
    assert_eq!((farm.owed(), farm.sent().len()), (0, 0));
}

/// What somebody who was killed between two steps leaves behind.
#[test]
fn whoever_is_killed_between_two_steps_loses_no_mail_and_tells_nothing_twice() {
    let mut farm = farm();
    let note = |id: Id, to: &str| farm.spool.at("owed").join(format!("{id}.1.failed{to}"));
    // Decided, and the undecided note is still there.
    let id = farm.ends("a", Outcome::Failed).id;
    std::fs::write(note(id, ".maintainer"), "").unwrap();
    assert_eq!(farm.notify().unwrap().sent, 1);
    // A slip without its letter.
    let id = farm.ends("b", Outcome::Failed).id;
    std::fs::write(farm.spool.at("post").join(format!("{id}.1.failed.maintainer.toml")), "half").unwrap();
    assert_eq!(farm.notify().unwrap().sent, 1);
    // A letter whose note is still there.
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = "127.0.0.1:1".to_owned();
    let id = farm.ends("c", Outcome::Failed).id;
    farm.notify().unwrap_err();
    assert_eq!((farm.owed(), farm.in_post().len()), (0, 1));
    std::fs::write(note(id, ".maintainer"), "").unwrap();
    farm.config.mail.transport = Transport::File;
    farm.later(3600).notify().unwrap();
    assert_eq!((farm.owed(), farm.in_post().len(), farm.sent().len()), (0, 0, 3));
    assert_eq!(crate::spool::list::names(&farm.spool.at("post")).unwrap(), [""; 0]);
}

#[test]
fn what_could_not_be_decided_to_its_end_is_told_to_nobody_yet() {
    let farm = farm();
    let id = farm.ends("gcc", Outcome::Failed).id;
    let note = farm.spool.owed(&id, 1, Outcome::Failed);
    // It cannot be removed.
    std::fs::remove_file(&note).unwrap();
    std::fs::create_dir(&note).unwrap();
    farm.notify().unwrap_err();
    assert_eq!((farm.sent().len(), farm.in_post().len()), (0, 0));
    std::fs::remove_dir(&note).unwrap();
    assert_eq!(farm.notify().unwrap().sent, 1);
}
