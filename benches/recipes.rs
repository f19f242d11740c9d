//! What it costs to know what all recipes of a tree say: from nothing, again, after a change of one recipe and of one
//! scheme; beside the way of the original script, a new bash for each, and the least that bash can do it with. SYNCPKG_TREE is a git repository of
//! FrugalBuilds and SYNCPKG_PRELUDE its fwmakepkg; without them a tree of our own. Medians; leave the machine idle.

mod stage;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stage::{Done, median, place};
use syncpkg::base::output::SILENT;
use syncpkg::config::{Format, Scm, TreeSection};
use syncpkg::names::{Revision, Tree};
use syncpkg::tree::{Desk, Repository, read_all, roomy};

const ROUNDS: usize = 5;
const OWN: usize = 400;

/// In our own tree, what the real one finds its schemes with.
const PRELUDE: &str = "startdir=${startdir:-`pwd`}
Finclude() {
	local i
	i=`git rev-parse --git-dir 2>/dev/null`
	i=`pwd`
	while [ -n \"$i\" ] && [ ! -e \"$i/_darcs\" ]; do i=${i%/*}; done
	Fincdir=$i/source/include
	for i; do source $Fincdir/$i.sh; done
}
Finclude util
";

struct Bench {
    place: tempfile::TempDir,
    section: TreeSection,
    tree: Tree,
}

impl Bench {
    fn new() -> Done<Self> {
        let place = place()?;
        let (path, own) = (place.path().join("tree.git"), place.path().join("prelude"));
        let given = std::env::var_os("SYNCPKG_TREE").map(PathBuf::from);
        match &given {
            Some(real) => {
                let clone = Command::new("git")
                    .args(["clone", "-q", "--bare", "--shared"])
                    .arg(real)
                    .arg(&path)
                    .status()?;
                assert!(clone.success(), "cannot clone {}", real.display());
            }
            None => drop(Command::new("git").args(["init", "-q", "--bare"]).arg(&path).status()?),
        }
        fs::write(&own, PRELUDE)?;
        let prelude = std::env::var_os("SYNCPKG_PRELUDE").map_or(own, PathBuf::from);
        let recipes = "source/*/*/FrugalBuild".to_owned();
        let format = Format::Frugalbuild;
        let section = TreeSection {
            scm: Scm::Git,
            path,
            recipes,
            format,
            prelude: Some(prelude),
            ..TreeSection::default()
        };
        let bench = Self { place, section, tree: "current".parse()? };
        if given.is_none() {
            bench.grow()?;
        }
        Ok(bench)
    }

    fn git(&self, words: &[&str], input: &[u8]) -> Done<Vec<u8>> {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.section.path)
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().ok_or("no input")?.write_all(input)?;
        let output = child.wait_with_output()?;
        assert!(output.status.success(), "git {words:?}");
        Ok(output.stdout)
    }

    fn word(&self, words: &[&str], input: &[u8]) -> Done<String> {
        Ok(String::from_utf8(self.git(words, input)?)?.trim().to_owned())
    }

    /// Makes a tree of our own.
    fn grow(&self) -> Done {
        self.put("source/include/util.sh", b"Fsrcdir=$startdir/src\n")?;
        self.put("source/include/late.sh", b"url=`echo x | sed s/x/y/`\n")?;
        for at in 0..OWN {
            let include = if at % 4 == 0 { "Finclude late\n" } else { "" };
            let text = format!(
                "# Maintainer: A <a@b>\npkgname=p{at}\npkgver=1\npkgrel=1\narchs=(x86_64)\ndepends=(glibc)\n{include}"
            );
            self.put(&format!("source/x/p{at}/FrugalBuild"), text.as_bytes())?;
        }
        self.commit().map(drop)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Done {
        let object = self.word(&["hash-object", "-w", "--stdin"], bytes)?;
        self.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{object},{path}")], b"").map(drop)
    }

    fn commit(&self) -> Done<Revision> {
        let tree = self.word(&["write-tree"], b"")?;
        let commit = self.word(&["commit-tree", "-m", "x", &tree], b"")?;
        self.git(&["update-ref", "HEAD", &commit], b"")?;
        Ok(commit.parse()?)
    }

    /// Adds a line to `path` and commits it.
    fn change(&self, path: &str, round: usize) -> Done<Revision> {
        self.git(&["read-tree", "HEAD"], b"")?;
        let mut text = self.git(&["cat-file", "blob", &format!("HEAD:{path}")], b"")?;
        text.extend(format!("\n# {round}\n").as_bytes());
        self.put(path, &text)?;
        self.commit()
    }

    fn tip(&self) -> Done<Revision> {
        Ok(Repository::new(&self.tree, &self.section).resolve("HEAD")?)
    }

    fn desk(&self) -> Desk {
        Desk {
            scratch: roomy(self.place.path().join("scratch")),
            kept: Some(self.place.path().join("kept")),
            progress: SILENT,
        }
    }

    /// Reads all of the tip; how long that took, and how many recipes there are.
    fn read(&self) -> Done<(Duration, usize)> {
        let start = Instant::now();
        let read = read_all(&self.section, &self.tree, &self.tip()?, &self.desk())?;
        Ok((start.elapsed(), read.len()))
    }

    /// How long bash takes for `script` where the tip is in /tree and the prelude in /prelude.
    fn peer(&self, script: &str) -> Done<Duration> {
        let tree = self.place.path().join("checkout");
        if !tree.exists() {
            fs::create_dir_all(tree.join("_darcs"))?;
            let archive = self.git(&["archive", "HEAD", "source"], b"")?;
            let mut tar = Command::new("tar").arg("-xC").arg(&tree).stdin(Stdio::piped()).spawn()?;
            tar.stdin.take().ok_or("no input")?.write_all(&archive)?;
            tar.wait()?;
        }
        let prelude = self.section.prelude.as_deref().unwrap_or(Path::new("/dev/null"));
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr"]);
        for dir in ["bin", "sbin", "lib", "lib64"] {
            command.args(["--symlink", &format!("usr/{dir}"), &format!("/{dir}")]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
        command.args(["--symlink", "/dev/null", "/etc/repoman.conf", "--ro-bind"]);
        command.arg(&tree).args(["/tree", "--ro-bind"]).arg(prelude).args(["/prelude", "bash", "-c", script]);
        let start = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        Ok(start.elapsed())
    }
}

/// The way of the original script.
const NEW: &str = r#"for recipe in /tree/source/*/*/FrugalBuild; do
    cd "${recipe%/*}" && CARCH=x86_64 bash -c 'source /prelude; source ./FrugalBuild; echo $pkgname $pkgver $pkgrel'
done"#;

/// The least that bash can do it with: two processes, prelude and its scheme sourced once, a subshell for each recipe, no
/// network, and nothing that keeps a recipe from the next one.
const PLAIN: &str = r#"read_them() {
    cd /tree && startdir=$PWD CARCH=x86_64
    source /prelude
    Finclude() { [[ $startdir == "$PWD" ]] || return 0; local i; for i; do source "/tree/source/include/$i.sh"; done; }
    curl() { return 6; }
    wget() { return 4; }
    lynx() { return 1; }
    local recipe
    for recipe; do (
        cd "${recipe%/*}" && startdir=$PWD Fsrcdir=$PWD/src Fdestdir=$PWD/pkg
        source ./FrugalBuild
        printf '%s\0' "$pkgname" "$pkgver" "$pkgrel" "$nobuild" "${archs[@]}" "${options[@]}" "${subpkgs[@]}" \
            "${suboptions[@]}" "${groups[@]}" "${depends[@]}" "${makedepends[@]}" "${provides[@]}"
    ) done
}
recipes=(/tree/source/*/*/FrugalBuild) half=$((${#recipes[@]} / 2))
read_them "${recipes[@]:0:half}" & read_them "${recipes[@]:half}" & wait"#;

fn main() -> Done {
    let bench = Bench::new()?;
    let recipe = Repository::new(&bench.tree, &bench.section).list(&bench.tip()?)?.swap_remove(7);
    let schemes = bench.word(&["ls-tree", "--name-only", "HEAD", "source/include/"], b"")?;
    let scheme = schemes
        .lines()
        .find(|path| path.ends_with("/python.sh") || path.ends_with("/late.sh"))
        .ok_or("no scheme")?;
    let [mut cold, mut plain, mut warm, mut one, mut some] = [const { Vec::new() }; 5];
    let mut count = 0;
    for round in 0..ROUNDS {
        let _ = fs::remove_dir_all(bench.place.path().join("kept"));
        let (took, all) = bench.read()?;
        cold.push(took);
        plain.push(bench.peer(PLAIN)?);
        count = all;
        warm.push(bench.read()?.0);
        bench.change(&recipe, round)?;
        one.push(bench.read()?.0);
        bench.change(scheme, round)?;
        some.push(bench.read()?.0);
    }
    let mut out = std::io::stdout();
    writeln!(out, "{count} recipes, {ROUNDS} rounds, medians in ms")?;
    let ratio = median(&mut cold) / median(&mut plain);
    for (what, times) in [
        ("cold", &mut cold),
        ("two plain bashes", &mut plain),
        ("warm", &mut warm),
        ("one recipe changed", &mut one),
        ("one scheme changed", &mut some),
    ] {
        writeln!(out, "{what:20}{:>10.1}", median(times) / 1000.0)?;
    }
    writeln!(out, "{:20}{:>10.1}  (once)", "a new bash for each", bench.peer(NEW)?.as_secs_f64() * 1000.0)?;
    writeln!(out, "cold takes {ratio:.2} of the time of two plain bashes, which contain and keep nothing")?;
    Ok(())
}
