//! syncpkgcd - builds, on a builder

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::worker::{self, Worker};
use syncpkg::names::Builder;
use syncpkg::program::{self, Common, Scene, Status};

/// Builds on this host: claims, checks out, builds, reports.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Build what there is and end (cron)
    #[arg(long)]
    once: bool,
    /// The builder's name, when it is not the configured one
    #[arg(long, value_name = "B")]
    name: Option<Builder>,
}

fn main() -> ExitCode {
    program::run("syncpkgcd", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    scene.use_builders_spool(&args.common)?;
    let spool = scene.own_spool()?;
    let host = program::host_name();
    let worker = Worker {
        name: worker::name(&scene.config, args.name, &host)?,
        config: &scene.config,
        spool: &spool,
        clock: &scene.clock,
        host: &host,
        stop: &program::stopped()?,
        say: &|line| program::say("syncpkgcd", line),
    };
    if args.once {
        worker.once()?
    } else {
        worker.keep_going()?
    }
    Ok(Status::Done)
}
