//! Watermark alignment: no reader of a group runs ahead of the slowest one by more than a maximum drift.
//!
//! Flink's `withWatermarkAlignment` without its interval: members report at the end of every batch and
//! check the group while they are held back. The limit is the lowest reported watermark plus the
//! drift, saturating; a member that is idle, has ended or reads no split reports [`Timestamp::MAX`] and holds nobody
//! back, and one that has not reported yet does not count. A group may span several sources of a job.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Timestamp, nanos};

/// A member that has not reported.
const SILENT: i64 = i64::MIN;

/// A group of aligned readers. Clones denote the same group.
#[derive(Clone, Debug)]
pub struct AlignmentGroup {
    members: Arc<Mutex<Vec<Arc<AtomicI64>>>>,
    max_drift: i64,
}

impl AlignmentGroup {
    /// A group whose members keep within `max_drift` of the slowest one.
    #[must_use]
    pub fn within(max_drift: Duration) -> Self {
        AlignmentGroup {
            members: Arc::default(),
            max_drift: nanos(max_drift),
        }
    }

    /// Adds a member, which has reported nothing yet. Dropping it removes it from the group.
    #[must_use]
    pub fn join(&self) -> AlignmentMember {
        let own = Arc::new(AtomicI64::new(SILENT));
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(Arc::clone(&own));
        AlignmentMember {
            group: self.clone(),
            own,
        }
    }

    fn allowed(&self) -> Timestamp {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let reported = members.iter().map(|member| member.load(Relaxed));
        let slowest = reported.filter(|at| *at != SILENT).min();
        slowest.map_or(Timestamp::MAX, |at| {
            Timestamp(at).saturating_add(self.max_drift)
        })
    }
}

/// One reader's membership.
#[derive(Debug)]
pub struct AlignmentMember {
    group: AlignmentGroup,
    own: Arc<AtomicI64>,
}

impl AlignmentMember {
    /// Reports the watermark sent last; [`Timestamp::MAX`] for a reader that is idle, at its end or without a split.
    /// [`Timestamp::MIN`] reports nothing.
    pub fn report(&self, watermark: Timestamp) {
        self.own.store(watermark.0, Relaxed);
    }

    /// Whether a reader that has sent `watermark` must wait for the others.
    #[must_use]
    pub fn holds(&self, watermark: Timestamp) -> bool {
        watermark > self.group.allowed()
    }
}

impl Drop for AlignmentMember {
    fn drop(&mut self) {
        let mut members = self
            .group
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| !Arc::ptr_eq(member, &self.own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::nanoseconds;

    #[test]
    fn nobody_waits_before_a_slower_member_has_reported() {
        let group = AlignmentGroup::within(nanoseconds(10));
        let (fast, slow) = (group.join(), group.join());
        fast.report(Timestamp(100));
        assert!(!fast.holds(Timestamp(100)));
        slow.report(Timestamp(89));
        assert!(fast.holds(Timestamp(100)) && !slow.holds(Timestamp(89)));
        slow.report(Timestamp(90));
        assert!(!fast.holds(Timestamp(100)), "the drift itself is allowed");
    }

    #[test]
    fn idle_ended_and_dropped_members_hold_nobody_back() {
        let group = AlignmentGroup::within(nanoseconds(10));
        let (fast, slow, gone) = (group.join(), group.join(), group.join());
        fast.report(Timestamp(100));
        slow.report(Timestamp(1));
        gone.report(Timestamp(0));
        drop(gone);
        assert!(fast.holds(Timestamp(100)));
        slow.report(Timestamp::MAX);
        assert!(!fast.holds(Timestamp(100)));
    }

    #[test]
    fn the_drift_saturates() {
        let group = AlignmentGroup::within(Duration::MAX);
        let member = group.join();
        member.report(Timestamp(5));
        assert!(!member.holds(Timestamp::MAX));
    }
}
