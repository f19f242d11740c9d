//! What a durable enqueue costs over the least that the disk can do for it: create, write, fsync, rename, fsync of
//! the directory. Both side by side on one file system, in turns, medians of the rounds.
//!
//! Operand: a directory on the file system to be measured; cargo's target directory when not given.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syncpkg::base::Clock;
use syncpkg::names::Priority;
use syncpkg::spool::queue::{self, Ask};
use syncpkg::spool::{Spool, TicketName};

const ROUNDS: usize = 5;
const EACH: usize = 100;
const DEPTHS: [usize; 2] = [0, 2000];

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Done {
    let operand = std::env::args().skip(1).find(|word| !word.starts_with('-')).map(PathBuf::from);
    let base = operand.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let mut out = std::io::stdout();
    writeln!(out, "{ROUNDS} rounds of {EACH} in {}, medians", base.display())?;
    for depth in DEPTHS {
        let place = tempfile::tempdir_in(&base)?;
        let measured = measure(place.path(), depth)?;
        let [bare, enqueue] = measured.map(|mut times| median(&mut times).as_secs_f64() * 1e6 / EACH as f64);
        writeln!(
            out,
            "{depth:4} waiting: create+write+fsync+rename+fsync {bare:7.0} us, enqueue {enqueue:7.0} us, ratio {:.2}",
            enqueue / bare
        )?;
    }
    Ok(())
}

fn measure(place: &Path, depth: usize) -> Done<[Vec<Duration>; 2]> {
    let spool = Spool::create(&place.join("spool"))?;
    let clock = Clock::system();
    let before: Vec<Ask> = (0..depth).map(|n| ask(&format!("before{n}"))).collect::<Done<_>>()?;
    queue::enqueue(&spool, &before, &clock, Duration::ZERO)?;
    let text = ticket_text(&spool, &clock)?;
    let (from, to) = (place.join("bare/tmp"), place.join("bare/new"));
    [&from, &to].into_iter().try_for_each(fs::create_dir_all)?;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let start = Instant::now();
        (0..EACH).try_for_each(|n| bare(&from, &to, &format!("{round}-{n}"), &text))?;
        times[0].push(start.elapsed());
        let asks: Vec<Ask> = (0..EACH).map(|n| ask(&format!("p{round}-{n}"))).collect::<Done<_>>()?;
        let start = Instant::now();
        for ask in &asks {
            queue::enqueue(&spool, std::slice::from_ref(ask), &clock, Duration::ZERO)?;
        }
        times[1].push(start.elapsed());
    }
    Ok(times)
}

fn bare(from: &Path, to: &Path, name: &str, text: &[u8]) -> std::io::Result<()> {
    let temporary = from.join(name);
    let mut file = File::create_new(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, to.join(name))?;
    File::open(to)?.sync_all()
}

/// The bytes of a real ticket, so that both write the same.
fn ticket_text(spool: &Spool, clock: &Clock) -> Done<Vec<u8>> {
    let answers = queue::enqueue(spool, &[ask("sample")?], clock, Duration::ZERO)?;
    let name: &TicketName = answers.first().and_then(|answer| answer.ticket()).ok_or("no ticket")?;
    let entry = syncpkg::spool::list::find(spool, &name.id)?.ok_or("no ticket")?;
    Ok(fs::read(entry.path)?)
}

fn ask(name: &str) -> Done<Ask> {
    Ok(Ask {
        tree: "current".parse()?,
        item: format!("{name}-1.0-1-x86_64").parse()?,
        revision: "0123456789abcdef0123456789abcdef01234567".parse()?,
        path: format!("source/x/{name}/FrugalBuild"),
        priority: Priority::Push,
        by: "bench".to_owned(),
        reason: String::new(),
        maintainer: Some("A Developer <a@example.org>".to_owned()),
        batch: None,
        packages: vec![name.parse()?],
        depends: [].into(),
        exact: true,
        force: false,
        spare_aborted: false,
        published: false,
    })
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
