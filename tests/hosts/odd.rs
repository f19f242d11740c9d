//! Farms that somebody has set up wrong, or that have a bad day.

use std::thread::sleep;
use std::time::Duration;

use crate::farm::{Farm, LEASE, Side, Size};
use crate::faults::{Fault, Point, happens};
use crate::host::{allowed, say, until};

const SMALL: Size = Size { bytes: 300_000, takes: 0.1 };

#[test]
fn two_builders_with_one_name_and_one_key_do_each_others_work_no_harm() {
    if !allowed() {
        return;
    }
    let mut farm = Farm::new(&["b1", "b1"]);
    farm.is_copied(&[0, 1]);
    farm.ask(&[Size { takes: 3.0, ..SMALL }]);
    (0..2).for_each(|n| farm.start_builder(n));
    farm.settles(60);
    let both = farm.builders.iter().all(|host| host.at("/var/lib/syncpkg/work/b1/slot/0/build/p0").exists());
    assert!(both, "both have built it");
    farm.ask(&[SMALL; 6]);
    farm.settles(60);
    say("hosts: two builders with one name: 2 cases");
}

#[test]
fn clocks_of_builders_may_be_years_off() {
    if !allowed() {
        return;
    }
    let mut farm = Farm::new(&["b1", "b2"]);
    farm.set_clock(0, "1999-12-31T23:59:59Z");
    farm.set_clock(1, "2045-01-01T00:00:00Z");
    farm.ask(&[SMALL; 4]);
    farm.settles(60);
    // Another one builds it meanwhile: what comes late is of use to nobody, and does not stay.
    happens(&mut farm, Point::Upload(50), Fault::Cut(Side::Master, 2 * LEASE));
    say("hosts: clocks that are years off: 2 cases");
}

#[test]
#[ignore = "minutes"]
fn a_master_that_is_started_again_and_again_loses_nothing() {
    if !allowed() {
        return;
    }
    let mut farm = Farm::new(&["b1", "b2", "b3"]);
    farm.ask(&[SMALL; 40]);
    for round in 1..=6 {
        until(&|| farm.story(), "something goes on", 90, || farm.built() >= 5 * round);
        farm.power_master();
    }
    farm.settles(180);
    say("hosts: a master that is started again under load: 6 cases");
}

#[test]
#[ignore = "minutes"]
fn what_is_asked_for_while_no_builder_can_be_reached_is_built_afterwards() {
    if !allowed() {
        return;
    }
    let mut farm = Farm::new(&["b1", "b2", "b3"]);
    for (side, seconds) in [(Side::Builder, 30), (Side::Master, 30), (Side::Master, 90)] {
        (0..3).for_each(|n| farm.cut(n, side));
        farm.ask(&[SMALL; 3]);
        sleep(Duration::from_secs(seconds));
        (0..3).for_each(|n| farm.mend(n, side));
        farm.settles(180);
    }
    say("hosts: no builder can be reached: 3 cases");
}
