//! syncpkg-mirror DIR|HOST:DIR - keeps a copy of the spool that is consistent at any moment

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::config::Place;
use syncpkg::farm::mirror::{self, Mirror};
use syncpkg::program::{self, Common, Scene, Status};

/// Keeps a copy of the spool that is consistent at any moment.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Copy a spool that has moved, for the last time
    #[arg(long)]
    moved: bool,
    /// Where the copy is: a directory, or HOST:DIR
    #[arg(value_name = "DIR|HOST:DIR")]
    target: Place,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::run_here("syncpkg-mirror", args.common.clone(), |scene| run(&args, scene))
}

fn run(args: &Args, scene: &mut Scene) -> Result<Status> {
    let spool = if args.moved { scene.own_left_spool()? } else { scene.own_spool()? };
    let (host, ssh) = (program::host_name(), &scene.config.ssh);
    mirror::renew(&Mirror { spool: &spool, host: &host, target: &args.target, ssh }).map(|()| Status::Done)
}
