//! syncpkg-check [--repair] - looks at every invariant of the spool

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::check;
use syncpkg::program::{self, Common, Json, Scene, Status};

/// Looks at every invariant of the spool; prints one line a problem.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Mend what has one right answer, quarantine the rest
    #[arg(long)]
    repair: bool,
}

fn main() -> ExitCode {
    program::run("syncpkg-check", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = if args.repair { scene.own_spool()? } else { scene.spool()? };
    let problems = check::check(&spool, args.repair, &scene.clock)?;
    if args.json.json {
        program::objects(&mut scene.out, &problems)?;
    } else {
        problems.iter().try_for_each(|problem| scene.out.line(&problem.to_string()))?;
    }
    let left = problems.iter().any(|problem| problem.repaired.is_none());
    Ok(if left { Status::No } else { Status::Done })
}
