//! The directories in which tickets lie.

use std::path::PathBuf;

use crate::base::Result;
use crate::names::{Arch, Builder, Name, Tree};
use crate::spool::{Spool, Stand, TicketName, list, shelf};

/// A directory of tickets, and what it takes.
pub(super) enum Place {
    New(Arch),
    Chunk(Arch),
    Park(Tree),
    Run(Builder),
    Done(Tree, Name),
}

impl Place {
    pub fn fits(&self, name: &TicketName) -> bool {
        match (self, &name.stand) {
            (Place::New(arch) | Place::Chunk(arch), Stand::Waiting(_)) => name.item.arch == *arch,
            (Place::Park(tree), Stand::Waiting(_)) => name.tree == *tree,
            (Place::Run(_), Stand::Building(_)) => true,
            (Place::Done(tree, package), Stand::Done(_)) => name.tree == *tree && name.item.name == *package,
            (Place::New(_) | Place::Chunk(_) | Place::Park(_) | Place::Run(_) | Place::Done(..), _) => false,
        }
    }

    pub fn is_chunk(&self, name: &str) -> bool {
        matches!(self, Place::New(_)) && shelf::is_chunk(name)
    }

    pub fn builder(&self) -> Option<Builder> {
        match self {
            Place::Run(builder) => Some(builder.clone()),
            Place::New(_) | Place::Chunk(_) | Place::Park(_) | Place::Done(..) => None,
        }
    }
}

/// In the order in which tickets move on.
pub(super) fn places(spool: &Spool) -> Result<Vec<(PathBuf, Place)>> {
    let mut places = Vec::new();
    for arch in list::directories::<Arch>(&spool.at("new"))? {
        let directory = spool.new_dir(&arch);
        for chunk in list::names(&directory)?.iter().filter(|name| shelf::is_chunk(name)) {
            places.push((directory.join(chunk), Place::Chunk(arch.clone())));
        }
        places.push((directory, Place::New(arch)));
    }
    places
        .extend(list::parking(spool)?.into_iter().map(|(tree, _, directory)| (directory, Place::Park(tree))));
    for builder in list::directories::<Builder>(&spool.at("run"))? {
        places.push((spool.run_dir(&builder), Place::Run(builder)));
    }
    for tree in list::directories::<Tree>(&spool.at("done"))? {
        let directory = spool.at("done").join(&tree);
        for name in list::directories::<Name>(&directory)? {
            places.push((directory.join(&name), Place::Done(tree.clone(), name)));
        }
    }
    Ok(places)
}
