//! Whether the cost of each operation stays the same when more is waiting: 100, 100,000 and (with the word `million`
//! as an operand) 1,000,000 tickets, nine in ten of which wait for a dependency. In turns, medians.

mod stage;

use std::io::Write;
use std::time::Duration;

use stage::{Done, ask, end, fill, median, place, take, timed};
use syncpkg::base::Clock;
use syncpkg::config::{Config, LimitSection};
use syncpkg::farm::why;
use syncpkg::spool::{Spool, abort, lease, queue};

const ROUNDS: usize = 41;
const OPERATIONS: [&str; 6] = ["enqueue", "claim", "beat", "report", "abort by name", "why"];

fn main() -> Done {
    let million = std::env::args().any(|word| word == "million");
    let depths: &[usize] = if million { &[100, 100_000, 1_000_000] } else { &[100, 100_000] };
    let place = place()?;
    let mut out = std::io::stdout();
    let mut spools = Vec::new();
    for depth in depths {
        let spool = Spool::create(&place.path().join(depth.to_string()))?;
        let took = fill(&spool, *depth)?;
        writeln!(out, "{depth} tickets asked for in {:.1} s", took.as_secs_f64())?;
        spools.push(spool);
    }
    let mut times = vec![vec![Vec::new(); OPERATIONS.len()]; depths.len()];
    for round in 0..ROUNDS {
        for (spool, times) in spools.iter().zip(&mut times) {
            let took = once(spool, round)?;
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    writeln!(
        out,
        "{ROUNDS} rounds in {}, medians in us, and how often the first column",
        place.path().display()
    )?;
    write!(out, "{:15}", "")?;
    depths.iter().try_for_each(|depth| write!(out, "{depth:>18}"))?;
    writeln!(out)?;
    for (at, operation) in OPERATIONS.iter().enumerate() {
        write!(out, "{operation:15}")?;
        let medians: Vec<f64> =
            times.iter_mut().filter_map(|times| Some(median(times.get_mut(at)?))).collect();
        for cost in &medians {
            write!(out, "{cost:>10.0} {:>6.2}x", cost / medians.first().unwrap_or(cost))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Each operation once, in the order of [`OPERATIONS`].
fn once(spool: &Spool, round: usize) -> Done<[Duration; 6]> {
    let (clock, config) = (Clock::system(), Config::default());
    let one = [ask(&format!("p{round}"), &["q1", "q2", "q3"])?];
    let (enqueue, _) = timed(|| Ok(queue::enqueue(spool, &one, &clock, Duration::ZERO)?))?;
    // What is claimed below, so that as many wait in each round.
    queue::enqueue(spool, &[ask(&format!("r{round}"), &[])?], &clock, Duration::ZERO)?;
    let (why, _) = timed(|| Ok(why::explain(&config, spool, &format!("p{round}"), &clock)?))?;
    let (abort, _) = timed(|| Ok(abort::abort(spool, &format!("p{round}"), "bench", "", &clock)?))?;
    let (claim, claimed) = timed(|| take(spool, &"b1".parse()?))?;
    let (beat, _) = timed(|| Ok(lease::beat(spool, &claimed.claim, None, &LimitSection::default())?))?;
    // The first is what nine in ten wait for: its end would wake them.
    let (report, _) = timed(|| if round == 0 { Ok(()) } else { end(spool, &claimed) })?;
    Ok([enqueue, claim, beat, report, abort, why])
}
