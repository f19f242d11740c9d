//! `.SRCINFO`: what a PKGBUILD says, as its author has written it down with `makepkg --printsrcinfo`. Read without a
//! shell, beside a PKGBUILD that was not changed after it; so a tree of these needs no sandbox.
//!
//! It is taken at its word: one that was edited by hand may say what its PKGBUILD does not, and the build finds out.

use std::path::Path;

use super::export::FILE_LIMIT;
use super::paths::recipe_directory;
use super::readers::Read;
use super::recipe::{Problem, judge, named};
use super::session::Fields;
use crate::base::durable;
use crate::base::output::inert;
use crate::config::{Format, TreeSection};

const FILE: &str = ".SRCINFO";

/// Returns the path of what stands beside the recipe `path` if it has one; only a PKGBUILD can.
pub(super) fn beside(path: &str) -> Option<String> {
    let stem = path.strip_suffix("PKGBUILD").filter(|stem| stem.is_empty() || stem.ends_with('/'))?;
    Some(format!("{stem}{FILE}"))
}

/// Tells whether a file of this name is one, though it is hidden.
pub(super) fn is_one(name: &std::ffi::OsStr) -> bool {
    name == FILE
}

/// Reads the recipe `path` below `tree` from what stands beside it; none when nothing does.
pub(super) fn read(section: &TreeSection, tree: &Path, path: &str) -> Option<Read> {
    let own = beside(path)?;
    let text = durable::read(&tree.join(&own), FILE_LIMIT).ok()?;
    let recipe = durable::read(&tree.join(path), FILE_LIMIT).ok()?;
    let arch = section.archs.first().map_or("x86_64", |arch| arch.as_str());
    let reading = match fields(&String::from_utf8_lossy(&text), arch) {
        Ok(mut fields) => {
            fields.add("maintainer", named(&String::from_utf8_lossy(&recipe)));
            judge(path, &fields, Format::Pkgbuild)
        }
        Err((line, why)) => {
            Err(Problem { path: path.to_owned(), error: inert(&format!("{own}:{line}: {why}")) })
        }
    };
    Some(Read { reading, schemes: Some(Vec::new()) })
}

/// Returns the directories of `paths` in which something stands beside the recipe.
pub(super) fn directories(tree: &Path, paths: &[String]) -> Vec<String> {
    let there = |path: &&String| beside(path).is_some_and(|own| tree.join(own).is_file());
    paths.iter().filter(there).map(|path| recipe_directory(path).to_owned()).collect()
}

/// Takes it apart as makepkg writes it, for machines of `arch`; or says in which line something is wrong, and what.
/// What a package of several changes for itself is passed over, as it is when the recipe is read.
fn fields(text: &str, arch: &str) -> Result<Fields, (usize, String)> {
    let (mut fields, mut sections) = (Fields::default(), 0);
    for (at, line) in text.lines().enumerate() {
        let (wrong, line) = (|why: &str| (at + 1, why.to_owned()), line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = pair(line).ok_or_else(|| wrong("it is not KEY = VALUE"))?;
        match (key, sections) {
            ("pkgbase", 0) => sections = 1,
            ("pkgbase", _) => return Err(wrong("a second pkgbase")),
            (_, 0) => return Err(wrong("it does not begin with pkgbase")),
            ("pkgname", _) => sections = 2,
            _ => {}
        }
        let Some((field, once)) = field(key, arch).filter(|_| sections == 1 || key == "pkgname") else {
            continue;
        };
        if once && fields.all(field).next().is_some() {
            return Err(wrong(&format!("a second {key}")));
        }
        fields.add(field, Some(value));
    }
    match sections {
        0 => Err((1, "it does not begin with pkgbase".to_owned())),
        _ => Ok(fields),
    }
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!key.is_empty() && key.chars().all(plain)).then_some((key, value.trim()))
}

/// Returns the field that `key` stands for, and whether it may be said only once.
fn field(key: &str, arch: &str) -> Option<(&'static str, bool)> {
    let own = |stem: &str| key.strip_prefix(stem).and_then(|rest| rest.strip_prefix('_')) == Some(arch);
    Some(match key {
        "pkgbase" => ("base", true),
        "pkgname" => ("name", false),
        "pkgver" => ("version", true),
        "pkgrel" => ("release", true),
        "epoch" => ("epoch", true),
        "arch" => ("arch", false),
        "groups" => ("group", false),
        "depends" => ("depend", false),
        "makedepends" => ("makedepend", false),
        "checkdepends" => ("checkdepend", false),
        "provides" => ("provide", false),
        "options" => ("option", false),
        _ if own("depends") => ("depend", false),
        _ if own("makedepends") => ("makedepend", false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::readers::readings;
    use super::super::recipe::Reading;
    use super::super::sandbox::Limits;
    use super::*;
    use crate::base::output::SILENT;
    use std::io::Write;
    use std::process::Command;

    const RECIPE: &str = "# Contributor: C\n# Maintainer: A <a@b>\npkgbase=foo\npkgname=(foo-libs foo-doc)\nepoch=1
pkgver=2.0\npkgrel=3\narch=(x86_64 i686)\ngroups=(g)\noptions=(!strip)\nlicense=(GPL)\ndepends=('a>=1' b)
depends_x86_64=(x)\ndepends_i686=(i)\nmakedepends=(m)\nmakedepends_x86_64=(mx)\ncheckdepends=(c)\nprovides=('p=1')
package_foo-libs() { arch=(any); depends=(own); provides=(foo.so); }\npackage_foo-doc() { depends=(); }\n";

    const WRITTEN: &str = "# Generated by mksrcinfo\npkgbase = foo\n\tpkgdesc = x = y\n\tpkgver = 2.0\n\tpkgrel = 3
\tepoch = 1\n\tarch = x86_64\n\tarch = i686\n\tgroups = g\n\tcheckdepends = c\n\tmakedepends = m\n\tdepends = a>=1
\tdepends = b\n\tprovides = p=1\n\toptions = !strip\n\tdepends_x86_64 = x\n\tmakedepends_x86_64 = mx
\tdepends_i686 = i\n\npkgname = foo-libs\n\tarch = any\n\tdepends = own\n\npkgname = foo-doc\n\tdepends = \n";

    /// A tree with the PKGBUILD `foo`, and beside it what is written.
    fn tree(written: &[u8]) -> (tempfile::TempDir, TreeSection) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("tree/foo");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("PKGBUILD"), RECIPE).unwrap();
        std::fs::write(dir.join(FILE), written).unwrap();
        (place, TreeSection::default())
    }

    fn reading(written: &[u8]) -> Reading {
        let (place, section) = tree(written);
        read(&section, &place.path().join("tree"), "foo/PKGBUILD").unwrap().reading
    }

    /// What bash says about the PKGBUILD.
    fn truth() -> Reading {
        let (place, section) = tree(b"");
        let paths = ["foo/PKGBUILD".to_owned()];
        super::super::export::open_up(place.path()).unwrap();
        let read = readings(&section, place.path(), &paths, Limits::default(), SILENT, |_| Ok(())).unwrap();
        read[0].reading.clone()
    }

    #[test]
    fn what_is_written_down_is_what_bash_says() {
        let recipe = reading(WRITTEN.as_bytes()).unwrap();
        assert_eq!(Ok(&recipe), truth().as_ref());
        assert_eq!((recipe.version.as_str(), recipe.maintainer.as_deref()), ("1:2.0", Some("A <a@b>")));
        assert_eq!((recipe.depends.join(" "), recipe.subpkgs.len()), ("a>=1 b x".to_owned(), 2));
    }

    #[test]
    fn what_makepkg_writes_is_what_bash_says() {
        if !Path::new("/usr/bin/makepkg").exists() {
            writeln!(std::io::stderr(), "not tested: makepkg is not installed").unwrap();
            return;
        }
        let (place, _) = tree(b"");
        let dir = place.path().join("tree/foo");
        let user = rustix::process::geteuid().is_root().then_some(65534);
        let all = ["", "tree", "tree/foo"].map(|path| place.path().join(path));
        all.iter().for_each(|path| std::os::unix::fs::chown(path, user, None).unwrap());
        let mut command = Command::new("/usr/bin/makepkg");
        if user.is_some() {
            // It refuses to run as root.
            command = Command::new("setpriv");
            command.args(["--reuid=65534", "--clear-groups", "/usr/bin/makepkg"]);
        }
        let ran = command.arg("--printsrcinfo").current_dir(&dir).env("HOME", &dir).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(reading(&ran.stdout), truth());
    }

    #[test]
    fn ends_of_lines_blanks_and_keys_of_other_uses_change_nothing() {
        let wanted = reading(WRITTEN.as_bytes());
        let loose = WRITTEN.replace('\t', "  \t ").replace('\n', " \r\n").replace(" = ", "=");
        let more = WRITTEN.replace("\tepoch", "\tnew_key = 1\n#\n\n\tsource_x = y\n\tepoch");
        for text in [loose, more] {
            assert_eq!(reading(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_a_problem_with_its_number() {
        for (from, to, said) in [
            ("pkgbase = foo", "", "foo/.SRCINFO:3: it does not begin with pkgbase"),
            ("epoch = 1", "epoch", "foo/.SRCINFO:6: it is not KEY = VALUE"),
            ("epoch = 1", "a b = 1", "foo/.SRCINFO:6: it is not KEY = VALUE"),
            ("epoch = 1", "pkgver = 3", "foo/.SRCINFO:6: a second pkgver"),
            ("pkgname = foo-doc", "pkgbase = foo", "foo/.SRCINFO:24: a second pkgbase"),
            ("pkgver = 2.0", "", "the recipe sets no pkgver"),
            ("pkgver = 2.0", "pkgver = ", "the recipe sets no pkgver"),
            ("pkgname = foo-doc", "pkgname = ../../etc", "the package name \"../../etc\" is not allowed"),
            ("pkgver = 2.0", "pkgver = 2\u{1b}[31m", "the version"),
        ] {
            let problem = reading(WRITTEN.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(problem.error.starts_with(said) && !problem.error.contains('\u{1b}'), "{problem:?}");
        }
        for text in [&b""[..], b"\n# \n", &[0xff; 99], b"\0\0=\0"] {
            assert!(reading(text).unwrap_err().error.starts_with("foo/.SRCINFO:1: "), "{text:?}");
        }
    }

    #[test]
    fn only_a_pkgbuild_has_one() {
        for (path, own) in
            [("a/PKGBUILD", Some("a/.SRCINFO")), ("PKGBUILD", Some(".SRCINFO")), ("a/xPKGBUILD", None)]
        {
            assert_eq!(beside(path).as_deref(), own);
        }
    }
}
