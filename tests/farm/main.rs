//! The rules of the farm, tried from outside: by the programs, over real spools, trees and builds.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod abort;
mod apache;
mod aside;
mod batch;
mod builders;
mod by_hand;
mod check;
mod control;
mod drop_box;
mod expire;
mod hook;
mod hooks;
mod lease;
mod logs;
mod mirror;
mod order;
mod pages;
mod publish;
mod race;
mod remote;
mod restore;
mod retry;
mod round;
mod served;
mod smtp;
mod sshd;
mod stage;
mod tail;
mod tickets;
mod transcripts;
mod unbuilt;
mod whole_way;
mod wrong_use;
