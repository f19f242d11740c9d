//! Users of this host, by number.

/// Returns the login name of `uid`, `uid N` if it has none.
pub fn user_name(uid: u32) -> String {
    let user = uzers::get_user_by_uid(uid);
    let name = user.and_then(|user| user.name().to_str().map(str::to_owned));
    name.unwrap_or_else(|| format!("uid {uid}"))
}
