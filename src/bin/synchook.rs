//! synchook - asks for builds of what a push changed

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::base::output::inert;
use syncpkg::farm::afar;
use syncpkg::farm::hook::{self, Pusher, Told};
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
    let trees = args.tree.map_or_else(|| hook::trees_of(&scene.config, &directory), |tree| Ok(vec![tree]))?;
    // git names the repository it runs a hook in; darcs does not.
    let told = match program::variable("GIT_DIR") {
        Some(_) => Told::Git(program::input_lines()?, program::variables("GIT_PUSH_OPTION_")),
        None => Told::Darcs(program::variable("DARCS_FILES")),
    };
    let spool = if scene.there.is_none() { Some(scene.spool()?) } else { None };
    let own = spool.as_ref().map(|spool| scene.owns(spool)).transpose()?.unwrap_or(false);
    let drop_box =
        spool.as_ref().map_or_else(|| afar::outbox(&scene.config), |spool| Ok(spool.at("drop")))?;
    let pusher =
        Pusher { by: &scene.caller.name(), spool: spool.as_ref().filter(|_| own), drop_box: &drop_box };
    for tree in &trees {
        match hook::run(&scene.config, tree, &told, pusher, &scene.clock) {
            Ok(lines) => {
                lines.iter().try_for_each(|line| scene.out.line(&format!("syncpkg: {}", inert(line))))?
            }
            // The other trees are served all the same.
            Err(error) => scene.complain(&error),
        }
    }
    if spool.is_none() {
        afar::start_delivery(scene.config_file.as_deref());
    }
    Ok(Status::Done)
}
