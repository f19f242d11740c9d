//! How many mails one address gets in an hour: the rule, without a disk.

use jiff::{SignedDuration, Timestamp};

/// For so long a mail counts.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Returns those of `sent` that still count. What a clock that was wrong has sent in the future does not.
pub(super) fn recent(sent: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
    let counts = |at: &&Timestamp| **at <= now && now.duration_since(**at) < HOUR;
    sent.iter().filter(counts).copied().collect()
}

/// Shares `waiting` things among the mails that one address gets now, after `recent` ones within the hour: so many in
/// the first, so many in the second. Each gets its own mail as long as all of them may; else the last mail takes all that
/// is left. With the hour used up there is no mail: all of them wait.
pub(super) fn share(waiting: usize, recent: usize, hourly: usize) -> Vec<usize> {
    let room = hourly.saturating_sub(recent);
    if waiting <= room {
        return vec![1; waiting];
    }
    let mut mails = vec![1; room.saturating_sub(1)];
    mails.extend((room > 0).then(|| waiting - mails.len()));
    mails
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_up_to_five_an_hour_has_its_own_mail() {
        assert_eq!(share(5, 0, 5), [1; 5]);
        assert_eq!(share(2, 3, 5), [1; 2]);
        assert_eq!(share(0, 0, 5), [0; 0]);
    }

    #[test]
    fn more_than_five_an_hour_for_one_address_merge_into_a_digest_and_none_is_dropped() {
        assert_eq!(share(6, 0, 5), [1, 1, 1, 1, 2]);
        assert_eq!(share(1000, 0, 5), [1, 1, 1, 1, 996]);
        assert_eq!(share(40, 4, 5), [40]);
        for (waiting, recent) in [(7, 0), (7, 2), (100, 4)] {
            assert_eq!(share(waiting, recent, 5).iter().sum::<usize>(), waiting);
            assert!(share(waiting, recent, 5).len() + recent <= 5);
        }
    }

    #[test]
    fn with_the_hour_used_up_they_wait_for_the_next_mail() {
        assert_eq!(share(7, 5, 5), [0; 0]);
        assert_eq!(share(7, 9, 5), [0; 0]);
    }

    #[test]
    fn a_mail_counts_for_an_hour_and_not_before_it_was_sent() {
        let at = |text: &str| format!("2026-11-22T{text}Z").parse::<Timestamp>().unwrap();
        let sent = [at("10:00:00"), at("10:30:00"), at("12:00:00")];
        assert_eq!(recent(&sent, at("11:00:00")), [at("10:30:00")]);
    }
}
