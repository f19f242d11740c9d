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
    let args = Args::parse();
    program::run_here("syncpkgcd", args.common.clone(), |scene| run(args, scene))
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    scene.use_builders_spool(&args.common)?;
    let service = program::service(scene)?;
    scene.with_master(|scene, master| {
        let (host, config) = (program::host_name(), scene.config.clone());
        let name = worker::name(&config, args.name, &host)?;
        let worker = Worker::new(name, config, master, &scene.clock, &host, &service);
        if args.once { worker.once() } else { worker.keep_going() }
    })?;
    Ok(Status::Done)
}
