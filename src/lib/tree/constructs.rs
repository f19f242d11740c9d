//! What is met in real trees of FrugalBuilds, each construct as a small recipe of our own.

use super::export;
use super::readers::readings;
use super::sandbox::Limits;
use crate::base::output::SILENT;
use crate::config::{Format, TreeSection};

const PRELUDE: &str = "[ -e /etc/repoman.conf ] || exit 1
[ -z \"$startdir\" ] && startdir=`pwd`
Finclude() { exit 9; }
Finclude util
";

const SCHEMES: [(&str, &str); 8] = [
    ("util", "Fsrcdir=\"$startdir/src\"\nFdie() { exit 2; }\nFbuildchost=\"`arch`-linux\"\n"),
    ("late", "pkgver=9\nmakedepends=(\"${makedepends[@]}\" from-scheme)\n"),
    ("name", "pkgname=\"lang-`echo $_F_name | tr A-Z a-z`\"\n"),
    ("deep", "Finclude late\n"),
    ("shell", "source=($(curl -s http://127.0.0.1/x | sed 's/a/b/'))\nurl=x\n"),
    ("needy", "[ -n \"$_F_needed\" ]\n"),
    ("loop", "for i in a b; do groups=(\"${groups[@]}\" $i); done\n"),
    ("dies", "[ -n \"$_F_units\" ] || Fdie\n"),
];

/// What comes after name, version 1, release 1 and `archs=(i686 x86_64)`, and what is read: name, version, archs,
/// sub-packages, groups, makedepends, nobuild; or the beginning of the problem.
const CONSTRUCTS: [(&str, &str); 29] = [
    ("", "a 1 i686,x86_64 a - - -"),
    ("Finclude late", "a 9 i686,x86_64 a - from-scheme -"),
    ("makedepends=(own); Finclude deep; pkgver=2", "a 2 i686,x86_64 a - own,from-scheme -"),
    ("_F_name=CamelCase; Finclude name", "lang-camelcase 1 i686,x86_64 lang-camelcase - - -"),
    ("Finclude shell loop late", "a 9 i686,x86_64 a a,b from-scheme -"),
    ("_F_needed=yes; Finclude needy", "a 1 i686,x86_64 a - - -"),
    ("Finclude needy", "it ends before it is read"),
    ("Finclude dies", "it ends before it is read"),
    ("Finclude nowhere", "it ends before it is read"),
    ("cd /; Finclude nowhere", "a 1 i686,x86_64 a - - -"),
    ("_F_major=1.2; pkgver=${_F_major}.$(echo 3 | sed s/3/4/)", "a 1.2.4 i686,x86_64 a - - -"),
    ("pkgver=`python3 -c 'print(1+1)' 2>/dev/null || echo 2`", "a 2 i686,x86_64 a - - -"),
    ("groups=($(curl -s http://127.0.0.1/x | jq -r .x))", "a 1 i686,x86_64 a - - -"),
    ("pkgver=$(printf '{\"x\": 2}' | jq -r .x || echo 2)", "a 2 i686,x86_64 a - - -"),
    (
        "groups=($(basename /x/y.z) $(command basename /x/y.z) $(basename a/b/) $(basename -s .c d.c))",
        "a 1 i686,x86_64 a y.z,y.z,b,d - -",
    ),
    (VERSION_OF_PYTHON, "a 1 i686,x86_64 a same - -"),
    (OWN_VERSION_OF_PYTHON, "a 1 i686,x86_64 a same - -"),
    ("archs=(x86_64 '!i686')", "a 1 x86_64 a - - -"),
    ("archs=(i686 x86_64 '~i686')", "a 1 x86_64 a - - -"),
    ("[ \"$CARCH\" = x86_64 ] && makedepends=(only-there)", "a 1 i686,x86_64 a - only-there -"),
    ("[ \"$CARCH\" = i686 ] && makedepends=(only-there) || :", "a 1 i686,x86_64 a - - -"),
    (
        "case $CARCH in x86_64) groups=(sixty-four) ;; *) groups=(other) ;; esac",
        "a 1 i686,x86_64 a sixty-four - -",
    ),
    ("subpkgs=(\"$pkgname-doc\" lib$pkgname); suboptions=('' '')", "a 1 i686,x86_64 a,a-doc,liba - - -"),
    ("nobuild=1", "a 1 i686,x86_64 a - - nobuild"),
    ("options=(force nobuild)", "a 1 i686,x86_64 a - - nobuild"),
    ("options=(nobuild); subpkgs=(b c); suboptions=(nobuild '')", "a 1 i686,x86_64 a,b,c - - -"),
    (
        "options=(nobuild); subpkgs=(b c); suboptions=(nobuild 'x nobuild')",
        "a 1 i686,x86_64 a,b,c - - nobuild",
    ),
    ("epoch=1; build() { Fbuild; }; groups=('x' \"y z\")", "a 1 i686,x86_64 a x,y z - -"),
    ("for p in b c; do subpkgs+=($p); done; unset build; return 1", "a 1 i686,x86_64 a,b,c - - -"),
];

const VERSION_OF_PYTHON: &str = "_p='import sysconfig; print(sysconfig.get_python_version())'
[[ $(python3 -c \"$_p\") == $(command python3 -c \"$_p\") ]] && groups=(same)";

/// Beside a module of its own.
const OWN_VERSION_OF_PYTHON: &str = "_p='import sysconfig; print(sysconfig.get_python_version())'
[[ $(python3 -c \"$_p\") == $(command python3 -c \"$_p\") ]] && groups=(same) # own";

#[test]
fn each_construct_of_real_trees_is_read() {
    let place = tempfile::tempdir().unwrap();
    let (stage, prelude) = (place.path().join("tree"), place.path().join("prelude"));
    std::fs::write(&prelude, PRELUDE).unwrap();
    export::make_root(&stage).unwrap();
    for (name, text) in SCHEMES {
        export::write(&stage, &format!("source/include/{name}.sh"), text.as_bytes()).unwrap();
    }
    let paths: Vec<String> = (0..CONSTRUCTS.len()).map(|at| format!("source/x/r{at}/FrugalBuild")).collect();
    for (path, (text, _)) in paths.iter().zip(CONSTRUCTS) {
        if text == OWN_VERSION_OF_PYTHON {
            let module = path.replace("FrugalBuild", "sysconfig.py");
            export::write(&stage, &module, b"def get_python_version(): return 'mine'\n").unwrap();
        }
        let head = "# Compiling Time: 0.1 SBU\n# Maintainer: A B <a@b>\n\npkgname=a\npkgver=1\npkgrel=1";
        export::write(&stage, path, format!("{head}\narchs=(i686 x86_64)\n{text}\n").as_bytes()).unwrap();
    }
    let section =
        TreeSection { format: Format::Frugalbuild, prelude: Some(prelude), ..TreeSection::default() };
    let read = readings(&section, place.path(), &paths, Limits::default(), SILENT, |_| Ok(())).unwrap();
    let list = |words: Vec<String>| if words.is_empty() { "-".to_owned() } else { words.join(",") };
    for (read, (text, wanted)) in read.into_iter().zip(CONSTRUCTS) {
        let said = match read.reading {
            Ok(recipe) => {
                let archs = recipe.archs.iter().map(ToString::to_string).collect();
                let subpkgs = recipe.subpkgs.iter().map(ToString::to_string).collect();
                let nobuild = if recipe.nobuild { "nobuild" } else { "-" };
                let words =
                    [list(archs), list(subpkgs), list(recipe.groups), list(recipe.makedepends)].join(" ");
                format!("{} {} {words} {nobuild}", recipe.name, recipe.version)
            }
            Err(problem) => problem.error,
        };
        assert!(said == wanted || (wanted.starts_with("it ") && said.starts_with(wanted)), "{text}: {said}");
    }
}
