//! Real repositories: git, darcs and none, asked the same questions.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Desk, Repository, find, read, read_all};
use crate::config::{Scm, TreeSection};
use crate::names::{Revision, Tree};

pub(super) struct Farm {
    pub(super) place: tempfile::TempDir,
    pub(super) section: TreeSection,
    pub(super) tree: Tree,
}

fn run(dir: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0])
        .args(&words[1..])
        .current_dir(dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-11-20T10:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-11-20T10:00:00Z")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Farm {
    /// An empty repository of the kind `scm`.
    pub(super) fn new(scm: Scm) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("repository");
        std::fs::create_dir(&path).unwrap();
        match scm {
            Scm::Git => drop(run(&path, &["git", "init", "-q", "-b", "main"])),
            Scm::Darcs => drop(run(&path, &["darcs", "init", "-q"])),
            Scm::None => {}
        }
        let section = TreeSection { scm, path, ..TreeSection::default() };
        Self { place, section, tree: "t".parse().unwrap() }
    }

    pub(super) fn repository(&self) -> Repository<'_> {
        Repository::new(&self.tree, &self.section)
    }

    pub(super) fn desk(&self) -> Desk {
        Desk { scratch: self.scratch(), kept: Some(self.place.path().join("kept")) }
    }

    fn scratch(&self) -> PathBuf {
        self.place.path().join("scratch")
    }

    /// Writes the recipe of `name` in `version` and commits all there is.
    fn commit(&self, name: &str, version: &str) -> Revision {
        let dir = self.section.path.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let text =
            format!("pkgname=({name} {name}-doc)\npkgbase={name}\npkgver={version}\npkgrel=1\narch=(any)\n");
        std::fs::write(dir.join("PKGBUILD"), text).unwrap();
        self.record()
    }

    pub(super) fn record(&self) -> Revision {
        let path = &self.section.path;
        match self.section.scm {
            Scm::Git => {
                run(path, &["git", "add", "-A"]);
                run(path, &["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]);
            }
            Scm::Darcs => {
                let words = ["darcs", "record", "-qla", "-A", "x' hash='0000'", "-m", "x", "--ignore-times"];
                run(path, &words);
            }
            Scm::None => {}
        }
        self.repository().tip().unwrap()
    }

    fn version(&self, revision: &Revision, name: &str) -> String {
        let paths = [format!("{name}/PKGBUILD")];
        let read = read(&self.section, &self.tree, revision, &paths, &self.scratch()).unwrap();
        read[0]
            .as_ref()
            .map(|recipe| recipe.version.to_string())
            .unwrap_or_else(|problem| problem.error.clone())
    }
}

fn both(rule: impl Fn(Farm)) {
    for scm in [Scm::Git, Scm::Darcs] {
        rule(Farm::new(scm));
    }
}

#[test]
fn a_recipe_is_read_as_of_the_revision_asked_for() {
    both(|farm| {
        let (old, new) = (farm.commit("a", "1"), farm.commit("a", "2"));
        assert_ne!(old, new);
        std::fs::write(farm.section.path.join("a/PKGBUILD"), "not committed").unwrap();
        assert_eq!((farm.version(&old, "a"), farm.version(&new, "a")), ("1".to_owned(), "2".to_owned()));
        assert_eq!(std::fs::read_dir(farm.scratch()).unwrap().count(), 0, "nothing is left behind");
    });
}

#[test]
fn a_scan_reads_all_recipes_of_a_revision() {
    both(|farm| {
        let old = farm.commit("a", "1");
        let new = farm.commit("b", "1");
        for (revision, names) in [(old, "a"), (new, "a b")] {
            let read = read_all(&farm.section, &farm.tree, &revision, &farm.desk()).unwrap();
            let read: Vec<String> = read.into_iter().map(|recipe| recipe.unwrap().name.to_string()).collect();
            assert_eq!(read.join(" "), names);
        }
    });
}

#[test]
fn a_package_is_found_by_its_directory_and_a_sub_package_by_a_scan() {
    both(|farm| {
        farm.commit("a", "1");
        let tip = farm.commit("b", "1");
        for (name, found) in [("b", Some("b")), ("a-doc", Some("a")), ("c", None)] {
            let reading =
                find(&farm.section, &farm.tree, &tip, &name.parse().unwrap(), &farm.desk()).unwrap();
            assert_eq!(reading.map(|recipe| recipe.unwrap().name.to_string()).as_deref(), found);
        }
    });
}

#[test]
fn a_revision_must_exist_and_is_no_option() {
    both(|farm| {
        let tip = farm.commit("a", "1");
        assert_eq!(farm.repository().resolve(tip.as_str()).unwrap(), tip);
        for bad in ["-h", "--all", "", "nope", &"0".repeat(40), "main^{tree}", "x\u{1b}y"] {
            let error = farm.repository().resolve(bad).unwrap_err().to_string();
            assert!(error.starts_with("tree t: cannot find the "), "{error}");
            assert!(!error.contains('\u{1b}'));
        }
    });
}

#[test]
fn files_are_there_or_not_at_a_revision() {
    both(|farm| {
        let old = farm.commit("a", "1");
        let new = farm.commit("b", "1");
        let told = |revision: &Revision, path: &str| farm.repository().exists(revision, path).unwrap();
        assert!(told(&old, "a/PKGBUILD") && told(&new, "./b/PKGBUILD"));
        assert!(!told(&old, "b/PKGBUILD") && !told(&new, "a") && !told(&new, "../x"));
    });
}

#[test]
fn the_age_of_a_recipe_is_that_of_its_last_commit() {
    both(|farm| {
        farm.commit("a", "1");
        let tip = farm.commit("b", "1");
        // Few are asked for one by one, many in one pass; the answers are the same.
        let few = ["a", "nope"].map(str::to_owned).to_vec();
        let many: Vec<String> = few.iter().cloned().chain((0..20).map(|n| format!("nope{n}"))).collect();
        let times = farm.repository().commit_times(&tip, &few).unwrap();
        assert_eq!(times, farm.repository().commit_times(&tip, &many).unwrap());
        let time = times["a"];
        let age = jiff::Timestamp::now().duration_since(time);
        match farm.section.scm {
            Scm::Git => assert_eq!(time.to_string(), "2026-11-20T10:00:00Z"),
            Scm::Darcs | Scm::None => assert!((0..60).contains(&age.as_secs()), "{time}"),
        }
        assert!(!times.contains_key("nope"));
    });
}

#[test]
fn links_of_a_tree_lead_nowhere() {
    let farm = Farm::new(Scm::Git);
    std::os::unix::fs::symlink("/etc", farm.section.path.join("b")).unwrap();
    std::fs::create_dir(farm.section.path.join("c")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", farm.section.path.join("c/PKGBUILD")).unwrap();
    let tip = farm.commit("a", "1");
    assert_eq!(farm.repository().list(&tip).unwrap(), ["a/PKGBUILD"]);
    assert_eq!(farm.version(&tip, "c"), "it is no regular file");
    assert_eq!(farm.version(&tip, "../../etc"), "it is not where recipes of the tree t are (*/PKGBUILD)");
}

#[test]
fn a_push_to_git_names_what_changed() {
    let farm = Farm::new(Scm::Git);
    let old = farm.commit("a", "1");
    std::fs::write(farm.section.path.join("a/x y\n"), "").unwrap();
    std::fs::remove_file(farm.section.path.join("a/PKGBUILD")).unwrap();
    let new = farm.commit("b", "1");
    let changed = |old| farm.repository().changed(old, &new).unwrap();
    assert_eq!(changed(Some(&old)), ["a/PKGBUILD", "a/x y\n", "b/PKGBUILD"]);
    assert_eq!(changed(None), ["a/x y\n", "b/PKGBUILD"]);
}

#[test]
fn a_repository_of_somebody_else_runs_nothing() {
    let farm = Farm::new(Scm::Git);
    let tip = farm.commit("a", "1");
    let (path, mark) = (&farm.section.path, farm.place.path().join("ran"));
    let run_me = format!("touch {}", mark.display());
    for key in
        ["core.fsmonitor", "core.pager", "gpg.program", "core.sshCommand", "diff.external", "core.editor"]
    {
        run(path, &["git", "config", key, &run_me]);
    }
    run(path, &["git", "config", "log.showSignature", "true"]);
    std::os::unix::fs::chown(path.join(".git"), Some(1234), Some(1234)).ok();
    assert_eq!(farm.version(&tip, "a"), "1");
    for count in [0, 20] {
        let dirs: Vec<String> = (0..count).map(|n| format!("nope{n}")).chain(["a".to_owned()]).collect();
        assert_eq!(farm.repository().commit_times(&tip, &dirs).unwrap().len(), 1);
    }
    farm.repository().changed(None, &tip).unwrap();
    assert!(!mark.exists());
}

#[test]
fn a_directory_that_is_no_repository_is_said() {
    both(|farm| {
        let section = TreeSection { path: farm.place.path().join("empty"), ..farm.section.clone() };
        std::fs::create_dir(&section.path).unwrap();
        let error = Repository::new(&farm.tree, &section).tip().unwrap_err().to_string();
        assert!(error.starts_with("tree t: cannot find the "), "{error}");
    });
}

#[test]
fn a_plain_directory_has_the_revision_of_its_recipes() {
    let farm = Farm::new(Scm::None);
    let one = farm.commit("a", "1");
    assert_eq!(farm.repository().tip().unwrap(), one);
    let two = farm.commit("a", "2");
    assert_ne!(one, two);
    assert_eq!(farm.version(&two, "a"), "2");
    assert!(farm.repository().resolve(one.as_str()).is_err());
    assert!(farm.repository().commit_times(&two, &["a".to_owned()]).unwrap().contains_key("a"));
    let read = read_all(&farm.section, &farm.tree, &two, &farm.desk()).unwrap();
    assert_eq!(read.len(), 1);
}
