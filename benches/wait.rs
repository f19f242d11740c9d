//! How soon a claimer that waits holds the claim of what is enqueued, and what all that wait spend on it.

mod stage;

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use stage::{Done, ask, end, median, place};
use syncpkg::base::Clock;
use syncpkg::names::Instance;
use syncpkg::spool::claim::{self, Claimed, Request};
use syncpkg::spool::{Spool, queue};

const TIMES: usize = 50;
const CLAIMERS: [usize; 3] = [1, 16, 64];
/// Nobody waits longer than this if something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Done {
    let (place, mut out) = (place()?, std::io::stdout());
    writeln!(out, "{TIMES} enqueues in {}; from the answer to the claim", place.path().display())?;
    for count in CLAIMERS {
        let spool = Spool::create(&place.path().join(count.to_string()))?;
        let (mut waits, cpu) = race(&spool, count)?;
        let longest = waits.iter().max().copied().unwrap_or_default().as_secs_f64() * 1e6;
        let spent = cpu.as_secs_f64() * 1e6 / TIMES as f64;
        writeln!(
            out,
            "{count:3} waiting: median {:7.0} us, longest {longest:7.0} us, {spent:7.0} us of CPU an enqueue, {:5.0} for each",
            median(&mut waits),
            spent / count as f64
        )?;
    }
    Ok(())
}

/// Returns how long each ticket waited, and the CPU time that the claimers spent.
fn race(spool: &Spool, count: usize) -> Done<(Vec<Duration>, Duration)> {
    let (sender, claims) = channel();
    std::thread::scope(|scope| {
        for number in 0..count {
            let sender = sender.clone();
            scope.spawn(move || wait(spool, number, &sender).map_err(|error| error.to_string()));
        }
        drop(sender);
        settle();
        let before = others();
        let mut waits = Vec::new();
        for number in 0..TIMES {
            waits.push(once(spool, number, &claims)?);
            settle();
        }
        let spent = others().saturating_sub(before);
        // One for each, that all can go home.
        let last = (0..count).map(|n| ask(&format!("last{n}"), &[])).collect::<Done<Vec<_>>>()?;
        queue::enqueue(spool, &last, &Clock::system(), PATIENCE)?;
        (0..count).try_for_each(|_| claims.recv_timeout(PATIENCE).map(drop))?;
        Ok((waits, spent))
    })
}

fn once(spool: &Spool, number: usize, claims: &Receiver<(Instant, Claimed)>) -> Done<Duration> {
    queue::enqueue(spool, &[ask(&format!("p{number}"), &[])?], &Clock::system(), PATIENCE)?;
    let answered = Instant::now();
    let (at, claimed) = claims.recv_timeout(PATIENCE)?;
    end(spool, &claimed)?;
    Ok(at.saturating_duration_since(answered))
}

/// A builder that waits, and waits again, until it is told that this was the last.
fn wait(spool: &Spool, number: usize, sender: &Sender<(Instant, Claimed)>) -> Done {
    let builder: syncpkg::names::Builder = format!("b{number}").parse()?;
    loop {
        let request = Request {
            builder: builder.clone(),
            instance: Instance::random()?,
            archs: vec!["x86_64".parse()?],
            count: 1,
            choice: Default::default(),
        };
        let mut claimed = claim::wait(spool, &request, Some(PATIENCE), &|| false, &Clock::system())?;
        let claimed = claimed.pop().ok_or("claimed nothing")?;
        let is_last = claimed.ticket.name.as_str().starts_with("last");
        sender.send((Instant::now(), claimed))?;
        if is_last {
            return Ok(());
        }
    }
}

/// The CPU time of all threads but this one.
fn others() -> Duration {
    time(ClockId::ProcessCPUTime).saturating_sub(time(ClockId::ThreadCPUTime))
}

fn time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// Until nobody does anything any more: the losers have looked and sleep again.
fn settle() {
    let mut before = Duration::MAX;
    while others().abs_diff(before) > Duration::from_micros(50) {
        before = others();
        std::thread::sleep(Duration::from_millis(10));
    }
}
