//! syncweb - files what somebody asks for through the web (CGI)

use std::io::Read;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::control;
use syncpkg::program::{self, Common, Scene};
use syncpkg::web::control::Call;

/// Files what somebody asks for through the web; run by a web server (CGI).
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    program::cgi::<Args>("syncweb", |args| &args.common, run)
}

fn run(scene: &mut Scene, call: &Call, body: &mut dyn Read) -> Result<()> {
    let answer = control::answer(&scene.config, &scene.spool()?, call, body, &scene.clock)?;
    scene.out.bytes(answer.as_bytes())
}
