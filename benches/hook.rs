//! What the hook costs whoever pushes: a push of one recipe by git and by darcs, with the hook until its ticket is
//! durable, and without. Medians of pushes that take turns; leave the machine idle.

mod stage;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stage::{Done, is_installed, median, place, program, timed};

const ROUNDS: usize = 9;
const RECIPES: usize = 200;

/// A repository that receives pushes, a clone that pushes to it, and a spool.
struct Bench {
    place: tempfile::TempDir,
    scm: &'static str,
}

impl Bench {
    fn new(scm: &'static str) -> Done<Self> {
        let bench = Self { place: place()?, scm };
        let root = bench.place.path();
        match scm {
            "git" => bench.run(root, &["git", "init", "-q", "--bare", "-b", "main", "master"])?,
            _ => bench.run(root, &["darcs", "init", "-q", "master"])?,
        }
        bench.run(root, &[scm, "clone", "-q", "master", "work"])?;
        bench.put("source/include/util.sh", "Fsrcdir=$startdir/src\n")?;
        for n in 0..RECIPES {
            bench.write(n, 0)?;
        }
        bench.record()?;
        bench.push()?;
        let (at, more) = (root.display(), if scm == "git" { "branch = \"main\"\n" } else { "" });
        let text = format!(
            "spool = \"{at}/spool\"\n[tree.current]\nscm = \"{scm}\"\npath = \"{at}/master\"\n{more}\
             recipes = \"source/*/*/FrugalBuild\"\nformat = \"frugalbuild\"\narchs = [\"x86_64\"]\n"
        );
        fs::write(root.join("syncpkg.toml"), text)?;
        bench.run(root, &[&program("syncpkg-init").display().to_string()])?;
        Ok(bench)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn run(&self, directory: &Path, words: &[&str]) -> Done {
        let [name, arguments @ ..] = words else { return Err("nothing to run".into()) };
        let mut command = Command::new(name);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        command.env("HOME", self.place.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("SYNCPKG_CONFIG", self.at("syncpkg.toml")).env("DARCS_EMAIL", "a@b");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@b");
        }
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{words:?}: {said}").into()) }
    }

    fn put(&self, path: &str, text: &str) -> Done {
        let file = self.at("work").join(path);
        fs::create_dir_all(file.parent().ok_or("no directory")?)?;
        Ok(fs::write(file, text)?)
    }

    fn write(&self, recipe: usize, version: usize) -> Done {
        let text = format!("pkgname=p{recipe}\npkgver={version}\npkgrel=1\narchs=(x86_64)\n");
        self.put(&format!("source/x/p{recipe}/FrugalBuild"), &text)
    }

    fn record(&self) -> Done {
        let work = self.at("work");
        if self.scm == "git" {
            self.run(&work, &["git", "add", "-A"])?;
            return self.run(&work, &["git", "commit", "-qm", "x"]);
        }
        self.run(&work, &["darcs", "record", "-qla", "--ignore-times", "-m", "x"])
    }

    fn push(&self) -> Done {
        let words: &[&str] = match self.scm {
            "git" => &["git", "push", "-q", "origin", "HEAD:main"],
            _ => &["darcs", "push", "-qa", "../master"],
        };
        self.run(&self.at("work"), words)
    }

    fn hook(&self, on: bool) -> Done {
        let hook = program("synchook").display().to_string();
        if self.scm == "darcs" {
            let lines = format!("apply posthook {hook}\napply run-posthook\n");
            return Ok(fs::write(self.at("master/_darcs/prefs/defaults"), if on { &lines } else { "" })?);
        }
        let file = self.at("master/hooks/post-receive");
        fs::write(&file, if on { format!("#!/bin/sh\nexec {hook}\n") } else { "#!/bin/sh\n".to_owned() })?;
        Ok(fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?)
    }

    fn tickets(&self) -> usize {
        let entries = walkdir::WalkDir::new(self.at("spool/new")).into_iter().flatten();
        entries.filter(|entry| entry.file_type().is_file()).count()
    }

    /// Pushes a version of a recipe that nobody asked for yet.
    fn round(&self, recipe: usize, version: usize, on: bool) -> Done<Duration> {
        self.write(recipe, version)?;
        self.record()?;
        self.hook(on)?;
        let before = self.tickets();
        let (took, ()) = timed(|| self.push())?;
        match self.tickets() > before {
            made if made == on => Ok(took),
            made => Err(format!("a push with the hook {on} made a ticket: {made}").into()),
        }
    }
}

fn main() -> Done {
    let mut out = std::io::stdout();
    writeln!(out, "a push of one recipe of {RECIPES}, {ROUNDS} rounds, medians in ms")?;
    for scm in ["git", "darcs"] {
        if let Some(missing) = [scm, "bwrap"].into_iter().find(|name| !is_installed(name)) {
            writeln!(out, "{scm:10}not measured: {missing} is not installed")?;
            continue;
        }
        let bench = Bench::new(scm)?;
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // The first says where the hook begins; what of it is not in any cache is not measured.
        bench.round(0, 1, true)?;
        for recipe in 1..=ROUNDS {
            // The same one: a push without the hook leaves its recipe to the next.
            without.push(bench.round(recipe, 1, false)?);
            with.push(bench.round(recipe, 2, true)?);
        }
        let (without, with) = (median(&mut without) / 1000.0, median(&mut with) / 1000.0);
        writeln!(out, "{scm:10}without {without:8.1}    with {with:8.1}    more {:8.1}", with - without)?;
    }
    Ok(())
}
