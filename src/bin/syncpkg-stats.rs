//! syncpkg-stats - writes the static site

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::site;
use syncpkg::program::{self, Common, Scene, Status};

/// Writes the static site, only what changed; or prints the numbers.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Where to; the configured site when not given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the numbers instead
    #[arg(long)]
    text: bool,
}

fn main() -> ExitCode {
    program::run("syncpkg-stats", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = if args.text { scene.spool()? } else { scene.own_spool()? };
    if let Some(out) = args.out {
        scene.config.site = out;
    }
    if args.text {
        let lines = site::numbers(&spool)?;
        lines.iter().try_for_each(|line| scene.out.line(line))?;
    } else {
        site::write(
            &scene.config,
            &spool,
            &|done, total| program::progress("package", done, total),
            &scene.clock,
        )?;
    }
    Ok(Status::Done)
}
