//! What joins the rooms: asking for builds, the hook, the drop box, the builder, the master's rounds, why.
//!
//! Owns: the ways through the farm that need more than one room. Refuses: knowing options and terminals.

pub mod abort;
pub mod ask;
pub mod check;
pub mod drop_box;
pub mod hook;
pub mod log;
mod needs;
pub mod notify;
mod operand;
pub mod publish;
pub mod push;
pub mod recipe;
pub mod round;
pub mod site;
pub mod unbuilt;
mod user;
pub mod why;
pub mod worker;

pub use user::user_name;
