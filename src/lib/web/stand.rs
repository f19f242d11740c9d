//! Where each package stands: from its tickets, without a disk.

use std::collections::BTreeMap;

use super::model::{Mark, Row, StandRow};
use crate::names::State;

/// Of how many of the last builds the usual duration is the median.
const USUAL: usize = 5;

/// A stand, and the tickets of it of which more has to be known than their rows say.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    /// The newest ticket that was not superseded, or the newest of all.
    pub newest: &'a Row,
    /// The ticket that last said whether it can be built.
    pub judged: Option<&'a Row>,
    /// The first of those that failed since something was built.
    pub first_bad: Option<&'a Row>,
    /// The last that was built.
    pub last_good: Option<&'a Row>,
    /// How long it usually takes, seconds.
    pub usual: Option<i64>,
}

/// Returns where a package stands, by tree and architecture; `rows` are its tickets, oldest first.
pub(super) fn standings<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Standing<'a>> {
    let mut grouped: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        grouped.entry((&row.tree, &row.arch)).or_default().push(row);
    }
    grouped.values().filter_map(|rows| standing(rows)).collect()
}

fn standing<'a>(rows: &[&'a Row]) -> Option<Standing<'a>> {
    let newest = *rows.last()?;
    let judged: Vec<&Row> = rows.iter().copied().filter(|row| judges(row.state)).collect();
    let built = || judged.iter().rev().copied().filter(|row| row.state == State::Built);
    let mut took: Vec<i64> = built().filter_map(|row| row.took).take(USUAL).collect();
    took.sort_unstable();
    Some(Standing {
        newest,
        judged: judged.last().copied(),
        first_bad: judged.iter().rev().copied().take_while(|row| row.state == State::Failed).last(),
        last_good: built().next(),
        usual: took.get(took.len() / 2).copied(),
    })
}

/// Only these two say something about the package itself.
fn judges(state: State) -> bool {
    match state {
        State::Built | State::Failed => true,
        State::Waiting | State::Building | State::Trouble | State::Aborted | State::Superseded => false,
    }
}

/// What a ticket says beside its row.
#[derive(Debug, Clone, Default)]
pub(super) struct More {
    /// The recipe.
    pub path: String,
    /// Whom to tell.
    pub maintainer: Option<String>,
    /// What is built.
    pub revision: String,
    /// What the recipe needs.
    pub depends: Vec<String>,
    /// The packages it makes.
    pub packages: Vec<String>,
}

impl Standing<'_> {
    /// Returns the stand, with what `more` knows of a ticket, and whether a ticket's packages are there.
    pub fn row<E>(
        &self,
        mut more: impl FnMut(&Row) -> Result<More, E>,
        published: impl Fn(&Row, &[String]) -> bool,
    ) -> Result<StandRow, E> {
        let said = more(self.newest)?;
        let mut mark = |row: Option<&Row>| -> Result<Option<Mark>, E> {
            let Some(row) = row else { return Ok(None) };
            let said = more(row)?;
            let published = row.state == State::Built && published(row, &said.packages);
            let (id, version, since) = (row.id, row.version.clone(), row.since);
            Ok(Some(Mark { id, version, since, revision: said.revision, packages: said.packages, published }))
        };
        Ok(StandRow {
            first_bad: mark(self.first_bad)?,
            last_good: mark(self.last_good)?,
            newest: self.newest.clone(),
            path: said.path,
            maintainer: said.maintainer,
            depends: said.depends,
            judged: self.judged.filter(|judged| judged.id != self.newest.id).cloned(),
            usual: self.usual,
            commits: Vec::new(),
        })
    }
}
