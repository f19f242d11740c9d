//! syncpkg-init SPOOL - creates an empty spool

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::program::{self, Common, Scene, Status};

/// Creates an empty spool; does nothing to one that exists.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Where; the configured one when not given
    #[arg(value_name = "SPOOL")]
    place: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    if let Some(place) = &args.place {
        args.common.spool = Some(place.to_string_lossy().into_owned());
    }
    program::run_with("syncpkg-init", args, |args| &args.common, init)
}

fn init(_: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    scene.make_spool().map(|()| Status::Done)
}
