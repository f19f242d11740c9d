//! syncpkg-init [--moved HOST] [SPOOL] - creates an empty spool, or retires one

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::config::plain_word;
use syncpkg::program::{self, Common, Scene, Status};

/// Creates an empty spool, or says of one that it has moved.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Say that the spool has moved to HOST: from now on every program refuses to work on it
    #[arg(long, value_name = "HOST", value_parser = plain_word)]
    moved: Option<String>,
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

fn init(args: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    match args.moved {
        Some(host) => scene.own_left_spool()?.leave(&host)?,
        None => scene.make_spool()?,
    }
    Ok(Status::Done)
}
