//! Leases, epochs and trouble: nothing a builder does, or does not do, loses a ticket.

use crate::stage::{Farm, until};

#[test]
fn a_builder_that_is_not_heard_of_loses_its_claim_and_its_late_report_is_refused() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let lost = farm.claim("b1");
    farm.lose_leases();
    let next = farm.claim("b2");
    assert_eq!(lost.id, next.id);
    assert!(next.claim.contains(".2."), "the epoch fences: {}", next.claim);
    farm.no(
        &format!("syncpkg-report {} --outcome built", lost.claim),
        1,
        "refused: the lease was lost, b2 holds the ticket now",
    );
    assert_eq!(farm.files("late"), [format!("{}.1.built.toml", lost.id)], "what it said is kept");
    let late = std::fs::read_to_string(farm.at("spool/late").join(&farm.files("late")[0])).unwrap();
    assert!(!late.contains("started"), "the time of the claim of b2 is none of its own: {late}");
    farm.built(&next, "x");
    assert_eq!(farm.state(&next.id), "built");
    farm.is_sound();
}

#[test]
fn a_beat_gives_a_whole_lease_again() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.ok("syncpkgd --once");
    farm.later(599).ok(&format!("syncpkg-beat {}", claimed.claim));
    farm.later(2).ok("syncpkgd --once");
    farm.later(599).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc building"]);
    farm.later(2).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc waiting"]);
}

#[test]
fn the_first_sign_of_life_of_a_claim_is_the_claim() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let shelf = farm.at("spool/new/x86_64");
    let ticket = std::fs::read_dir(shelf).unwrap().next().unwrap().unwrap().path();
    std::fs::File::open(&ticket).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    farm.claim("b1");
    let claim = farm.at("spool/run").join(&farm.files("run")[0]);
    assert_ne!(claim.metadata().unwrap().modified().unwrap(), std::time::UNIX_EPOCH);
}

#[test]
fn a_ticket_whose_every_claim_was_lost_ends_as_trouble() {
    let farm = Farm::new();
    let id = farm.push("gcc", "");
    for _ in 0..4 {
        farm.claim("b1");
        farm.lose_leases();
        assert_eq!(farm.state(&id), "waiting");
    }
    farm.claim("b1");
    farm.lose_leases();
    assert_eq!(farm.state(&id), "trouble");
    farm.is_sound();
}

#[test]
fn a_damaged_ticket_keeps_no_other_claim_from_coming_back() {
    let farm = Farm::new();
    for name in ["gcc", "make"] {
        farm.later(1).push(name, "");
        farm.claim("b1");
    }
    let damaged = farm.files("run").into_iter().find(|file| file.contains("gcc")).unwrap();
    std::fs::write(farm.at("spool/run").join(damaged), "garbage").unwrap();
    farm.lose_leases();
    assert_eq!(farm.states(""), ["make waiting"]);
    assert!(farm.files("bad").iter().any(|file| file.ends_with(".why")));
}

#[test]
fn a_builder_that_stands_still_in_the_middle_of_an_answer_keeps_no_other_claim_from_coming_back() {
    let farm = Farm::new();
    for (name, builder) in [("gcc", "b1"), ("make", "b2")] {
        farm.later(1).push(name, "");
        farm.claim(builder);
    }
    farm.ok("syncpkgd --once");
    let answer = std::fs::File::open(farm.at("spool/run/b1")).unwrap();
    fs2::FileExt::lock_exclusive(&answer).unwrap();
    let round = farm.later(601).run("syncpkgd --once");
    assert!(round.status == 75 && round.err.contains("run/b1: somebody else holds it"), "{round:?}");
    assert_eq!(farm.states(""), ["gcc building", "make waiting"]);
    drop(answer);
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc waiting", "make waiting"]);
}

#[test]
fn a_beat_after_the_lease_was_lost_says_stop() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.lose_leases();
    let ran = farm.run(&format!("syncpkg-beat {}", claimed.claim));
    assert_eq!((ran.status, ran.out.as_str()), (1, "the lease was lost, the ticket waits again\n"));
}

#[test]
fn a_late_report_is_taken_while_nobody_else_has_the_ticket() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.lose_leases();
    farm.built(&claimed, "x");
    assert_eq!(farm.state(&claimed.id), "built");
    farm.is_sound();
}

#[test]
fn a_report_repeated_after_a_lost_answer_is_accepted_once() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    farm.built(&claimed, "x");
    farm.built(&claimed, "x");
    farm.no(
        &format!("syncpkg-report {} --outcome failed", claimed.claim),
        1,
        "refused: the ticket has ended as built",
    );
    assert_eq!(farm.states("all"), ["gcc built"]);
    farm.is_sound();
}

#[test]
fn trouble_reported_again_after_a_lost_answer_has_the_effect_of_one() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    let report = format!("syncpkg-report {} --outcome trouble", claimed.claim);
    farm.ok(&report);
    let rests = farm.files("new");
    farm.ok(&report);
    assert_eq!(farm.files("new"), rests, "in the same second");
    farm.later(30).ok(&report);
    assert_eq!(farm.files("new"), rests, "it rests no longer for it");
    let built = format!("syncpkg-report {} --outcome built", claimed.claim);
    farm.no(&built, 1, "refused: ");
    assert_eq!(farm.files("new"), rests, "one report ends a claim");
    farm.is_sound();
}

#[test]
fn nobody_ends_a_ticket_that_he_did_not_claim() {
    let farm = Farm::new();
    let id = farm.push("gcc", "");
    farm.no(&format!("syncpkg-report b2.{id}.0.abc --outcome failed"), 2, "is no claim");
    farm.claim("b1");
    farm.lose_leases();
    farm.no(&format!("syncpkg-report b2.{id}.1.abc --outcome failed"), 1, "refused: ");
    assert_eq!(farm.states("all"), ["gcc waiting"]);
}

#[test]
fn late_trouble_of_a_lost_lease_is_refused_too() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let lost = farm.claim("b1");
    farm.lose_leases();
    farm.claim("b2");
    farm.no(&format!("syncpkg-report {} --outcome trouble", lost.claim), 1, "b2 holds the ticket now");
    assert_eq!(farm.files("late"), [format!("{}.1.trouble.toml", lost.id)]);
}

#[test]
fn a_claim_repeated_with_its_instance_is_the_same_claim() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.later(1).push("make", "");
    let line = "syncpkg-claim --builder b1 --arch x86_64 --instance abc";
    let (first, again) = (farm.ok(line), farm.ok(line));
    assert_eq!(first, again);
    assert_eq!(farm.states(""), ["gcc building", "make waiting"]);
}

#[test]
fn trouble_rests_three_times_longer_each_time_and_ends_with_the_fifth_claim() {
    let farm = Farm::new();
    farm.push("gcc", "");
    for rest in [60, 180, 540, 1620] {
        let claimed = farm.claim("b1");
        farm.ok(&format!("syncpkg-report {} --outcome trouble --reason disk", claimed.claim));
        farm.later(rest - 1).no("syncpkg-claim --builder b2 --arch x86_64", 1, "nothing to claim");
        farm.later(1);
    }
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome trouble --reason disk", claimed.claim));
    assert_eq!(farm.state(&claimed.id), "trouble");
    farm.ok("syncpkgd --once");
    let mail = std::fs::read_to_string(farm.at("spool/sent").join(&farm.files("sent")[0])).unwrap();
    assert!(mail.contains("To: admin@example.org"), "the admin is told: {mail}");
    farm.is_sound();
}

#[test]
fn a_builder_that_had_trouble_with_a_ticket_gets_it_last() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.later(1).push("make", "");
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome trouble", claimed.claim));
    farm.later(60);
    assert_eq!(farm.claim("b1").name, "make");
    assert_eq!(farm.claim("b2").name, "gcc");
}

#[test]
fn released_claims_wait_again() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.claim("b1");
    farm.ok("syncpkg-builder --pause --release b1");
    assert_eq!(farm.states(""), ["gcc waiting"]);
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, "builder b1 is paused");
    farm.ok("syncpkg-builder --resume b1");
    farm.claim("b1");
}

#[test]
fn touching_pause_stops_all_claims() {
    let farm = Farm::new();
    farm.push("gcc", "");
    std::fs::write(farm.at("spool/pause"), "").unwrap();
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, "nothing to claim: ");
    assert!(farm.ok("syncpkg-why gcc").contains("all claims are paused"));
    std::fs::remove_file(farm.at("spool/pause")).unwrap();
    farm.claim("b1");
}

#[test]
fn the_growing_log_is_handed_over_with_the_beats() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claimed = farm.claim("b1");
    let log = farm.at("log");
    std::fs::write(&log, "one\n").unwrap();
    farm.ok(&format!("syncpkg-beat {} --log {}", claimed.claim, log.display()));
    std::fs::write(&log, "one\ntwo\u{1b}[31m\n").unwrap();
    farm.ok(&format!("syncpkg-beat {} --log {}", claimed.claim, log.display()));
    assert_eq!(farm.ok("syncpkg-log gcc"), "one\ntwo\n");
    farm.ok(&format!("syncpkg-report {} --outcome failed --log {}", claimed.claim, log.display()));
    assert_eq!(farm.ok("syncpkg-log gcc"), "one\ntwo\n");
    assert!(farm.files("live").is_empty());
}

#[test]
fn a_builder_that_is_away_keeps_its_claims_for_the_grace() {
    let farm = Farm::new();
    farm.configure("[lease]\nexpires = \"10m\"\ngrace = \"1h\"\n");
    farm.push("gcc", "");
    farm.claim("b1");
    farm.ok("syncpkgd --once");
    farm.later(4199).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc building"]);
    farm.later(2).ok("syncpkgd --once");
    assert_eq!(farm.states(""), ["gcc waiting"]);
}

#[test]
fn a_builder_that_is_not_heard_of_is_away_since_then() {
    let farm = Farm::new();
    farm.ok("syncpkg-builder --arch x86_64 b1");
    let now: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let record = std::fs::File::open(farm.at("spool/builder/b1.toml")).unwrap();
    record.set_modified(now.into()).unwrap();
    assert_eq!(farm.later(600).ok("syncpkg-builder"), "b1  x86_64  idle  seen 10 min ago\n");
    assert_eq!(
        farm.later(1).ok("syncpkg-builder"),
        "b1  x86_64  away since 2026-11-22 12:00:00 UTC  seen 10 min ago\n"
    );
}

#[test]
fn a_lease_that_is_shorter_than_a_minute_is_lost_within_two_of_them() {
    let farm = Farm::new();
    farm.configure("[lease]\nbeat = \"1s\"\nexpires = \"2s\"\n");
    farm.push("gcc", "");
    farm.claim("b1");
    let mut daemon = farm.start("syncpkgd");
    until("the claim is lost", 30, || farm.states("") == ["gcc waiting"]);
    Farm::end(&mut daemon);
}
