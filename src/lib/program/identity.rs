//! Who runs this, and acting as the spool's owner when it is root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Gid, Uid, geteuid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::base::error::readable;
use crate::base::{Error, Result};

/// Who called the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The number of the user.
    uid: u32,
}

impl Caller {
    /// Asks who it is; to be called before root turns into the spool's owner.
    pub fn ask() -> Self {
        Self { uid: getuid().as_raw() }
    }

    /// Returns the login name, or `uid N` for a number without one; looked up only now, because most programs never
    /// want it.
    pub fn name(self) -> String {
        name(self.uid)
    }
}

pub(super) fn effective() -> u32 {
    geteuid().as_raw()
}

pub(super) fn name(uid: u32) -> String {
    crate::farm::user_name(uid)
}

/// What root would make in the spool, its owner could not move. Called before any thread is started, so the
/// calling thread is the process. Where nothing is yet, root stays root.
pub(super) fn become_owner(root: &Path) -> Result<()> {
    let meta = fs::metadata(root).map_err(|source| Error::io("look at", root, source));
    let Some(meta) = readable(meta)?.filter(|meta| effective() == 0 && meta.uid() != 0) else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    set_thread_groups(&[gid])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|source| Error::io("act as the owner of", root, source))
}
