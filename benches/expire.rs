//! How long it takes to let go of two years of a busy farm: 350,000 results of 3,756 packages, each with its report, one in
//! four with a log, nearly all of them too old. First what is only looked at, then the whole; then again, with nothing to do.

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
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

fn main() -> Done {
    let (place, mut out) = (place()?, std::io::stdout());
    let spool = Spool::create(&place.path().join("spool"))?;
    let begin: Timestamp = "2024-11-22T00:00:00Z".parse()?;
    let clock = Clock::fixed("2027-02-20T00:00:00Z".parse()?);
    let (took, ()) = timed(|| two_years(&spool, begin))?;
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
    if took > LIMIT {
        return Err(format!("it took more than {} s", LIMIT.as_secs()).into());
    }
    Ok(())
}

/// Writes tickets that have ended, as they lie in a spool, and what belongs to them.
fn two_years(spool: &Spool, begin: Timestamp) -> Done {
    let step = SignedDuration::from_hours(2 * 365 * 24) / i32::try_from(RESULTS)?;
    let mut made = BTreeSet::new();
    for n in 0..RESULTS {
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
