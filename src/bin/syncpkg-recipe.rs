//! syncpkg-recipe [RECIPE...] - says what recipes say

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::base::error::readable;
use syncpkg::farm::recipe::{self, Selection};
use syncpkg::names::{Name, Tree};
use syncpkg::program::{self, Common, Json, Scene, Status};
use syncpkg::tree::{Reading, Recipe};

/// Says what recipes say, read in the sandbox; exit 1 if one could not be read.
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
    /// Instead, what depends on this package, directly or not, in build order
    #[arg(long, value_name = "NAME", conflicts_with = "recipes")]
    needed_by: Option<Name>,
    /// Recipes: paths or package names; all of the tree when none is given
    #[arg(value_name = "RECIPE")]
    recipes: Vec<String>,
}

fn main() -> ExitCode {
    program::run("syncpkg-recipe", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    // There may be no spool here: then nothing is known of earlier readings.
    let desk = program::desk(readable(scene.spool())?.as_ref());
    let selection = Selection { tree: args.tree, directory: program::current_dir().ok(), desk };
    if args.recipes.is_empty() {
        let readings = recipe::whole(&scene.config, &selection, args.needed_by.as_ref())?;
        return print(&readings, args.json.json, scene);
    }
    let mut all_read = true;
    let status = scene.for_all(&args.recipes, |scene, text| {
        let readings = recipe::one(&scene.config, &selection, text)?;
        all_read &= print(&readings, args.json.json, scene)? == Status::Done;
        Ok(())
    });
    Ok(if status == Status::Done && !all_read { Status::No } else { status })
}

fn print(readings: &[Reading], json: bool, scene: &mut Scene) -> Result<Status> {
    for reading in readings {
        match reading {
            Ok(recipe) if json => program::objects(&mut scene.out, std::slice::from_ref(recipe))?,
            Ok(recipe) => scene.out.line(&line(recipe))?,
            Err(problem) if json => program::objects(&mut scene.out, std::slice::from_ref(problem))?,
            Err(problem) => scene.say(&format!("cannot read {}: {}", problem.path, problem.error)),
        }
    }
    Ok(if readings.iter().all(Reading::is_ok) { Status::Done } else { Status::No })
}

fn line(recipe: &Recipe) -> String {
    let archs: Vec<&str> = recipe.archs.iter().map(|arch| arch.as_str()).collect();
    let nobuild = if recipe.nobuild { " nobuild" } else { "" };
    format!(
        "{} {}-{}-{} {}{nobuild}",
        recipe.path,
        recipe.name,
        recipe.version,
        recipe.release,
        archs.join(",")
    )
}
