//! What a recipe says, checked: names, versions and architectures have passed their grammar.

use serde::{Deserialize, Serialize};

use super::session::Fields;
use crate::base::output::{acts, inert};
use crate::base::{Error, Result};
use crate::config::Format;
use crate::names::{Arch, Name, Release, Version};

/// What a recipe says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The recipe file, relative to the tree's root.
    pub path: String,
    /// The package; for a split package the name of its base.
    pub name: Name,
    /// With the epoch in front, if there is one.
    pub version: Version,
    /// The packaging's own count.
    pub release: Release,
    /// What it can be built for.
    pub archs: Vec<Arch>,
    /// The names of the packages it produces; for a plain recipe just its own.
    pub subpkgs: Vec<Name>,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// What it needs to run, with version constraints.
    pub depends: Vec<String>,
    /// What it needs to be built.
    pub makedepends: Vec<String>,
    /// What its tests need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkdepends: Vec<String>,
    /// What it can stand in for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
    /// Switches of the packaging.
    pub options: Vec<String>,
    /// Whether it is not to be built at all.
    pub nobuild: bool,
    /// `Name <mail>` from its head, as is, if it names one.
    pub maintainer: Option<String>,
}

/// A recipe that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The recipe file, relative to the tree's root.
    pub path: String,
    /// Why.
    pub error: String,
}

/// What came of reading one recipe.
pub type Reading = Result<Recipe, Problem>;

impl Recipe {
    /// Returns the architectures of `farm` that this recipe is to be built for; `any` alone when it is for `any`.
    pub fn wanted_archs(&self, farm: &[Arch]) -> Vec<Arch> {
        if self.nobuild {
            return Vec::new();
        }
        let any = self.archs.iter().find(|arch| arch.is_any());
        match any {
            Some(any) => vec![any.clone()],
            None => farm.iter().filter(|arch| self.archs.contains(arch)).cloned().collect(),
        }
    }

    /// Returns the bare names of all it needs to be built, each once, in the order they are written.
    pub fn dependencies(&self) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for text in self.depends.iter().chain(&self.makedepends).chain(&self.checkdepends) {
            if let Some(name) = bare(text).filter(|name| !names.contains(name)) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the bare names of all that it provides: its packages, then what they stand in for.
    pub fn provided(&self) -> Vec<Name> {
        self.subpkgs.iter().cloned().chain(self.provides.iter().filter_map(|text| bare(text))).collect()
    }
}

/// Strips the version constraint (`>=1`) and the description (`: why`) of a dependency.
fn bare(text: &str) -> Option<Name> {
    text.split(['<', '>', '=', ':', ' ', '\t']).next()?.parse().ok()
}

/// So many lines of a recipe are its head, where its maintainer stands.
const HEAD: usize = 50;

/// Returns whom the head of the recipe `text` names as its maintainer.
pub(super) fn named(text: &str) -> Option<&str> {
    text.lines().take(HEAD).find_map(|line| line.strip_prefix("# Maintainer:"))
}

/// Judges what the sandbox said about the recipe `path`.
pub(super) fn judge(path: &str, fields: &Fields, format: Format) -> Reading {
    parse(path, fields, format)
        .map_err(|error| Problem { path: path.to_owned(), error: inert(&error.to_string()) })
}

fn parse(path: &str, fields: &Fields, format: Format) -> Result<Recipe> {
    let names: Vec<Name> = fields.all("name").map(str::parse).collect::<Result<_>>()?;
    let first = names.first().ok_or_else(|| lacks("pkgname"))?;
    let (name, subpkgs) = match (format, fields.one("base")) {
        (Format::Frugalbuild, _) => (first.clone(), frugal_names(first, fields)?),
        (Format::Pkgbuild, Some(base)) => (base.parse()?, names),
        (Format::Pkgbuild, None) => (first.clone(), names),
    };
    Ok(Recipe {
        path: path.to_owned(),
        name,
        version: version(fields)?,
        release: fields.one("release").ok_or_else(|| lacks("pkgrel"))?.parse()?,
        archs: archs(fields, format)?,
        subpkgs,
        groups: texts(fields, "group"),
        depends: texts(fields, "depend"),
        makedepends: texts(fields, "makedepend"),
        checkdepends: texts(fields, "checkdepend"),
        provides: texts(fields, "provide"),
        options: texts(fields, "option"),
        nobuild: nobuild(fields),
        maintainer: maintainer(fields),
    })
}

fn lacks(what: &str) -> Error {
    Error::wrong(format!("the recipe sets no {what}"))
}

fn frugal_names(first: &Name, fields: &Fields) -> Result<Vec<Name>> {
    let mut names = vec![first.clone()];
    for name in fields.all("subpkg") {
        let name: Name = name.parse()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn version(fields: &Fields) -> Result<Version> {
    let version = fields.one("version").ok_or_else(|| lacks("pkgver"))?;
    match fields.one("epoch") {
        Some(epoch) if epoch != "0" => format!("{epoch}:{version}").parse(),
        Some(_) | None => version.parse(),
    }
}

/// Returns the architectures without those taken out (`!arch`, or `~arch` for broken ones).
fn archs(fields: &Fields, format: Format) -> Result<Vec<Arch>> {
    let (out, stated): (Vec<&str>, Vec<&str>) =
        fields.all("arch").partition(|text| text.starts_with(['!', '~']));
    if out.is_empty() && stated.is_empty() {
        return Err(lacks(match format {
            Format::Frugalbuild => "archs",
            Format::Pkgbuild => "arch",
        }));
    }
    let out: Vec<&str> = out.iter().map(|text| text.trim_start_matches(['!', '~'])).collect();
    stated.into_iter().filter(|text| !out.contains(text)).map(str::parse).collect()
}

/// Frugalware's rule: said outright, or among the options of the package and of every sub-package.
fn nobuild(fields: &Fields) -> bool {
    let listed = |text: &str| text.split_whitespace().any(|option| option == "nobuild");
    let subpkgs = fields.all("subpkg").count();
    let silent = fields.all("suboption").take(subpkgs).filter(|text| listed(text)).count();
    fields.one("nobuild").is_some() || (fields.all("option").any(listed) && silent == subpkgs)
}

fn texts(fields: &Fields, key: &str) -> Vec<String> {
    fields.all(key).map(str::trim).filter(|text| !text.is_empty()).map(inert).collect()
}

fn maintainer(fields: &Fields) -> Option<String> {
    let text: String = fields.one("maintainer")?.chars().filter(|&c| !acts(c)).collect();
    let text: String = text.trim().chars().take(200).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(format: Format, text: &str) -> Reading {
        judge("a/PKGBUILD", &Fields::parse(text.replace('\n', "\0").as_bytes()), format)
    }

    const PLAIN: &str = "name=a\nversion=1.0\nrelease=1\narch=x86_64\n";

    #[test]
    fn a_plain_recipe_produces_the_package_of_its_name() {
        let recipe = reading(Format::Pkgbuild, PLAIN).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.subpkgs.len(), recipe.nobuild), ("a", 1, false));
    }

    #[test]
    fn a_split_package_goes_by_its_base_and_carries_its_epoch() {
        let text = "base=gcc\nname=gcc-libs\nname=gcc-go\nversion=2\nepoch=1\nrelease=3\narch=any\n";
        let recipe = reading(Format::Pkgbuild, text).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.version.as_str(), recipe.subpkgs.len()), ("gcc", "1:2", 2));
        assert_eq!(recipe.wanted_archs(&["x86_64".parse().unwrap()]), ["any".parse().unwrap()]);
    }

    #[test]
    fn a_name_that_climbs_is_a_problem_in_words() {
        let problem = reading(Format::Pkgbuild, &PLAIN.replace("=a\n", "=../../etc/x\n")).unwrap_err();
        assert!(problem.error.contains("package name \"../../etc/x\" is not allowed"), "{problem:?}");
    }

    #[test]
    fn what_a_recipe_lacks_is_said() {
        for (line, said) in [
            ("name=a\n", "pkgname"),
            ("version=1.0\n", "pkgver"),
            ("release=1\n", "pkgrel"),
            ("arch=x86_64\n", "arch"),
        ] {
            let problem = reading(Format::Pkgbuild, &PLAIN.replace(line, "")).unwrap_err();
            assert_eq!(problem.error, format!("the recipe sets no {said}"));
        }
    }

    #[test]
    fn an_architecture_taken_out_is_not_wanted() {
        let text = format!("{PLAIN}arch=i686\narch=!i686\narch=~ppc\n");
        let farm = ["i686", "x86_64", "ppc"].map(|arch| arch.parse().unwrap());
        let wanted = reading(Format::Frugalbuild, &text).unwrap().wanted_archs(&farm);
        assert_eq!(wanted, ["x86_64".parse().unwrap()]);
    }

    #[test]
    fn nobuild_of_a_split_recipe_needs_every_part_to_say_so() {
        let half = format!("{PLAIN}option=nobuild\nsubpkg=b\nsubpkg=c\nsuboption=nobuild\nsuboption=\n");
        assert!(!reading(Format::Frugalbuild, &half).unwrap().nobuild);
        let whole = half.replace("suboption=\n", "suboption=scriptlet nobuild\n");
        let recipe = reading(Format::Frugalbuild, &whole).unwrap();
        assert!(recipe.nobuild && recipe.wanted_archs(&recipe.archs).is_empty());
        assert!(reading(Format::Frugalbuild, &format!("{PLAIN}nobuild=1\n")).unwrap().nobuild);
    }

    #[test]
    fn dependencies_are_bare_names_each_once() {
        let text = format!(
            "{PLAIN}depend=b>=1\ndepend=c=2\nmakedepend=b\nmakedepend=d: for docs\ncheckdepend=e<3\ndepend=../x\n"
        );
        let names: Vec<String> = reading(Format::Pkgbuild, &text)
            .unwrap()
            .dependencies()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["b", "c", "d", "e"]);
    }

    #[test]
    fn a_maintainer_cannot_act_on_a_page_or_terminal() {
        let text = format!("{PLAIN}maintainer= A \u{1b}[31mB <a@b>{}\n", "x".repeat(300));
        let maintainer = reading(Format::Pkgbuild, &text).unwrap().maintainer.unwrap();
        assert!(
            maintainer.starts_with("A [31mB <a@b>x") && maintainer.chars().count() == 200,
            "{maintainer}"
        );
    }
}
