//! Whether the cost of each operation stays the same when more is waiting: 100, 100,000 and (with the word `million`
//! as an operand) 1,000,000 tickets, nine in ten of which wait for a dependency and all of which are held back; or when as many have ended. In turns,
//! medians.

mod stage;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use stage::{Done, ask, end, fill, median, place, take, timed};
use syncpkg::base::Clock;
use syncpkg::config::{Config, LimitSection};
use syncpkg::farm::why;
use syncpkg::names::{Id, Outcome};
use syncpkg::spool::{History, Spool, TicketName, abort, lease, queue};

const ROUNDS: usize = 41;
/// About as many recipes as Frugalware has.
const PACKAGES: usize = 3_756;
const OPERATIONS: [&str; 6] = ["enqueue", "claim", "beat", "report", "abort by name", "why"];

/// How full a spool is.
struct Depth {
    waiting: usize,
    ended: usize,
}

fn main() -> Done {
    let most = if std::env::args().any(|word| word == "million") { 1_000_000 } else { 100_000 };
    let mut depths = vec![Depth { waiting: 100, ended: 0 }, Depth { waiting: 100_000, ended: 0 }];
    if most > 100_000 {
        depths.push(Depth { waiting: most, ended: 0 });
    }
    depths.push(Depth { waiting: 100, ended: most });
    let place = place()?;
    let mut out = std::io::stdout();
    let mut spools = Vec::new();
    for (number, Depth { waiting, ended }) in depths.iter().enumerate() {
        let spool = Spool::create(&place.path().join(number.to_string()))?;
        history(&spool, *ended)?;
        let took = fill(&spool, *waiting)?;
        writeln!(out, "{waiting} tickets asked for in {:.1} s, {ended} ended before", took.as_secs_f64())?;
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
    for Depth { waiting, ended } in &depths {
        let what = if *ended > 0 { format!("{ended} ended") } else { format!("{waiting} waiting") };
        write!(out, "{what:>18}")?;
    }
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

/// Lets `count` tickets have ended in the last year, of as many packages as a distribution has; those of [`once`] are
/// among them.
fn history(spool: &Spool, count: usize) -> Done {
    if count == 0 {
        return Ok(());
    }
    queue::enqueue(spool, &[ask("sample", &[])?], &Clock::system(), Duration::ZERO)?;
    let claimed = take(spool, &"b1".parse()?)?;
    end(spool, &claimed)?;
    let Some(sample) = History::of(spool, &"current".parse()?, &"sample".parse()?)?.entries().next_back()
    else {
        return Err("the sample has not ended".into());
    };
    let (ticket, id) = (fs::read_to_string(&sample.path)?, sample.name.id);
    let report = fs::read_to_string(spool.report(&id, 1, Outcome::Failed))?;
    for n in 0..count {
        let package = format!("{}{}", if n % 2 == 0 { "p" } else { "r" }, n % PACKAGES / 2);
        let age = Duration::from_secs(365 * 24 * 3600 / count as u64 * n as u64);
        let name = TicketName {
            id: Id::new(Clock::system().now() - age),
            item: format!("{package}-0.{n}-1-x86_64").parse()?,
            ..sample.name.clone()
        };
        let text = |text: &str| text.replace(id.as_str(), name.id.as_str()).replace("sample", &package);
        write(&spool.done(&name), &text(&ticket))?;
        write(&spool.report(&name.id, 1, Outcome::Failed), &text(&report))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Done {
    if fs::write(path, text).is_err() {
        fs::create_dir_all(path.parent().ok_or("no directory")?)?;
        fs::write(path, text)?;
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
