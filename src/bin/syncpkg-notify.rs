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

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    program::run("syncpkg-notify", run)
}

fn run(_: Args, scene: &mut Scene) -> Result<Status> {
    let spool = scene.own_spool()?;
    notify::notify(&scene.config, &spool, &scene.clock).map(|_| Status::Done)
}
