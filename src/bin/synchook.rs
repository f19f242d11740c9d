//! synchook - asks for builds of what a push changed

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::hook::{self, Push, Pusher};
use syncpkg::names::Tree;
use syncpkg::program::{self, Common, Scene, Status};

/// Runs as darcs posthook or git post-receive; never makes the push fail.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Of this tree; the one whose repository it runs in when not given
    #[arg(long, value_name = "T")]
    tree: Option<Tree>,
}

fn main() -> ExitCode {
    program::run_hook("synchook", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let directory = program::current_dir()?;
    let tree = args.tree.map_or_else(|| hook::tree_of(&scene.config, &directory), Ok)?;
    // git names the repository it runs a hook in; darcs does not.
    let push = match program::variable("GIT_DIR") {
        Some(_) => Push::Git(program::input_lines()?),
        None => Push::Darcs(program::variable("DARCS_FILES")),
    };
    let spool = scene.spool()?;
    let pusher = Pusher { by: &scene.caller.name(), owner: scene.owns(&spool)? };
    for line in hook::run(&scene.config, &spool, &tree, &push, pusher, &scene.clock)? {
        scene.out.line(&format!("syncpkg: {}", syncpkg::base::output::inert(&line)))?;
    }
    Ok(Status::Done)
}
