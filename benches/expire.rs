//! How long it takes to let go of two years of a busy farm: 350,000 results of 3,756 packages, each with its report, one in
//! four with a log, nearly all of them too old. First what is only looked at, then the whole; then again, with nothing to do.
//! Beside it what the disk takes for removing as many files that lie as they do, and nothing else.

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use stage::{Done, place, timed};
use syncpkg::base::Clock;
use syncpkg::config::KeepSection;
use syncpkg::names::{Id, Outcome};
use syncpkg::spool::{Spool, expire};

const RESULTS: usize = 350_000;
/// About as many recipes as Frugalware has.
const PACKAGES: usize = 3_756;
const LIMIT: Duration = Duration::from_secs(10);
/// The bare removing is tried with one in so many.
const PART: usize = 10;
/// So much longer than the bare removing it may take where the disk alone takes longer than the limit.
const MUCH: f64 = 1.5;

fn main() -> Done {
    let (place, mut out) = (place()?, std::io::stdout());
    let spool = Spool::create(&place.path().join("spool"))?;
    let begin: Timestamp = "2024-11-22T00:00:00Z".parse()?;
    let clock = Clock::fixed("2027-02-20T00:00:00Z".parse()?);
    let (took, ()) = timed(|| two_years(&spool, begin, RESULTS))?;
    writeln!(out, "{RESULTS} results of {PACKAGES} packages in {}", place.path().display())?;
    writeln!(out, "{:20} {:8.1} s", "made", took.as_secs_f64())?;
    rustix::fs::sync();
    let keep = KeepSection::default();
    let (took, plan) = timed(|| Ok(expire::plan(&spool, &keep, &clock)?))?;
    writeln!(out, "{:20} {:8.1} s, {} are to go", "looked at", took.as_secs_f64(), plan.tickets.len())?;
    let (took, gone) = timed(|| Ok(expire::expire(&spool, &keep, &clock)?))?;
    writeln!(out, "{:20} {:8.1} s", "let go of", took.as_secs_f64())?;
    let (again, none) = timed(|| Ok(expire::expire(&spool, &keep, &clock)?))?;
    writeln!(out, "{:20} {:8.1} s", "with nothing to do", again.as_secs_f64())?;
    if gone.tickets.len() + 6 * PACKAGES < RESULTS || !none.tickets.is_empty() {
        return Err("it did not let go of what it should".into());
    }
    let floor = bare(&place.path().join("bare"), begin)? * u32::try_from(PART)?;
    let ratio = took.as_secs_f64() / floor.as_secs_f64();
    writeln!(out, "{:20} {:8.1} s; ours takes {ratio:.2} of that", "bare unlink", floor.as_secs_f64())?;
    if took > LIMIT && ratio > MUCH {
        return Err(
            format!("it took more than {} s, and not for want of a quicker disk", LIMIT.as_secs()).into()
        );
    }
    Ok(())
}

/// How long two threads take for unlinking a part of such a farm, directory by directory.
fn bare(root: &Path, begin: Timestamp) -> Done<Duration> {
    let spool = Spool::create(root)?;
    two_years(&spool, begin, RESULTS / PART)?;
    rustix::fs::sync();
    let files = |name: &str| {
        let all = walkdir::WalkDir::new(spool.at(name)).into_iter().flatten();
        all.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect::<Vec<_>>()
    };
    let files: Vec<_> = ["report", "log", "done"].into_iter().flat_map(files).collect();
    let (one, two) = files.split_at(files.len() / 2);
    let unlink = |files: &[PathBuf]| files.iter().try_for_each(fs::remove_file);
    let (took, done) = timed(|| {
        Ok(std::thread::scope(|scope| {
            let other = scope.spawn(|| unlink(two));
            unlink(one).and(other.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())))
        }))
    })?;
    done?;
    Ok(took)
}

/// Writes tickets that have ended, as they lie in a spool, and what belongs to them.
fn two_years(spool: &Spool, begin: Timestamp, results: usize) -> Done {
    let step = SignedDuration::from_hours(2 * 365 * 24) / i32::try_from(results)?;
    let mut made = BTreeSet::new();
    for n in 0..results {
        let id = Id::new(begin + step * i32::try_from(n)?);
        let (name, outcome) =
            (format!("p{}", n % PACKAGES), if n % 14 == 0 { Outcome::Failed } else { Outcome::Built });
        let done = spool.at("done").join("current").join(&name);
        let (report, log) = (spool.report(&id, 1, outcome), spool.log(&id, 1));
        for directory in [done.as_path(), parent(&report), parent(&log)] {
            if made.insert(directory.to_owned()) {
                fs::create_dir_all(directory)?;
            }
        }
        let version = n / PACKAGES;
        let ticket = format!("5,{id},current,{name}-{version}-1-x86_64,e1,{outcome}");
        let about = format!(
            "tree = \"current\"\nname = \"{name}\"\nversion = \"{version}\"\nrelease = \"1\"\narch = \"x86_64\"\n\
             revision = \"0123456789abcdef0123456789abcdef01234567\"\n"
        );
        fs::write(done.join(ticket), format!("format = 1\nid = \"{id}\"\n{about}"))?;
        let ended = id.time() + SignedDuration::from_mins(20);
        let end = format!(
            "outcome = \"{outcome}\"\nbuilder = \"b1\"\nhost = \"b1\"\nended = \"{ended}\"\nlog = true\n"
        );
        fs::write(report, format!("format = 1\nid = \"{id}\"\nepoch = 1\n{about}{end}"))?;
        if n % 4 == 0 {
            fs::write(log, "==> Starting build()...\n")?;
        }
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
