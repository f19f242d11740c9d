//! What may go wrong between a master and its builders, at every point where that matters. Afterwards everything is built
//! once, published once, and delivered once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::farm::{Farm, LEASE, Side, Size};
use crate::host::{allowed, say};

/// Where it goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Point {
    /// A ticket was claimed; the builder has not heard of it.
    Claim,
    /// A lease was extended; the builder has not heard of it.
    Beat,
    /// So many hundredths of a package are on the master.
    Upload(usize),
    /// The ticket has ended; the builder has not heard of it.
    Report,
}

const POINTS: [Point; 6] =
    [Point::Claim, Point::Beat, Point::Upload(1), Point::Upload(50), Point::Upload(99), Point::Report];

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The cable is out, at this end, for so many seconds.
    Cut(Side, u64),
    /// `syncpkgcd` is killed, and started again.
    Daemon,
    /// The builder loses its power.
    Builder,
    /// The connection is killed on the master.
    Connection,
    /// The master loses its power.
    Master,
}

const KILLS: [Fault; 4] = [Fault::Daemon, Fault::Builder, Fault::Connection, Fault::Master];

const SIZE: usize = 2_000_000;

/// One case: at `point` comes `fault`, while others build.
#[track_caller]
pub fn happens(farm: &mut Farm, point: Point, fault: Fault) {
    let start = Instant::now();
    match point {
        Point::Claim => farm.arm("claim", 0),
        Point::Beat => farm.arm("beat", 0),
        Point::Upload(part) => farm.arm("upload", SIZE / 100 * part),
        Point::Report => farm.arm("report", 0),
    }
    // Whoever waits for work asked before it was armed.
    if matches!(point, Point::Claim) {
        for n in 0..farm.builders.len() {
            farm.end_builder(n, "TERM");
            farm.start_builder(n);
        }
    }
    farm.ask(&[Size { bytes: SIZE, takes: 0.2 }; 3]);
    let (builder, process) = farm.reached();
    match fault {
        Fault::Cut(side, seconds) => {
            farm.cut(builder, side);
            farm.go_on();
            sleep(Duration::from_secs(seconds));
            farm.mend(builder, side);
        }
        Fault::Daemon => {
            farm.end_builder(builder, "KILL");
            farm.start_builder(builder);
            farm.go_on();
        }
        Fault::Builder => {
            farm.power_builder(builder);
            farm.go_on();
        }
        Fault::Connection => {
            farm.master.ok(&format!("kill -KILL {process}"));
            farm.go_on();
        }
        Fault::Master => farm.power_master(),
    }
    farm.settles(120);
    say(&format!("hosts: {point:?}, {fault:?}: {} s", start.elapsed().as_secs()));
}

/// Tries each, in one farm after the other's end; says how many they were.
fn all(what: &str, cases: &[(Point, Fault)]) {
    if !allowed() {
        return;
    }
    let mut farm = Farm::new(&["b1", "b2", "b3"]);
    cases.iter().for_each(|&(point, fault)| happens(&mut farm, point, fault));
    say(&format!("hosts: {what}: {} cases", cases.len()));
}

#[test]
fn nothing_is_lost_or_done_twice_when_a_cable_is_out_or_somebody_dies() {
    all(
        "the short form",
        &[
            (Point::Report, Fault::Cut(Side::Builder, 1)),
            (Point::Claim, Fault::Connection),
            (Point::Upload(50), Fault::Daemon),
            (Point::Beat, Fault::Master),
        ],
    );
}

fn cuts(side: Side) -> Vec<(Point, Fault)> {
    let times = [1, 3 * LEASE, 30];
    POINTS.iter().flat_map(|&point| times.map(|seconds| (point, Fault::Cut(side, seconds)))).collect()
}

#[test]
#[ignore = "minutes"]
fn nothing_is_lost_or_done_twice_when_the_builders_cable_is_out() {
    all("cables out at the builder", &cuts(Side::Builder));
}

#[test]
#[ignore = "minutes"]
fn nothing_is_lost_or_done_twice_when_the_masters_cable_is_out() {
    all("cables out at the master", &cuts(Side::Master));
}

#[test]
#[ignore = "minutes"]
fn nothing_is_lost_or_done_twice_when_either_side_is_killed() {
    let cases: Vec<(Point, Fault)> =
        POINTS.iter().flat_map(|&point| KILLS.map(|fault| (point, fault))).collect();
    all("killed", &cases);
}
