//! The clock that stamps files, and waiting until it has passed a stamp.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::SECOND;

/// The clock that stamps files.
#[cfg(target_os = "linux")]
const STAMPING: ClockId = ClockId::RealtimeCoarse;
#[cfg(not(target_os = "linux"))]
const STAMPING: ClockId = ClockId::Realtime;

/// The age at which a complete distribution counts as settled.
///
/// mlocate and plocate wait as long: the granularity of FAT, 2 s, and a second of clock skew.
pub const SETTLE_AFTER: Duration = Duration::from_secs(3);

/// The age at which an incomplete distribution counts as settled: one without the files that an installer writes last.
/// A minute is longer than an installer needs for one distribution.
pub(crate) const UNFINISHED_AFTER: Duration = Duration::from_secs(60);

/// The longest wait for the next tick of a local clock. [`now`] can be behind the real time by as much. A kernel's tick
/// is 10 ms at most.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// The same in ns.
const MAX_TICK: i64 = TICK.as_nanos() as i64;
/// A remote clock may be coarse by 2 s and wrong by a second.
const REMOTE_UNCERTAINTY: i64 = 3 * SECOND;

/// The clock that stamps the files of one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The kernel's own, which moves in ticks.
    Local {
        /// Stamps are multiples of this many ns: 1, or a whole number of seconds.
        granule: i64,
    },
    /// That of another machine or of a program. It is assumed to be roughly right.
    Remote,
}

impl Clock {
    /// The clock of the file system that `directory` is on, given the ctime of that directory.
    pub(crate) fn of(directory: BorrowedFd<'_>, ctime: i64) -> Self {
        // The numbers are those of statfs(2): NFS, SMB, SMB2, CIFS, FUSE, 9P, AFS, Ceph, Coda, Lustre, GPFS.
        const REMOTE: [u32; 11] = [
            0x6969,
            0x517b,
            0xfe53_4d42,
            0xff53_4d42,
            0x6573_5546,
            0x0102_1997,
            0x5346_414f,
            0x00c3_6400,
            0x7375_7245,
            0x0bd0_0bd0,
            0x4750_4653,
        ];
        const FAT: u32 = 0x4d44;
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
        let kind = rustix::fs::fstatfs(directory).map(|stat| stat.f_type as u32);
        match kind {
            Err(_) => Self::Remote,
            // Other systems have numbers and granules of their own.
            Ok(_) if cfg!(not(target_os = "linux")) => Self::Remote,
            Ok(kind) if REMOTE.contains(&kind) => Self::Remote,
            Ok(FAT) => Self::Local { granule: 2 * SECOND },
            // A ctime is never set by hand, so a fraction in it shows that the file system keeps one.
            Ok(_) if ctime % SECOND == 0 => Self::Local { granule: SECOND },
            Ok(_) => Self::Local { granule: 1 },
        }
    }

    /// The present time for [`Self::has_passed`].
    pub(crate) fn now(self) -> i64 {
        now()
    }

    /// Whether every change from the time `at` on gets a later ctime than this one.
    pub(crate) fn has_passed(self, ctime: i64, at: i64) -> bool {
        if is_epoch(ctime) {
            return false;
        }
        match self {
            Self::Remote => ctime < at.saturating_sub(REMOTE_UNCERTAINTY),
            Self::Local { granule } => {
                // A file system may have coarser stamps than a tick, such as exFAT's 10 ms. Only round stamps
                // show that.
                let round = [10_000_000, 1_000, 100].into_iter().find(|round| ctime % round == 0);
                let granule = granule.max(round.unwrap_or(1));
                ctime < at / granule * granule
            }
        }
    }

    /// Waits until every later change gets a later ctime than this one, but no longer than a tick of the file
    /// system. Returns whether that is so now.
    #[must_use]
    pub(crate) fn wait_past(self, ctime: i64) -> bool {
        let Self::Local { granule } = self else { return self.has_passed(ctime, now()) };
        let limit = granule.saturating_add(MAX_TICK);
        let start = Instant::now();
        while !self.has_passed(ctime, now()) {
            let waited = i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX);
            if is_epoch(ctime) || waited > limit || ctime.saturating_sub(now()) > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

/// Whether this is within 2 s of the epoch: on a file system without stamps, or where all times were set to
/// zero, as in some images.
fn is_epoch(ctime: i64) -> bool {
    ctime < 2 * SECOND
}

/// Whether `ctime` is at least `age` ago. A time in the future and the epoch are not.
pub(crate) fn is_older_than(ctime: i64, age: Duration) -> bool {
    !is_epoch(ctime) && i64::try_from(age.as_nanos()).is_ok_and(|age| now().saturating_sub(ctime) >= age)
}

/// Waits for the next tick of the local clock, and returns its time. No change before this call has that time or a
/// later one, and no change after it has an earlier one.
///
/// The kernel also gives stamps between two ticks (since Linux 6.13), so the tick has to be after the real time.
pub(crate) fn next_tick() -> i64 {
    let before = time_of(ClockId::Realtime);
    let start = Instant::now();
    while now() <= before && i64::try_from(start.elapsed().as_nanos()).is_ok_and(|waited| waited < MAX_TICK) {
        std::thread::sleep(Duration::from_millis(1));
    }
    now()
}

/// The time at which a change made at `ctime` is as old as `age`.
pub(crate) fn time_after(ctime: i64, age: Duration) -> i64 {
    ctime.saturating_add(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

/// The time that local file systems use for stamps: the real time at the last tick, in ns.
pub(crate) fn now() -> i64 {
    time_of(STAMPING)
}

fn time_of(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec.saturating_mul(SECOND).saturating_add(now.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Clock = Clock::Local { granule: 1 };
    const NOW: i64 = 1_763_812_000_123_456_789;

    #[test]
    fn a_tick_has_passed_when_the_next_one_has_begun() {
        assert!(LOCAL.has_passed(NOW - 1, NOW));
        assert!(!LOCAL.has_passed(NOW, NOW));
        assert!(!LOCAL.has_passed(NOW + 1, NOW));
    }

    #[test]
    fn round_stamps_count_as_those_of_a_coarser_clock() {
        for round in [100, 1_000, 10_000_000] {
            let stamp = NOW / round * round;
            assert!(stamp < NOW);
            assert!(!LOCAL.has_passed(stamp, NOW), "{round}");
            assert!(LOCAL.has_passed(stamp, stamp + round), "{round}");
        }
        let second = Clock::Local { granule: SECOND };
        let stamp = NOW / SECOND * SECOND;
        assert!(!second.has_passed(stamp, stamp + SECOND - 1));
        assert!(second.has_passed(stamp, stamp + SECOND));
    }

    #[test]
    fn a_remote_clock_may_be_coarse_and_late() {
        assert!(!Clock::Remote.has_passed(NOW - 3 * SECOND, NOW));
        assert!(Clock::Remote.has_passed(NOW - 3 * SECOND - 1, NOW));
    }

    #[test]
    fn stamps_of_the_epoch_are_never_old_enough() {
        for stamp in [0, 1, SECOND, -SECOND] {
            assert!(!LOCAL.has_passed(stamp, NOW), "{stamp}");
            assert!(!LOCAL.wait_past(stamp), "{stamp}");
            assert!(!Clock::Remote.has_passed(stamp, NOW), "{stamp}");
            assert!(!is_older_than(stamp, SETTLE_AFTER), "{stamp}");
        }
    }
}
