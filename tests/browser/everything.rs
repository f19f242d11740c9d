//! A farm with everything a page can show.

use syncpkg::names::{Outcome, Priority};
use syncpkg::web::{UnbuiltRow, Undelivered};

use crate::sample::{Sample, today, wish};

/// A farm with every kind of page there is, with lists of more than one page, and with somebody who means harm, in words
/// of so many bytes; none when there are to be none.
pub fn everything(long: usize) -> Sample {
    let mut farm = Sample::empty();
    long_ago(&mut farm);
    rebuild(&mut farm);
    let mut farm = today(farm);
    if long > 0 {
        harm(&mut farm, long);
    }
    farm.config.web.user = Some("www-data".to_owned());
    farm
}

/// What has expired.
fn long_ago(farm: &mut Sample) {
    for (item, day) in [("hello-2.12-1-x86_64", "01"), ("hello-2.12-2-x86_64", "02")] {
        let (from, to) = (format!("2026-06-{day}T08:00:00Z"), format!("2026-06-{day}T08:01:00Z"));
        let id = farm.run(item, "b1", (&from, &to), Outcome::Built, ("", ""));
        std::fs::remove_dir_all(farm.spool.hold(&id, 1)).unwrap();
        farm.published.insert(id);
    }
    for note in syncpkg::spool::list::names(&farm.spool.at("owed")).unwrap() {
        std::fs::remove_file(farm.spool.at("owed").join(note)).unwrap();
    }
    farm.set("2026-11-20T06:00:00Z");
    let plan =
        syncpkg::spool::expire::expire(&farm.spool, &syncpkg::config::KeepSection::default(), &farm.clock);
    plan.unwrap();
}

/// A mass rebuild that has only begun.
fn rebuild(farm: &mut Sample) {
    farm.set("2026-11-21T20:00:00Z");
    let module = |n| {
        wish(&format!("perl-module{n}-5.40-1-x86_64"), |ask| {
            (ask.priority, ask.batch) = (Priority::Background, Some("perl-5.40".parse().unwrap()));
            ask.reason = "perl 5.40".to_owned();
        })
    };
    farm.ask_all((1..=400).map(module).collect());
    for (outcome, stage) in [(Outcome::Built, ""), (Outcome::Failed, "check"), (Outcome::Built, "")] {
        let claim = farm.claim("b1", "x86_64");
        farm.end(&claim, outcome, stage, if stage.is_empty() { "" } else { "2 of 9 tests failed" }, b"ok\n");
    }
}

/// What whoever pushes, builds or is mailed to may have us write.
const HARM: &str = "<script>alert(1)</script>\" onload=\"x' ]]> --> </title></pre></svg><img src=x onerror=alert(2)> {{ if }} {x} \
    \u{202e}\u{2066}\u{1b}[2J\u{9b}31m\u{0}\u{85}\r\n\u{feff}\u{fffe}&lt;&#60;";

/// Somebody who means harm, wherever the farm takes words from outside.
fn harm(farm: &mut Sample, long: usize) {
    let harm = || HARM.to_owned();
    farm.ask("evil-1-1-x86_64", |ask| {
        (ask.by, ask.reason, ask.maintainer) = (harm(), harm(), Some(harm()));
        (ask.path, ask.priority) = (format!("a/{HARM}/PKGBUILD"), Priority::Urgent);
    });
    let claim = farm.claim("b1", "x86_64");
    let line = [HARM.as_bytes(), b"\n\xff\xfe\xc3(\0 error: ", HARM.as_bytes(), &vec![b'<'; long]].concat();
    farm.end(&claim, Outcome::Failed, HARM, &format!("{HARM}{}", "<b>".repeat(long / 3)), &line);
    farm.ask("evil-2-1-x86_64", |ask| {
        (ask.depends, ask.priority) = (["evil".parse().unwrap()].into(), Priority::Urgent);
    });
    let live = farm.claim("b1", "x86_64");
    std::fs::write(farm.spool.live(&live.id, live.epoch), &line).unwrap();
    farm.ask("evil-3-1-any", |ask| ask.maintainer = Some(format!("{HARM} <{HARM}>")));
    let when = farm.clock.now();
    farm.facts.unbuilt.get_or_insert_default().push(UnbuiltRow {
        path: harm(),
        item: harm(),
        tree: harm(),
        since: when,
        cause: harm(),
        maintainer: Some(harm()),
    });
    farm.act(HARM, HARM, HARM, HARM);
    farm.facts.undelivered = vec![Undelivered { to: harm(), since: Some(when), error: harm() }];
    farm.seen("b1", "2026-11-22T12:12:00Z");
}
