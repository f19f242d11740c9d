//! syncpkg-enqueue ITEM... - asks for builds

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::{Error, Result, lock};
use syncpkg::farm::ask::{self, Asker, Which, Wish};
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
    /// Publish the batch only once all of it is built
    #[arg(long, requires = "batch")]
    hold_publish: bool,
    /// Although it failed, or is published
    #[arg(long)]
    force: bool,
    /// Why
    #[arg(long, value_name = "R", default_value = "")]
    reason: String,
    /// For this user, where somebody asks in his name
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Lines on stdin are recipes as syncpkg-recipe --json prints them: those that changed, or all of a tree
    #[arg(long, value_name = "WHICH", requires_all = ["tree", "revision"])]
    read: Option<Which>,
    /// [TREE/]NAME, NAME-VERSION-RELEASE-ARCH, a recipe's path, or - for such lines on stdin
    #[arg(required = true, value_name = "ITEM")]
    items: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::run_here("syncpkg-enqueue", args.common.clone(), |scene| enqueue(args, scene))
}

fn enqueue(args: Args, scene: &mut Scene) -> Result<Status> {
    let listed = args.items == ["-"];
    let items = if listed { program::input_lines()? } else { args.items.clone() };
    let by = args.by.clone().unwrap_or_else(|| scene.caller.name());
    let (read, json) = (args.read, args.json.json);
    let wish = wish(args, listed);
    let directory = program::current_dir().ok();
    let directory = directory.as_deref();
    let asker = Asker { directory, progress: program::progress, ..Asker::unwatched(&by, lock::PATIENCE) };
    if scene.there.is_some() {
        return scene.ask_afar(&items, &wish, asker, json);
    }
    let spool = scene.spool()?;
    if !scene.owns(&spool)? {
        if read.is_some() {
            return Err(Error::wrong(
                "cannot take recipes that were read elsewhere (--read): you do not own the spool",
            ));
        }
        let handed = ask::hand_in(&scene.config, &spool, &items, &wish, directory, &scene.clock)?;
        return Ok(scene.for_all(&handed, |scene, (item, handed)| {
            handed.clone().map(|()| scene.say(&format!("handed in {item}")))
        }));
    }
    let answers = match read {
        None => ask::ask(&scene.config, &spool, &items, &wish, asker, &scene.clock)?,
        Some(which) => {
            let recipes = ask::read_elsewhere(&items)?;
            ask::ask_read(&scene.config, &spool, &recipes, which, &wish, asker, &scene.clock)?
        }
    };
    scene.print_tickets(&spool, &answers, json)
}

fn wish(args: Args, listed: bool) -> Wish {
    Wish {
        tree: args.tree,
        archs: args.archs,
        priority: args.priority,
        revision: args.revision,
        found: None,
        maintainer: args.maintainer,
        batch: args.batch,
        hold_publish: args.hold_publish,
        force: args.force,
        reason: args.reason,
        spare_aborted: false,
        passes_over: listed,
    }
}
