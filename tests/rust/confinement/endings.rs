//! Processes that do not end as they should, and what the one that waits for them makes of it.
//!
//! As in `taken_over`, this very program is started again and acts before `main`, in a single thread.
#![allow(unsafe_code, clippy::exit)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use epcache::command::needs;
use epcache::privilege::sandbox::{Confinement, Needs};
use epcache::privilege::{RunAs, child};
use epcache::sys::account::User;
use epcache::sys::message;
use nix::sys::signal::Signal;
use nix::unistd::ForkResult;
use serde::{Deserialize, Serialize};

use super::mask::Mask;
use crate::support::program::{UNTRUSTED_UID, skipped_without_root};

const VARIABLE: &str = "EPCACHE_TEST_ENDING";
/// A number that no descriptor gets by itself.
const INHERITED: i32 = 60;

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    /// Nothing special: it sends the numbers of its descriptors.
    Usual,
    Sleeps,
    Stops,
    /// Closes the socket for the answer, and sleeps.
    Closes,
    /// Sends its answer, and leaves a process that has the socket open.
    LeavesAnother,
    /// Ends without an answer, and leaves such a process.
    Dies,
    Panics,
    SendsTooMuch,
    /// Texts that are empty, and take eight times as much memory as in the answer.
    SendsTooMany,
    /// As many as are accepted, and one text that takes the rest of the longest answer.
    SendsMost,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    answer: Result<String, String>,
    took: Duration,
    /// The most memory that this process has had, in MiB.
    memory: usize,
}

#[used]
// SAFETY: what is called needs nothing that is only there in `main`.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = begin;

extern "C" fn begin() {
    let Some(work) = std::env::var_os(VARIABLE) else { return };
    let (mask, ending): (Mask, Ending) = serde_json::from_str(work.to_str().expect("UTF-8")).expect("JSON");
    mask.put_on().expect("root may");
    // SAFETY: nothing else has that number.
    assert_eq!(unsafe { libc::dup2(1, INHERITED) }, INHERITED);
    let user = RunAs::User(User { uid: UNTRUSTED_UID, gid: UNTRUSTED_UID });
    let waits = matches!(ending, Ending::Sleeps | Ending::Stops | Ending::Closes);
    let time_limit = Duration::from_secs(if waits { 1 } else { 120 });
    let confinement = Confinement { time_limit, ..needs::confinement(Needs::default(), false) };
    // As in a trigger, which does not end as its child does.
    message::on_panic(|| std::process::exit(9));
    let start = Instant::now();
    let answer = match ending {
        Ending::SendsTooMany => count(child::run(user, &confinement, || vec![String::new(); 10_000_000])),
        Ending::SendsMost => count(child::run(user, &confinement, || {
            let mut texts = vec![String::new(); 1_990_000];
            texts[0] = "x".repeat(55 << 20);
            texts
        })),
        _ => child::run(user, &confinement, || act(ending)),
    };
    let answer = answer.map_err(|error| error.to_string());
    let outcome = Outcome { answer, took: start.elapsed(), memory: memory() };
    println!("{}", serde_json::to_string(&outcome).expect("JSON"));
    std::process::exit(0);
}

fn count(answer: epcache::error::Result<Vec<String>>) -> epcache::error::Result<String> {
    answer.map(|texts| texts.len().to_string())
}

fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("our own");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
    peak.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") >> 10
}

fn act(ending: Ending) -> String {
    let sleep = || std::thread::sleep(Duration::from_secs(60));
    match ending {
        Ending::Usual => {
            let open: Vec<i32> = (0..100).filter(|number| is_open(*number)).collect();
            return format!("{open:?}");
        }
        Ending::Sleeps => sleep(),
        Ending::Stops => nix::sys::signal::raise(Signal::SIGSTOP).expect("a signal"),
        Ending::Closes => {
            close(3..100);
            sleep();
        }
        Ending::LeavesAnother => leave_another(),
        Ending::Dies => {
            leave_another();
            // SAFETY: only ends the process.
            unsafe { libc::_exit(7) }
        }
        Ending::Panics => panic!("as by a mistake"),
        Ending::SendsTooMuch => return "x".repeat(65 << 20),
        Ending::SendsTooMany | Ending::SendsMost => {}
    }
    "done".to_owned()
}

fn is_open(number: i32) -> bool {
    // SAFETY: changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

fn close(numbers: std::ops::Range<i32>) {
    for number in numbers {
        // SAFETY: the process only sleeps from now on.
        let _ = unsafe { libc::close(number) };
    }
}

/// Leaves a process that has everything open but the standard three, for which the test would wait.
fn leave_another() {
    // SAFETY: this process has a single thread.
    if let Ok(ForkResult::Child) = unsafe { nix::unistd::fork() } {
        close(0..3);
        std::thread::sleep(Duration::from_secs(5));
        // SAFETY: only ends the process.
        unsafe { libc::_exit(0) }
    }
}

fn start(mask: Mask, ending: Ending) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env_clear().env(VARIABLE, serde_json::to_string(&(mask, ending)).expect("JSON"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("this program starts")
}

#[test]
fn waiting_for_a_child_ends_at_the_deadline() {
    if skipped_without_root("give privileges up") {
        return;
    }
    let too_late = "the unprivileged process did not end within 1 s, and was killed";
    let expected = [
        (Ending::Usual, Ok("[0, 1, 2, 4]")),
        (Ending::Sleeps, Err(too_late)),
        (Ending::Stops, Err(too_late)),
        (Ending::Closes, Err(too_late)),
        (Ending::LeavesAnother, Ok("done")),
        (Ending::Dies, Err("the unprivileged process ended without an answer (exit status 7)")),
        (Ending::Panics, Err("the unprivileged process failed: internal error")),
        (
            Ending::SendsTooMuch,
            Err("the unprivileged process sent an answer that can't be read: it has more than 64 MiB"),
        ),
        (Ending::SendsTooMany, Err("the unprivileged process sent an answer of more than 2000000 values")),
        (Ending::SendsMost, Ok("1990000")),
    ];
    // All at once, since most of them wait.
    let cases: Vec<_> = [Mask::Both, Mask::Old]
        .into_iter()
        .flat_map(|mask| expected.map(|(ending, expected)| (mask, ending, expected, start(mask, ending))))
        .collect();
    for (mask, ending, expected, child) in cases {
        let output = child.wait_with_output().expect("our own child");
        let outcome: Outcome = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{ending:?}, {mask:?}: {error}: {output:?}"));
        let answer = outcome.answer.as_deref().map_err(String::as_str);
        assert_eq!(answer, expected, "{ending:?}, {mask:?}");
        // Three times the longest answer.
        assert!(outcome.memory < 3 * 64, "{ending:?}, {mask:?}: {} MiB", outcome.memory);
        if !matches!(ending, Ending::SendsTooMuch | Ending::SendsTooMany | Ending::SendsMost) {
            assert!(outcome.took < Duration::from_secs(4), "{ending:?}, {mask:?}: {:?}", outcome.took);
        }
    }
}
