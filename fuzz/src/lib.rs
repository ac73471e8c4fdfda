//! Shared by the targets: a limit for the memory that a parser may use, the text in any bytes, and an
//! index in which parsed values must be found again.

use std::alloc::System;
use std::borrow::Cow;
use std::sync::Once;

use cap::Cap;
use epcache::freshness::Stamp;
use epcache::index::{Index, parse, render};
use epcache::metadata::{Contents, Distribution, Identity, Stamps, TopLevel};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Runs `job` with at most `limit` bytes more than are in use. Exceeding it ends the process, which
/// libFuzzer reports as a crash.
pub fn within<T>(limit: usize, job: impl FnOnce() -> T) -> T {
    static TO_TELL: Once = Once::new();
    // To report a panic takes memory as well.
    TO_TELL.call_once(|| {
        let report_panic = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            set(usize::MAX);
            report_panic(panic);
        }));
    });
    set(HEAP.allocated() + limit);
    let result = job();
    set(usize::MAX);
    result
}

fn set(limit: usize) {
    HEAP.set_limit(limit).expect("no other thread takes memory");
}

/// The longest prefix of `bytes` that is UTF-8.
#[must_use]
pub fn text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// A distribution of which only the stamps are known.
#[must_use]
pub fn unknown_distribution() -> Distribution<'static> {
    let stamp = Stamp { mtime: 1, ctime: 2, inode: 3, size: 4 };
    Distribution {
        file_name: Cow::Borrowed(b"foo-1.dist-info"),
        position: 0,
        key: Some("foo".into()),
        identity: Some(Identity::default()),
        requirements: Some("".into()),
        entry_points: Some(Vec::new()),
        configparser_differs: false,
        top_level: TopLevel::NONE,
        stamps: Stamps { itself: stamp, metadata: None, entry_points: None, top_level: None, files: None },
        contents: Contents::default(),
        settled: true,
    }
}

/// Panics unless a reader of an index finds `distribution` as it is.
pub fn must_fit_an_index(distribution: Distribution<'_>) {
    let index = Index {
        site: distribution.stamps.itself,
        settled: true,
        distributions: vec![distribution.into()],
        without: Vec::new(),
        seal: None,
    };
    let bytes = render(&index);
    assert_eq!(parse(&bytes).as_ref(), Ok(&index));
}
