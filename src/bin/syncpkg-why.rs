//! syncpkg-why NAME... - says why something is not built

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::base::clock::shown;
use syncpkg::farm::why;
use syncpkg::program::{self, Common, Json, Scene, Status};

/// Says where a package is, since when, and what has to happen next.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// [TREE/]NAME, NAME-VERSION-RELEASE-ARCH or a ticket's ID
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

fn main() -> ExitCode {
    program::run("syncpkg-why", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = scene.spool()?;
    Ok(scene.for_all(&args.names, |scene, name| {
        let answers = why::explain(&scene.config, &spool, name, &scene.clock)?;
        if args.json.json {
            return program::objects(&mut scene.out, &answers);
        }
        answers.iter().try_for_each(|answer| {
            let head =
                format!("{}/{} {} since {}", answer.tree, answer.item, answer.state, shown(answer.since));
            scene.out.line(&format!("{head}: {}", answer.why))
        })
    }))
}
