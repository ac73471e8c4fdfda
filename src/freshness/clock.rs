//! Waiting until recorded stamps can't be repeated.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long an installer may need between creating a distribution's directory and filling it.
///
/// The guard of mlocate and plocate: FAT's 2 s and a second of clock skew.
pub const SETTLE_AFTER: Duration = Duration::from_secs(3);

/// The same where something is still missing that it may bring: the metadata, or what it writes last.
pub const UNFINISHED_AFTER: Duration = Duration::from_secs(60);

/// The longest wait for a tick of a local file system with fine stamps: a kernel's tick is 10 ms at most.
const TICK: i64 = 20_000_000;

const SECOND: i64 = 1_000_000_000;

/// How the clock works that stamps the files of one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The kernel's own, as it stands at its last tick; stamps are multiples of this many ns.
    Local {
        /// 1, or a whole number of seconds.
        granule: i64,
    },
    /// That of another machine, or of a program: nothing is known but that it is roughly right.
    Remote,
}

impl Clock {
    /// The clock of the file system that `directory` is on, given the ctime of that directory.
    #[must_use]
    pub fn of(directory: BorrowedFd<'_>, ctime: i64) -> Self {
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
            Ok(kind) if REMOTE.contains(&kind) => Self::Remote,
            Ok(FAT) => Self::Local { granule: 2 * SECOND },
            // A ctime is never set by hand, so a fraction in it shows that the file system keeps one.
            Ok(_) if ctime % SECOND == 0 => Self::Local { granule: SECOND },
            Ok(_) => Self::Local { granule: 1 },
        }
    }

    /// The time that local file systems stamp with, for [`Self::has_passed`].
    #[must_use]
    pub fn now(self) -> i64 {
        now()
    }

    /// Whether every change from the moment `at` on gets a later ctime than this one.
    #[must_use]
    pub fn has_passed(self, ctime: i64, at: i64) -> bool {
        if is_epoch(ctime) {
            return false;
        }
        match self {
            Self::Remote => ctime < at.saturating_sub(3 * SECOND),
            Self::Local { granule } => {
                // Of a file system with coarser stamps than a tick, such as exFAT's 10 ms, nothing
                // shows but that the stamps are round.
                let round = [10_000_000, 1_000, 100].into_iter().find(|round| ctime % round == 0);
                let granule = granule.max(round.unwrap_or(1));
                ctime < at / granule * granule
            }
        }
    }

    /// Waits until every later change gets a later ctime than this one, where that can be expected
    /// within a tick of the file system; says whether it does.
    #[must_use]
    pub fn wait_past(self, ctime: i64) -> bool {
        let Self::Local { granule } = self else { return self.has_passed(ctime, now()) };
        let limit = granule.saturating_add(TICK);
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

/// Whether this is no time at all: what a file system without stamps shows, and images in which all
/// times were set to the beginning.
#[must_use]
pub fn is_epoch(ctime: i64) -> bool {
    ctime < 2 * SECOND
}

/// Whether `ctime` is at least `age` ago. A time in the future is not, and what is no time is not.
#[must_use]
pub fn is_older_than(ctime: i64, age: Duration) -> bool {
    !is_epoch(ctime) && i64::try_from(age.as_nanos()).is_ok_and(|age| now().saturating_sub(ctime) >= age)
}

/// The time that local file systems stamp with: the real time at the last tick, in ns.
pub fn now() -> i64 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    now.tv_sec.saturating_mul(SECOND).saturating_add(now.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Clock = Clock::Local { granule: 1 };
    const NOW: i64 = 1_763_812_000_123_456_789;

    #[test]
    fn a_tick_is_over_when_its_successor_has_begun() {
        assert!(LOCAL.has_passed(NOW - 1, NOW));
        assert!(!LOCAL.has_passed(NOW, NOW));
        assert!(!LOCAL.has_passed(NOW + 1, NOW));
    }

    #[test]
    fn round_stamps_are_those_of_a_coarser_clock() {
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
    fn a_clock_of_which_nothing_is_known_may_be_coarse_and_late() {
        assert!(!Clock::Remote.has_passed(NOW - 3 * SECOND, NOW));
        assert!(Clock::Remote.has_passed(NOW - 3 * SECOND - 1, NOW));
    }

    #[test]
    fn the_beginning_of_time_never_passes() {
        for stamp in [0, 1, SECOND, -SECOND] {
            assert!(!LOCAL.has_passed(stamp, NOW), "{stamp}");
            assert!(!LOCAL.wait_past(stamp), "{stamp}");
            assert!(!Clock::Remote.has_passed(stamp, NOW), "{stamp}");
            assert!(!is_older_than(stamp, SETTLE_AFTER), "{stamp}");
        }
    }
}
