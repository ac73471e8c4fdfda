//! Waiting until recorded stamps can't be repeated.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long an installer may need between creating a distribution's directory and filling it.
///
/// The guard of mlocate and plocate: FAT's 2 s and a second of clock skew.
pub const INSTALLING: Duration = Duration::from_secs(3);

/// The same where there is no metadata file yet.
pub const INSTALLING_WITHOUT_METADATA: Duration = Duration::from_secs(60);

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

    /// Every change from now on gets this ctime or a later one, in ns.
    #[must_use]
    pub fn horizon(self) -> i64 {
        match self {
            Self::Local { granule } => now() / granule * granule,
            Self::Remote => now().saturating_sub(3 * SECOND),
        }
    }

    /// Waits until the horizon lies behind `ctime`, where that can be expected within a tick of the
    /// file system; says whether it does.
    #[must_use]
    pub fn wait_past(self, ctime: i64) -> bool {
        let Self::Local { granule } = self else { return ctime < self.horizon() };
        let limit = granule.saturating_add(TICK);
        let mut waited = 0;
        while ctime >= self.horizon() {
            if waited > limit || ctime.saturating_sub(now()) > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
            waited += 1_000_000;
        }
        true
    }
}

/// Whether `ctime` is at least `age` ago. A time in the future is not.
#[must_use]
pub fn is_older_than(ctime: i64, age: Duration) -> bool {
    i64::try_from(age.as_nanos()).is_ok_and(|age| now().saturating_sub(ctime) >= age)
}

/// The time that local file systems stamp with: the real time at the last tick, in ns.
pub(super) fn now() -> i64 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    now.tv_sec.saturating_mul(SECOND).saturating_add(now.tv_nsec)
}
