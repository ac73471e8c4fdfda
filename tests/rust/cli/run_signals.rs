//! `run`: signals, with real processes at real terminals.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::terminal::{Listener, Terminal, child_of, path, until, until_stopped};
use crate::support::program::{Place, restore_signals};
use crate::support::tree::{indexed, install};

/// The program with a command, in a process group of their own.
fn start(place: &Place, words: &[String]) -> Child {
    start_in(place, words, |_| {})
}

/// The same, with `prepare` applied to the command.
fn start_in(place: &Place, words: &[String], prepare: impl Fn(&mut Command)) -> Child {
    let mut command = place.epcache(["run", "--"]);
    command.args(words).env("PATH", path()).stdin(Stdio::null()).process_group(0);
    prepare(&mut command);
    command.spawn().expect("epcache starts")
}

fn send(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.try_into().expect("a process")), signal).expect("our own child");
}

fn ended(mut child: Child) -> ExitStatus {
    until("the end", || child.try_wait().expect("our own child"))
}

/// The command line that runs a command at a terminal by `epcache run`.
fn by_way_of_us(words: &[String]) -> Vec<String> {
    let ours = [env!("CARGO_BIN_EXE_epcache"), "run", "--"];
    ours.iter().map(|&word| word.to_owned()).chain(words.iter().cloned()).collect()
}

#[test]
fn termination_signals_are_forwarded_and_keyboard_signals_are_not() {
    let place = Place::new();
    let (listener, words) = Listener::new(&place, "received", &[]);
    let child = start(&place, &words);
    listener.ready();
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTERM] {
        send(child.id(), signal);
        // Two pending signals of one kind would be merged.
        std::thread::sleep(Duration::from_millis(60));
    }
    listener.waits_for(&[15, 1, 15]);
    listener.end();
    assert_eq!(ended(child).code(), Some(7));
    assert_eq!(listener.received(), [15, 1, 15]);
}

#[test]
fn an_interrupt_of_the_group_reaches_the_command_once_and_the_index_is_refreshed() {
    let place = Place::new();
    let site = place.directory("venv/lib/python3.13/site-packages");
    install(&site, "foo");
    for (kept, status) in [(&[][..], 7), (&[2], 130)] {
        let (listener, words) = Listener::new(&place, &format!("received{status}"), kept);
        let child = start_in(&place, &words, |command| {
            command.env("VIRTUAL_ENV", place.path().join("venv"));
        });
        listener.ready();
        killpg(Pid::from_raw(child.id().try_into().expect("a process")), Signal::SIGINT).expect("our group");
        if kept.is_empty() {
            listener.waits_for(&[2]);
            listener.end();
        }
        assert_eq!(ended(child).code(), Some(status));
        assert_eq!(indexed(&site.join(".epcache/index")), ["foo-1.dist-info"]);
        std::fs::remove_dir_all(site.join(".epcache")).expect("our own directory");
    }
}

#[test]
fn signals_that_the_caller_ignores_are_not_forwarded_and_stay_ignored() {
    let place = Place::new();
    let (listener, mut words) = Listener::new(&place, "received", &[1, 15]);
    words.splice(
        0..0,
        ["env", "--ignore-signal=HUP,TERM", env!("CARGO_BIN_EXE_epcache"), "run", "--"].map(str::to_owned),
    );
    let child = Command::new(&words[0])
        .args(&words[1..])
        .env("PATH", path())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("env of coreutils");
    let (command, _) = listener.ready();
    for signal in [Signal::SIGHUP, Signal::SIGTERM] {
        send(child.id(), signal);
        kill(Pid::from_raw(command), signal).expect("our own process");
    }
    kill(Pid::from_raw(command), Signal::SIGUSR1).expect("our own process");
    listener.waits_for(&[Signal::SIGUSR1 as i32]);
    listener.end();
    assert_eq!(ended(child).code(), Some(7));
}

#[test]
fn a_command_that_ignores_a_signal_goes_on_and_one_that_does_not_ends_by_it() {
    let place = Place::new();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let (ignoring, dying) = (signal as i32, format!("dying{signal}"));
        let mut shell: Vec<String> = ["sh", "-c"].map(str::to_owned).into();
        shell.push(format!(
            "trap '' {ignoring}; touch {}/{signal}; sleep 0.4; exit 9",
            place.path().display()
        ));
        let child = start(&place, &shell);
        until("a command", || File::open(place.path().join(signal.as_str())).ok());
        send(child.id(), signal);
        assert_eq!(ended(child).code(), Some(9), "{signal}");
        let (listener, words) = Listener::new(&place, &dying, &[signal as i32]);
        let child = start(&place, &words);
        listener.ready();
        send(child.id(), signal);
        assert_eq!(ended(child).code(), Some(128 + signal as i32), "{signal}");
    }
}

#[test]
fn a_signal_that_comes_at_the_very_start_is_not_lost() {
    let place = Place::new();
    for delay in 0..40 {
        let words = ["sleep", "20"].map(str::to_owned);
        let child = start(&place, &words);
        std::thread::sleep(Duration::from_micros(delay * 150));
        send(child.id(), Signal::SIGTERM);
        // It ends epcache before the command was started, or the command afterwards. No process of the group
        // remains.
        let group = Pid::from_raw(child.id().try_into().expect("a process"));
        let status = ended(child);
        let number = Signal::SIGTERM as i32;
        assert!(
            status.signal() == Some(number) || status.code() == Some(128 + number),
            "{delay}: {status:?}"
        );
        until("an empty group", || killpg(group, None).is_err().then_some(()));
    }
}

#[test]
fn keyboard_signals_reach_the_command_once_with_or_without_session_leadership() {
    let place = Place::new();
    for leads in [true, false] {
        let (listener, words) = Listener::new(&place, &format!("received{leads}"), &[]);
        let mut words = by_way_of_us(&words);
        if !leads {
            let shell = ["sh", "-c", "trap : INT QUIT; \"$@\"; exit $?", "sh"].map(str::to_owned);
            words.splice(0..0, shell);
        }
        let terminal = Terminal::run(&place, &words);
        let (_, group) = listener.ready();
        assert_eq!(group, i32::try_from(terminal.leader()).expect("a process"), "one group for all");
        let mut expected = Vec::new();
        for (key, signal) in [("\x03", 2), ("\x1c", 3), ("\x03", 2)] {
            terminal.types(key);
            expected.push(signal);
            listener.waits_for(&expected);
        }
        listener.end();
        assert_eq!(terminal.ends().code(), Some(7));
        assert_eq!(listener.received(), expected);
    }
}

#[test]
fn a_terminal_hangup_reaches_the_command_even_if_only_epcache_is_signalled() {
    let place = Place::new();
    let (listener, words) = Listener::new(&place, "received", &[]);
    let terminal = Terminal::run(&place, &by_way_of_us(&words));
    listener.ready();
    terminal.hangs_up();
    // SIGCONT is sent along with it; the command needs it only when it is stopped.
    listener.waits_for(&[Signal::SIGHUP as i32]);
    listener.end();
}

/// A terminal with an interactive shell, in which a command was typed.
fn typed_at_a_shell(place: &Place, words: &[String]) -> Terminal {
    let shell = ["bash", "--norc", "--noprofile", "-i"].map(str::to_owned);
    let terminal = Terminal::run(place, &shell);
    terminal.shows("prompt> ");
    terminal.types(&format!("{}\n", words.join(" ")));
    terminal
}

#[test]
fn job_control_stops_and_continues_the_whole_job() {
    let place = Place::new();
    let (listener, words) = Listener::new(&place, "received", &[18, 20]);
    let terminal = typed_at_a_shell(&place, &by_way_of_us(&words));
    let (command, group) = listener.ready();
    for _ in 0..3 {
        terminal.types("\x1a");
        terminal.shows("Stopped");
        terminal.shows("prompt> ");
        until_stopped(command, true);
        until_stopped(group, true);
        terminal.types("fg\n");
        until_stopped(command, false);
        until_stopped(group, false);
    }
    terminal.types("\x1a");
    terminal.shows("prompt> ");
    terminal.types("bg\n");
    until_stopped(command, false);
    until_stopped(group, false);
    terminal.shows("prompt> ");
    terminal.types("fg\n");
    std::thread::sleep(Duration::from_millis(100));
    terminal.types("\x03");
    listener.waits_for(&[2]);
    listener.end();
    terminal.shows("prompt> ");
    terminal.types("echo status=$?\n");
    terminal.shows("status=7");
    terminal.types("exit\n");
    terminal.ends();
}

#[test]
fn as_pid_1_of_a_container_signals_are_forwarded_and_the_process_ends() {
    if crate::support::program::skipped_without_root("make a container") {
        return;
    }
    let place = Place::new();
    let in_container = |words: &[String]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).args(by_way_of_us(words));
        command.env("PATH", path()).env("HOME", place.path()).current_dir(place.path());
        restore_signals(&mut command);
        command.stdin(Stdio::null()).spawn().expect("unshare of util-linux")
    };
    let probe = ["true"].map(str::to_owned);
    if !ended(in_container(&probe)).success() {
        eprintln!("skipped: no right to make a container");
        return;
    }
    let (listener, words) = Listener::new(&place, "received", &[9]);
    let container = in_container(&words);
    listener.ready();
    let first = child_of(container.id());
    // With the default disposition, the kernel drops these for the first process.
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        kill(Pid::from_raw(first), signal).expect("our own process");
        until("the signal", || listener.received().contains(&(signal as i32)).then_some(()));
    }
    listener.end();
    assert_eq!(ended(container).code(), Some(7));
    let dying = ["sh", "-c", "kill -TERM $$"].map(str::to_owned);
    assert_eq!(ended(in_container(&dying)).code(), Some(128 + 15));
}

#[test]
fn keyboard_signals_stay_ignored_in_the_background_of_a_script() {
    let place = Place::new();
    let (listener, mut words) = Listener::new(&place, "received", &[2, 3]);
    // Python would install a handler of its own.
    words.splice(0..0, ["env".to_owned(), "--ignore-signal=INT,QUIT".to_owned()]);
    let script = format!("{} & echo $! >pid; wait $!; exit $?", by_way_of_us(&words).join(" "));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .env("PATH", path())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .process_group(0);
    restore_signals(&mut shell);
    let child = shell.spawn().expect("a shell");
    listener.ready();
    let ours: i32 = child_of(child.id());
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        kill(Pid::from_raw(ours), signal).expect("our own process");
    }
    kill(Pid::from_raw(ours), Signal::SIGTERM).expect("our own process");
    listener.waits_for(&[Signal::SIGTERM as i32]);
    listener.end();
    assert_eq!(ended(child).code(), Some(7));
}
