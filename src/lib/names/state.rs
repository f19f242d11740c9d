//! States, outcomes and priorities: closed sets with one spelling.

use std::fmt;
use std::str::FromStr;

use crate::base::{Error, Result};

macro_rules! closed_set {
    ($(#[$doc:meta])* $type:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
        #[serde(rename_all = "lowercase")]
        #[value(rename_all = "lowercase")]
        pub enum $type {
            $($(#[$vdoc])* $variant,)*
        }

        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// Returns the one spelling.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok($type::$variant),)*
                    _ => Err(Error::wrong(format!("\"{}\" is no {}", crate::base::output::inert(text), $what))),
                }
            }
        }
    };
}

closed_set! {
    /// Where a ticket is in its life.
    State, "state", {
        /// Nobody has it yet.
        Waiting = "waiting",
        /// A builder holds it.
        Building = "building",
        /// It ended with packages.
        Built = "built",
        /// It ended through a fault of the package.
        Failed = "failed",
        /// It ended because the farm failed five times.
        Trouble = "trouble",
        /// Somebody ended it.
        Aborted = "aborted",
        /// A later revision asked for the same package before this one was claimed.
        Superseded = "superseded",
    }
}

closed_set! {
    /// How a ticket, or one try at it, ended.
    Outcome, "outcome", {
        /// With packages.
        Built = "built",
        /// Through a fault of the package: not tried again by itself.
        Failed = "failed",
        /// Through a fault of the farm: tried again elsewhere.
        Trouble = "trouble",
        /// Somebody ended it.
        Aborted = "aborted",
        /// A later revision took its place.
        Superseded = "superseded",
    }
}

closed_set! {
    /// How urgent a ticket is; better ones are claimed first.
    Priority, "priority", {
        /// Forced by a person.
        Urgent = "urgent",
        /// Asked for by a push.
        Push = "push",
        /// Found missing.
        Unbuilt = "unbuilt",
        /// Mass rebuilds.
        Background = "background",
    }
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> State {
        match outcome {
            Outcome::Built => State::Built,
            Outcome::Failed => State::Failed,
            Outcome::Trouble => State::Trouble,
            Outcome::Aborted => State::Aborted,
            Outcome::Superseded => State::Superseded,
        }
    }
}

impl Priority {
    /// Returns the digit a ticket's file name begins with.
    pub fn digit(self) -> char {
        match self {
            Priority::Urgent => '2',
            Priority::Push => '5',
            Priority::Unbuilt => '7',
            Priority::Background => '9',
        }
    }

    /// Returns the priority a file name's first character stands for.
    pub fn from_digit(digit: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|priority| digit.chars().eq([priority.digit()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_back() {
        assert!(State::ALL.iter().all(|state| state.as_str().parse::<State>().unwrap() == *state));
        assert!(Outcome::ALL.iter().all(|outcome| outcome.as_str().parse::<Outcome>().unwrap() == *outcome));
        assert!("broken".parse::<State>().is_err());
    }

    #[test]
    fn urgent_comes_first() {
        assert!(Priority::Urgent < Priority::Push && Priority::Urgent.digit() < Priority::Push.digit());
        assert_eq!(Priority::from_digit("7"), Some(Priority::Unbuilt));
        assert_eq!(Priority::from_digit("1"), None);
    }
}
