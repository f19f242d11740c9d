//! syncpkg-notify - sends the mails owed

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::notify;
use syncpkg::program::{self, Common, Scene, Status};

/// Sends the mails owed; what cannot be sent now stays owed, exit 75.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    program::run("syncpkg-notify", |args| &args.common, run)
}

fn run(_: Args, scene: &mut Scene) -> Result<Status> {
    let spool = scene.own_spool()?;
    let told = notify::notify(&scene.config, &spool, &scene.clock)?;
    told.failed.iter().for_each(|line| scene.say(line));
    Ok(Status::Done)
}
