use std::fs;
use std::time::Duration;

use super::*;
use crate::base::Clock;
use crate::config::TroubleSection;
use crate::names::{Outcome, Priority};
use crate::spool::claim::{self, Request};
use crate::spool::queue::{self, Ask};
use crate::spool::report::Ending;

/// A tree without version control whose packages are all built and held.
fn built(names: &[&str]) -> (tempfile::TempDir, Config, Spool) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().display();
    let config = crate::config::parse(
        &format!(
            "[tree.current]\nscm = \"none\"\npath = \"{root}/tree\"\nrecipes = \"*/PKGBUILD\"\narchs = [\"x86_64\"]\n\
             packages = \"{root}/packages/{{name}}-{{version}}-{{release}}-{{arch}}.pkg.tar\"\n"
        ),
        "syncpkg.toml",
    )
    .unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    for (second, name) in (10..).zip(names) {
        let clock = Clock::from_setting(Some(&format!("2026-11-22T14:47:{second}Z"))).unwrap();
        build(&place.path().join("tree").join(name), name, &spool, &clock);
    }
    (place, config, spool)
}

/// Writes a recipe; its package is asked for, and built.
fn build(directory: &Path, name: &str, spool: &Spool, clock: &Clock) {
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("PKGBUILD"), "").unwrap();
    let text = format!("pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\npkgname = {name}\n");
    fs::write(directory.join(".SRCINFO"), text).unwrap();
    let ask = Ask {
        tree: "current".parse().unwrap(),
        item: format!("{name}-1-1-x86_64").parse().unwrap(),
        revision: "abcd".parse().unwrap(),
        path: format!("{name}/PKGBUILD"),
        priority: Priority::Push,
        by: "ann".to_owned(),
        reason: "push".to_owned(),
        maintainer: None,
        batch: None,
        packages: vec![name.parse().unwrap()],
        depends: [].into(),
        exact: true,
        force: false,
        spare_aborted: false,
        published: false,
    };
    queue::enqueue(spool, &[ask], clock, Duration::ZERO).unwrap();
    let request = Request {
        builder: "b1".parse().unwrap(),
        instance: crate::base::random::word(8).parse().unwrap(),
        archs: vec!["x86_64".parse().unwrap()],
        count: 1,
        choice: Default::default(),
    };
    let claimed = claim::take(spool, &request, clock).unwrap().remove(0).claim;
    let package = spool.tmp().join(format!("{name}-1-1-x86_64.pkg.tar"));
    fs::write(&package, name).unwrap();
    let ending = Ending {
        outcome: Outcome::Built,
        stage: None,
        reason: String::new(),
        exit: Some(0),
        host: "b1".to_owned(),
        log: None,
        files: vec![package],
    };
    report::end(spool, &claimed, &ending, &TroubleSection::default(), clock).unwrap();
}

fn publish_few(config: &Config, spool: &Spool, left: usize) -> (Vec<String>, bool) {
    let mut work = Work { config, spool, left, published: Published::default() };
    work.all().unwrap();
    (work.published.done, work.published.more)
}

#[test]
fn a_round_publishes_so_many_and_says_that_there_are_more() {
    let (_place, config, spool) = built(&["a", "b", "c"]);
    assert_eq!(
        publish_few(&config, &spool, 2),
        (vec!["published a-1-1-x86_64".to_owned(), "published b-1-1-x86_64".to_owned()], true)
    );
    assert_eq!(publish_few(&config, &spool, 2), (vec!["published c-1-1-x86_64".to_owned()], false));
}

#[test]
fn what_cannot_be_published_takes_no_turn_from_others() {
    let (place, config, spool) = built(&["a", "b"]);
    fs::create_dir_all(place.path().join("packages/a-1-1-x86_64.pkg.tar/in-the-way")).unwrap();
    assert_eq!(publish_few(&config, &spool, 1), (vec!["published b-1-1-x86_64".to_owned()], false));
}
