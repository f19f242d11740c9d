//! What joins the rooms: asking for builds, the hook, the drop box, the builder, the master's rounds, why.
//!
//! Owns: the ways through the farm that need more than one room. Refuses: knowing options and terminals.

pub mod abort;
pub mod afar;
pub mod ask;
pub mod check;
pub mod control;
pub mod drop_box;
pub mod gate;
pub mod hook;
mod hooks;
pub mod key;
pub mod log;
pub mod master;
pub mod mirror;
mod needs;
pub mod notify;
pub mod offer;
mod operand;
pub mod publish;
pub mod push;
pub mod recipe;
mod retry;
pub mod round;
pub mod service;
pub mod site;
pub mod ssh;
pub mod unbuilt;
mod user;
pub mod why;
pub mod worker;

pub use user::user_name;
