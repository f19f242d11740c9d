//! syncpkg-beat CLAIM - extends the lease of a claim

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::program::{self, Common, Scene, Status};
use syncpkg::spool::Claim;
use syncpkg::spool::lease::{self, Beat};

/// Extends the lease of a claim; exit 1 and a reason on stdout mean: stop building.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// The word that syncpkg-claim printed
    claim: Claim,
    /// The growing log, to be shown
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::run("syncpkg-beat", |args| &args.common, beat)
}

fn beat(args: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    let spool = scene.own_spool()?;
    match lease::beat(&spool, &args.claim, args.log.as_deref(), &scene.config.limit)? {
        Beat::GoOn => Ok(Status::Done),
        Beat::Stop(reason) => {
            scene.out.line(&syncpkg::base::output::inert(&reason))?;
            Ok(Status::No)
        }
    }
}
