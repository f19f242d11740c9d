//! Who runs this, and acting as the spool's owner when it is root.

use rustix::process::{Gid, Uid, geteuid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::base::{Error, Result};
use crate::spool::Spool;

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
/// calling thread is the process.
pub(super) fn become_owner(spool: &Spool) -> Result<()> {
    let (uid, gid) = spool.owner()?;
    if effective() != 0 || uid == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[gid])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|source| Error::io("act as the owner of", spool.root(), source))
}
