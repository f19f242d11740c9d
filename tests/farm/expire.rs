//! What ended long ago goes, and leaves a line.

use std::fs;

use super::stage::Farm;

const DAY: i64 = 24 * 3600;

/// Builds what waits, gcc, with a log; returns its ID.
fn build(farm: &Farm) -> String {
    fs::write(farm.at("log"), "gcc: error: nothing\n").unwrap();
    let claimed = farm.later(60).claim("b1");
    let package = farm.at("gcc-1-1-x86_64.pkg.tar.gz");
    fs::write(&package, "x").unwrap();
    let claim = &claimed.claim;
    farm.ok(&format!("syncpkg-report {claim} --outcome built --log log --file {}", package.display()));
    farm.ok("syncpkgd --once");
    claimed.id
}

/// A farm that built gcc twice, a hundred days ago.
fn old_farm() -> (Farm, [String; 2]) {
    let farm = Farm::new();
    farm.push("gcc", "");
    let first = build(&farm);
    farm.later(60).ok("syncpkg-enqueue --force gcc");
    let second = build(&farm);
    farm.later(100 * DAY);
    (farm, [first, second])
}

/// The files of the spool that speak of a ticket.
fn left_of(farm: &Farm, id: &str) -> Vec<String> {
    let places = ["done/current/gcc", "report", "log"];
    places.iter().flat_map(|place| farm.files(place)).filter(|name| name.contains(id)).collect()
}

#[test]
fn results_go_after_ninety_days_but_the_last_success_stays() {
    let (farm, [first, second]) = old_farm();
    assert_eq!(left_of(&farm, &first).len(), 3);
    let said = farm.ok("syncpkg-expire --dry-run");
    let line = format!("{first} current gcc-1-1-x86_64 e1 built 2026-11-22T12:01:00Z\n");
    assert!(said.starts_with(&line) && !said.contains(&second), "{said}");
    assert_eq!(left_of(&farm, &first).len(), 3, "a dry run changes nothing");
    assert_eq!(farm.ok("syncpkg-expire"), "");
    assert_eq!(left_of(&farm, &first), [""; 0]);
    assert_eq!(left_of(&farm, &second).len(), 3);
    assert_eq!(farm.ok("syncpkg-expire --dry-run"), "");
    farm.ok("syncpkgd --once");
    farm.is_sound();
}

#[test]
fn what_was_asked_for_long_ago_stays_ninety_days_after_its_end() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.later(100 * DAY);
    let first = build(&farm);
    farm.later(60).ok("syncpkg-enqueue --force gcc");
    build(&farm);
    farm.later(80 * DAY).ok("syncpkg-expire");
    assert_eq!(left_of(&farm, &first).len(), 3);
    farm.later(20 * DAY).ok("syncpkg-expire");
    assert_eq!(left_of(&farm, &first), [""; 0]);
}

#[test]
fn what_went_leaves_a_line_and_its_page_and_the_sum_adds_up() {
    let (farm, [first, _]) = old_farm();
    let page = || fs::read_to_string(farm.at(&format!("www/ticket/{first}/index.html"))).unwrap();
    assert!(page().contains("nothing") && farm.at(&format!("www/log/{first}.1.txt")).exists());
    farm.ok("syncpkg-expire");
    farm.ok("syncpkg-stats");
    assert!(page().contains("Its report and its log were removed"), "{}", page());
    assert!(!farm.at(&format!("www/log/{first}.1.txt")).exists());
    let front = fs::read_to_string(farm.at("www/index.html")).unwrap();
    assert!(front.contains("2 asked = ") && front.contains(" + 1 expired"));
    assert!(farm.ok("syncpkg-stats --text").contains("expired           1\n"));
    let gone = "the log of gcc-1-1-x86_64 built was removed 2027-03-02 12:03:00 UTC: it had expired";
    farm.no(&format!("syncpkg-log {first}"), 1, gone);
}

#[test]
fn what_somebody_has_still_to_be_told_or_to_publish_stays() {
    let (farm, [first, _]) = old_farm();
    fs::write(farm.at(&format!("spool/owed/{first}.1.built")), "").unwrap();
    farm.ok("syncpkg-expire");
    assert_eq!(left_of(&farm, &first).len(), 3);
    fs::remove_file(farm.at(&format!("spool/owed/{first}.1.built"))).unwrap();
    fs::create_dir(farm.at(&format!("spool/hold/{first}.1"))).unwrap();
    farm.ok("syncpkg-expire");
    assert_eq!(left_of(&farm, &first).len(), 3);
}

#[test]
fn an_interrupted_expiry_is_finished_by_the_next() {
    let (farm, [first, _]) = old_farm();
    // Killed when the line was written and the log and the report were gone.
    let [ticket, report, log] = &left_of(&farm, &first)[..] else { panic!() };
    let line = format!("{first} current gcc-1-1-x86_64 e1 built 2026-11-22T12:01:00Z\n");
    fs::write(farm.at("spool/expired/20270101-000000-000-aaaaaa"), line).unwrap();
    fs::remove_file(farm.at("spool/report").join(report)).unwrap();
    fs::remove_file(farm.at("spool/log").join(log)).unwrap();
    assert!(farm.ok("syncpkg-stats --text").contains("expired           0\n"), "{ticket} is still there");
    let problems = farm.run("syncpkg-check").out;
    assert!(!problems.contains("has no report"), "{problems}");
    farm.ok("syncpkg-expire");
    assert_eq!(left_of(&farm, &first), [""; 0]);
    assert!(farm.ok("syncpkg-stats --text").contains("expired           1\n"));
    farm.ok("syncpkgd --once");
    farm.is_sound();
}

#[test]
fn an_abort_is_remembered_for_ever() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.ok("syncpkg-abort gcc");
    farm.later(400 * DAY).ok("syncpkg-expire");
    assert_eq!(farm.files("done").len(), 1);
}

#[test]
fn old_copies_of_mails_answered_requests_and_refused_reports_go() {
    let farm = Farm::new();
    let files = [
        "sent/20260101/20260101-120000-000-aaaaaa.1.failed.eml",
        "request/20260101/20260101-120000-000-aaaaaa.toml",
        "late/20260101-120000-000-aaaaaa.1.built.log",
        "sent/20261101/20261101-120000-000-aaaaaa.1.failed.eml",
        "late/20261101-120000-000-aaaaaa.1.built.log",
    ];
    for file in files {
        let path = farm.at("spool").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::write(farm.at("spool/owed/20260101-120000-000-aaaaaa.1.failed"), "").unwrap();
    farm.ok("syncpkg-expire");
    let left = |at: usize| farm.at("spool").join(files[at]).exists();
    assert_eq!([0, 1, 2, 3, 4].map(left), [true, false, false, true, true]);
    assert!(!farm.at("spool/request/20260101").exists());
}

#[test]
fn the_master_lets_go_once_a_day() {
    let (farm, [first, _]) = old_farm();
    farm.ok("syncpkgd --once");
    assert_eq!(left_of(&farm, &first).len(), 3, "a clock that has jumped makes nothing old at once");
    farm.later(DAY).ok("syncpkgd --once");
    assert_eq!(left_of(&farm, &first), [""; 0]);
    farm.configure("[keep]\nresults = \"0s\"\nfailures = 0\n");
    farm.push("make", "");
    farm.ok("syncpkg-abort make");
    farm.later(60).ok("syncpkg-enqueue make");
    farm.ok("syncpkg-abort make");
    farm.later(60).ok("syncpkgd --once");
    assert_eq!(farm.files("done/current/make").len(), 2, "not again today");
    farm.later(DAY).ok("syncpkgd --once");
    assert_eq!(farm.files("done/current/make").len(), 1);
}
