//! syncpkg-log NAME|ID - prints the log of a build

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::log::{self, Part};
use syncpkg::program::{self, Common, Scene, Status};

/// Prints the latest log of a package, or a ticket's.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Go on printing while it is being built
    #[arg(long, conflicts_with = "errors")]
    follow: bool,
    /// Only the first error, with the lines around it
    #[arg(long)]
    errors: bool,
    /// [TREE/]NAME, NAME-VERSION-RELEASE-ARCH or a ticket's ID
    #[arg(value_name = "NAME|ID")]
    what: String,
}

fn main() -> ExitCode {
    program::run("syncpkg-log", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = scene.spool()?;
    let part = match (args.follow, args.errors) {
        (true, _) => Part::Follow,
        (false, true) => Part::FirstError,
        (false, false) => Part::Whole,
    };
    log::print(&scene.config, &spool, &args.what, part, &mut scene.out).map(|()| Status::Done)
}
