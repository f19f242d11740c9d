//! How somebody asks for builds.

use serde::{Deserialize, Serialize};

use crate::names::{Arch, Priority, Revision, Tree, Word};

/// How somebody asks; the options of `syncpkg-enqueue`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Of this tree only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// For these architectures only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archs: Vec<Arch>,
    /// How urgent; a push when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// At this revision; the tip when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// That revision, where somebody has just found it in the repository.
    #[serde(skip)]
    pub found: Option<Revision>,
    /// Whom to tell instead of the recipe's maintainer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<String>,
    /// What the tickets belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Word>,
    /// The batch is published only once all of it is built.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hold_publish: bool,
    /// Although it failed, or is published.
    pub force: bool,
    /// Why.
    pub reason: String,
    /// Nobody in person asks: what was aborted stays so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spare_aborted: bool,
    /// Paths that are no recipes, and removed ones, are passed over (a list of changed files).
    pub passes_over: bool,
}

impl Wish {
    /// Returns it as options of syncpkg-enqueue.
    pub fn words(&self) -> Vec<String> {
        let archs: Vec<&str> = self.archs.iter().map(Arch::as_str).collect();
        let options = [
            ("--tree", self.tree.as_ref().map(Tree::to_string)),
            ("--arch", Some(archs.join(","))),
            ("--priority", self.priority.map(|priority| priority.to_string())),
            ("--revision", self.revision.clone()),
            ("--maintainer", self.maintainer.clone()),
            ("--batch", self.batch.as_ref().map(Word::to_string)),
            ("--reason", Some(self.reason.clone())),
        ];
        let given = options.into_iter().filter_map(|(option, value)| Some((option, value?)));
        let given = given.filter(|(_, value)| !value.is_empty());
        let words = given.map(|(option, value)| format!("{option}={value}"));
        let words = words.chain(self.force.then(|| "--force".to_owned()));
        words.chain(self.hold_publish.then(|| "--hold-publish".to_owned())).collect()
    }
}
