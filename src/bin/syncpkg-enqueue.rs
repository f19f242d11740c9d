//! syncpkg-enqueue ITEM... - asks for builds

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::{Result, lock};
use syncpkg::farm::ask::{self, Asker, Wish};
use syncpkg::names::{Arch, Priority, Tree, Word};
use syncpkg::program::{self, Common, Json, Scene, Status};

/// Asks for builds and prints the tickets, new or already there.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Of this tree
    #[arg(long, value_name = "T")]
    tree: Option<Tree>,
    /// Only for this architecture; may be repeated
    #[arg(long = "arch", value_name = "A", value_delimiter = ',')]
    archs: Vec<Arch>,
    /// How urgent [default: push, with --force urgent]
    #[arg(long)]
    priority: Option<Priority>,
    /// At this revision; the tip when not given
    #[arg(long, value_name = "R")]
    revision: Option<String>,
    /// Whom to tell instead of the recipe's maintainer
    #[arg(long, value_name = "M")]
    maintainer: Option<String>,
    /// What the tickets belong to
    #[arg(long, value_name = "B")]
    batch: Option<Word>,
    /// Although it failed, or is published
    #[arg(long)]
    force: bool,
    /// Why
    #[arg(long, value_name = "R", default_value = "")]
    reason: String,
    /// [TREE/]NAME, NAME-VERSION-RELEASE-ARCH, a recipe's path, or - for such lines on stdin
    #[arg(required = true, value_name = "ITEM")]
    items: Vec<String>,
}

fn main() -> ExitCode {
    program::run("syncpkg-enqueue", |args| &args.common, enqueue)
}

fn enqueue(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = scene.spool()?;
    let items = if args.items == ["-"] { program::input_lines()? } else { args.items.clone() };
    let wish = Wish {
        tree: args.tree,
        archs: args.archs,
        priority: args.priority,
        revision: args.revision,
        found: None,
        maintainer: args.maintainer,
        batch: args.batch,
        force: args.force,
        reason: args.reason,
        spare_aborted: false,
        passes_over: args.items == ["-"],
    };
    let directory = program::current_dir().ok();
    if !scene.owns(&spool)? {
        let handed = ask::hand_in(&scene.config, &spool, &items, &wish, directory.as_deref(), &scene.clock)?;
        return Ok(scene.for_all(&handed, |scene, (item, handed)| {
            handed.clone().map(|()| scene.say(&format!("handed in {item}")))
        }));
    }
    let directory = directory.as_deref();
    let by = scene.caller.name();
    let asker = Asker { directory, progress: program::progress, ..Asker::unwatched(&by, lock::PATIENCE) };
    let answers = ask::ask(&scene.config, &spool, &items, &wish, asker, &scene.clock)?;
    scene.print_tickets(&spool, &answers, args.json.json)
}
