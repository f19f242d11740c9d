//! syncpkg-deliver - brings the master what waits for it on this host's disk

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::base::error::readable;
use syncpkg::farm::afar::Afar;
use syncpkg::farm::ssh::Ssh;
use syncpkg::farm::worker;
use syncpkg::program::{self, Common, Scene, Status};

/// Brings the master the reports and requests that wait on this host's disk.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::run_here("syncpkg-deliver", args.common.clone(), |scene| deliver(&args, scene))
}

fn deliver(args: &Args, scene: &mut Scene) -> Result<Status> {
    if let Some(host) = scene.there.clone() {
        let afar = Afar { config: &scene.config, ssh: Ssh { host: &host, section: &scene.config.ssh } };
        afar.deliver(&scene.clock)?.iter().for_each(|line| scene.say(line));
    }
    scene.use_builders_spool(&args.common)?;
    if scene.there.is_none() {
        // There need not be one, but it may have moved.
        readable(scene.spool())?;
    }
    if worker::has_reports(&scene.config)? {
        let lines = scene.with_master(|scene, master| {
            worker::deliver_all(&scene.config, master, &program::host_name(), &scene.clock)
        })?;
        lines.iter().for_each(|line| scene.say(line));
    }
    Ok(Status::Done)
}
