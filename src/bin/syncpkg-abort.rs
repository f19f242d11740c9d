//! syncpkg-abort ID|NAME|NAME-VERSION-RELEASE-ARCH... - ends waiting or running tickets

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::base::error::Kind;
use syncpkg::farm::abort::{self, Wish};
use syncpkg::names::Word;
use syncpkg::program::{self, Common, Json, Scene, Status};

/// Ends waiting or running tickets, and prints which.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Who wants it, when it is not you
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Why
    #[arg(long, value_name = "R", default_value = "")]
    reason: String,
    /// All that waits or builds of this batch
    #[arg(long, value_name = "B")]
    batch: Option<Word>,
    /// Tickets, packages ([TREE/]NAME), or versions of them
    #[arg(required_unless_present = "batch", value_name = "ID|NAME|NAME-VERSION-RELEASE-ARCH")]
    what: Vec<String>,
}

fn main() -> ExitCode {
    program::run("syncpkg-abort", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = scene.spool()?;
    let owned = scene.owns(&spool)?;
    let by = args.by.unwrap_or_else(|| scene.caller.name());
    let wish = Wish { by, reason: args.reason };
    let mut what = args.what;
    match args.batch.map(|batch| abort::of_batch(&spool, &batch)) {
        Some(Err(error)) if error.kind == Kind::No && !what.is_empty() => scene.say(&error.to_string()),
        Some(ids) => what.extend(ids?),
        None => {}
    }
    Ok(scene.for_all(&what, |scene, what| {
        if !owned {
            abort::hand_in(&spool, what, &wish, &scene.clock)?;
            scene.say(&format!("handed in {what}"));
            return Ok(());
        }
        let ended = abort::abort(&spool, what, &wish, &scene.clock)?;
        if args.json.json {
            return program::objects(&mut scene.out, &ended);
        }
        ended.iter().try_for_each(|ticket| scene.out.line(&format!("{} {}", ticket.id, ticket.item())))
    }))
}
