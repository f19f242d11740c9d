//! syncpkg-expire - lets go of what ended long ago

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::program::{self, Common, Scene, Status};
use syncpkg::spool::expire;

/// Lets go of results, logs and mails that are older than the configuration says.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Only print what would go
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    program::run("syncpkg-expire", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let keep = &scene.config.keep;
    if !args.dry_run {
        return expire::expire(&scene.own_spool()?, keep, &scene.clock).map(|_| Status::Done);
    }
    let plan = expire::plan(&scene.spool()?, keep, &scene.clock)?;
    plan.tickets.iter().try_for_each(|(line, _)| scene.out.line(&line.to_string()))?;
    plan.files.iter().try_for_each(|file| scene.out.line(&file.display().to_string()))?;
    Ok(Status::Done)
}
