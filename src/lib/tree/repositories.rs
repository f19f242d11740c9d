//! Real repositories: git, darcs and none, asked the same questions.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Desk, Repository, find, read, read_all};
use crate::base::output::SILENT;
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

    fn cache(&self) -> PathBuf {
        self.place.path().join("ages")
    }

    pub(super) fn desk(&self) -> Desk {
        Desk { scratch: self.scratch(), kept: Some(self.place.path().join("kept")), progress: SILENT }
    }

    fn scratch(&self) -> PathBuf {
        self.place.path().join("scratch")
    }

    /// Writes the recipe of `name` in `version` and commits all there is.
    pub(super) fn commit(&self, name: &str, version: &str) -> Revision {
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
        let read = read(&self.section, &self.tree, revision, &paths, &self.desk()).unwrap();
        read[0]
            .as_ref()
            .map(|recipe| recipe.version.to_string())
            .unwrap_or_else(|problem| problem.error.clone())
    }
}

pub(super) fn both(rule: impl Fn(Farm)) {
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
fn what_is_too_large_is_passed_over_and_what_comes_after_it_is_read() {
    both(|farm| {
        farm.commit("a", "1");
        farm.commit("b", "1");
        for file in ["a/patch", "b/PKGBUILD"] {
            std::fs::write(farm.section.path.join(file), "#".repeat((1 << 20) + 1)).unwrap();
        }
        let tip = farm.commit("c", "1");
        let read = read_all(&farm.section, &farm.tree, &tip, &farm.desk()).unwrap();
        assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<bool>>(), [true, false, true]);
    });
}

#[test]
fn of_the_recipes_asked_for_only_those_that_are_there_are_named() {
    both(|farm| {
        farm.commit("a", "1");
        let tip = farm.commit("b", "1");
        let there = |count: usize, more: &[&str]| {
            let paths = (0..count)
                .map(|n| format!("nope{n}/PKGBUILD"))
                .chain(more.iter().map(|&path| path.to_owned()));
            farm.repository().there(&tip, &paths.collect::<Vec<_>>()).unwrap()
        };
        for count in [1, 200] {
            assert_eq!(there(count, &["b/PKGBUILD", "a"]), ["b/PKGBUILD"], "{count}");
        }
        assert_eq!(there(0, &[]), [""; 0]);
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
        let dirs = ["a", "nope"].map(str::to_owned);
        let ages = farm.repository().ages(&tip, &dirs, &farm.cache()).unwrap();
        let age = jiff::Timestamp::now().duration_since(ages["a"].at);
        match farm.section.scm {
            Scm::Git => assert_eq!(ages["a"].at.to_string(), "2026-11-20T10:00:00Z"),
            Scm::Darcs | Scm::None => assert!((0..60).contains(&age.as_secs()), "{age}"),
        }
        assert!(ages.len() == 1 && ages["a"].by.starts_with(['a', 'x']), "{ages:?}");
    });
}

#[test]
fn kept_ages_are_taken_for_true_and_only_what_came_after_them_is_read() {
    both(|farm| {
        farm.commit("gone", "1");
        let old = farm.commit("a", "1");
        let dirs = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let ages = |tip, names: &[&str]| farm.repository().ages(tip, &dirs(names), &farm.cache()).unwrap();
        let first = ages(&old, &["a", "gone"]);
        // Marked, so that one sees where an answer comes from.
        let text = std::fs::read_to_string(farm.cache()).unwrap();
        std::fs::write(farm.cache(), text.replace(&format!("\t{}", first["a"].by), "\tkept")).unwrap();
        assert_eq!(ages(&old, &["a"])["a"].by, "kept");
        let new = farm.commit("b", "1");
        let second = ages(&new, &["a", "b"]);
        assert!(second["a"].by == "kept" && second["b"].by != "kept" && second.len() == 2, "{second:?}");
        assert_eq!(second["a"].commit, first["a"].commit);
        std::fs::remove_file(farm.cache()).unwrap();
        assert_eq!(ages(&new, &["a", "b"])["a"], first["a"], "the file may be deleted at any time");
    });
}

#[test]
fn ages_of_a_history_that_was_rewritten_are_read_anew() {
    both(|farm| {
        let base = farm.commit("a", "1");
        let old = farm.commit("b", "1");
        let dirs = ["a", "b", "c"].map(str::to_owned);
        let before = farm.repository().ages(&old, &dirs, &farm.cache()).unwrap();
        let path = &farm.section.path;
        match farm.section.scm {
            Scm::Git => drop(run(path, &["git", "reset", "-q", "--hard", base.as_str()])),
            Scm::Darcs | Scm::None => drop(run(path, &["darcs", "obliterate", "-qa", "--last", "1"])),
        }
        let new = farm.commit("c", "1");
        let after = farm.repository().ages(&new, &dirs, &farm.cache()).unwrap();
        assert!(before.contains_key("b") && !after.contains_key("b"), "{after:?}");
        assert!(after.contains_key("a") && after.contains_key("c"));
    });
}

/// Writes down another version than the PKGBUILD's, so that one sees which of both is read.
fn write_down(farm: &Farm, version: &str) {
    let text = format!("pkgbase = a\npkgver = {version}\npkgrel = 1\narch = any\npkgname = a\n");
    std::fs::write(farm.section.path.join("a/.SRCINFO"), text).unwrap();
}

#[test]
fn a_srcinfo_is_read_unless_the_pkgbuild_was_changed_after_it() {
    both(|farm| {
        farm.commit("a", "1");
        write_down(&farm, "10");
        let later = farm.record();
        let behind = farm.commit("a", "2");
        write_down(&farm, "30");
        let together = farm.commit("a", "3");
        let other = farm.commit("b", "1");
        for (revision, version) in [(&later, "10"), (&behind, "2"), (&together, "30"), (&other, "30")] {
            assert_eq!(farm.version(revision, "a"), version);
        }
        assert_eq!(farm.version(&other, "b"), "1");
        let all = read_all(&farm.section, &farm.tree, &other, &farm.desk()).unwrap();
        let all: Vec<String> = all.into_iter().map(|recipe| recipe.unwrap().version.to_string()).collect();
        assert_eq!(all, ["30", "1"]);
    });
}

#[test]
fn where_all_is_written_down_no_sandbox_is_started() {
    let mut farm = Farm::new(Scm::Git);
    std::fs::create_dir(farm.section.path.join("a")).unwrap();
    write_down(&farm, "10");
    let tip = farm.commit("a", "1");
    farm.section.prelude = Some("/nonexistent/prelude".into());
    assert_eq!(farm.version(&tip, "a"), "10");
    let other = farm.commit("b", "1");
    let paths = ["b/PKGBUILD".to_owned()];
    assert!(read(&farm.section, &farm.tree, &other, &paths, &farm.desk()).is_err());
}

#[test]
fn without_version_control_the_later_written_file_counts() {
    let farm = Farm::new(Scm::None);
    farm.commit("a", "1");
    write_down(&farm, "10");
    let written = std::fs::metadata(farm.section.path.join("a/.SRCINFO")).unwrap().modified().unwrap();
    let second = std::time::Duration::from_secs(1);
    for (time, version) in [(written - second, "10"), (written, "10"), (written + second, "1")] {
        let recipe = std::fs::File::options().write(true).open(farm.section.path.join("a/PKGBUILD")).unwrap();
        recipe.set_modified(time).unwrap();
        assert_eq!(farm.version(&farm.repository().tip().unwrap(), "a"), version);
    }
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
    let changed = |old| farm.repository().changed(old, &new).unwrap().unwrap();
    assert_eq!(changed(Some(&old)), ["a/PKGBUILD", "a/x y\n", "b/PKGBUILD"]);
    assert_eq!(changed(None), ["a/x y\n", "b/PKGBUILD"]);
}

#[test]
fn what_was_changed_since_a_revision_that_is_gone_is_not_known() {
    both(|farm| {
        let old = farm.commit("a", "1");
        let new = farm.commit("b", "1");
        let repository = farm.repository();
        let changed = repository.changed(Some(&old), &new).unwrap().unwrap();
        assert_eq!(changed.last().map(String::as_str), Some("b/PKGBUILD"), "{changed:?}");
        assert_eq!(repository.changed(Some(&new), &new).unwrap(), Some(Vec::new()));
        let gone: Revision = "1".repeat(40).parse().unwrap();
        assert_eq!(repository.changed(Some(&gone), &new).unwrap(), None);
    });
}

#[test]
fn patches_that_move_and_remove_name_both_places() {
    let farm = Farm::new(Scm::Darcs);
    farm.commit("a", "1");
    farm.commit("b", "1");
    let old = farm.commit("c", "1");
    let path = &farm.section.path;
    run(path, &["darcs", "mv", "-q", "a", "moved"]);
    std::fs::remove_dir_all(path.join("b")).unwrap();
    let new = farm.record();
    run(path, &["darcs", "tag", "-q", "-A", "x", "one"]);
    let tip = farm.repository().tip().unwrap();
    assert_ne!(new, tip, "a tag is a patch");
    let mut changed = farm.repository().changed(Some(&old), &tip).unwrap().unwrap();
    changed.sort();
    assert_eq!(changed, ["a", "b", "b/PKGBUILD", "moved"]);
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
    assert_eq!(farm.repository().ages(&tip, &["a".to_owned()], &farm.cache()).unwrap().len(), 1);
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
    assert!(farm.repository().ages(&two, &["a".to_owned()], &farm.cache()).unwrap().contains_key("a"));
    let read = read_all(&farm.section, &farm.tree, &two, &farm.desk()).unwrap();
    assert_eq!(read.len(), 1);
}
