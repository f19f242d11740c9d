//! syncpkgd - goes the master's rounds

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::round;
use syncpkg::program::{self, Common, Scene, Status, Tally};

/// Goes the master's rounds: requests, lost claims, publishing, mails, site.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Go one round and end (cron)
    #[arg(long)]
    once: bool,
    /// Only print what a round would do
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    program::run("syncpkgd", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    if args.dry_run {
        let lines = round::foresee(&scene.config, &scene.spool()?, &scene.clock)?;
        return lines.iter().try_for_each(|line| scene.out.line(line)).map(|()| Status::Done);
    }
    let spool = scene.own_spool()?;
    if !args.once {
        let service = program::service(scene)?;
        let config = scene.config.clone();
        return round::keep_going(config, &spool, &service, &scene.clock).map(|()| Status::Done);
    }
    // Somebody else's round is as good as ours.
    let Some(round) = round::go(&scene.config, &spool, &|_| (), &scene.clock)? else {
        return Ok(Status::Done);
    };
    let mut tally = Tally::default();
    for error in &round.errors {
        // cron mails what is printed: the same every minute would not be read.
        if scene.is_watched() || !round.is_old(error) {
            scene.complain(error);
        }
        tally.add::<()>(&Err(error.clone()));
    }
    Ok(tally.status())
}
