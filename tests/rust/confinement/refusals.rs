//! Which system calls the filter refuses while the program works: none that has no explanation here.
//!
//! Every command runs under strace, which shows the answers of the filter, and with errors of the kernel
//! that strace injects.
#![allow(unsafe_code, clippy::exit)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use epcache::command::needs;
use epcache::privilege::sandbox::Needs;
use epcache::privilege::{RunAs, child};
use epcache::sys::account::User;
use serde::{Deserialize, Serialize};

use super::kernel::has_everything;
use crate::support::program::{Place, UNTRUSTED_UID, give_away, skipped_without_root};
use crate::support::tree::{Tree, everything_below, install, text};

/// The calls that are refused, their errors, and the reason.
const EXPLAINED: [(&str, &str, &str); 2] = [
    ("openat2", "ENOSYS", "for root, since the filter does not see the mode; openat does it then"),
    (
        "clone3",
        "ENOSYS",
        "where an interpreter is started, since the filter does not see the flags; clone does",
    ),
];

/// Runs a command in the tree `$1`, with the programs of this system, and the directory `$2` in its place.
const INSIDE: &str = r#"set -e; root=$1; place=$2; shift 2; cd "$root"
for name in usr bin lib lib64 dev proc; do
    [ -d /$name ] || continue
    mkdir -p $name; mount --rbind /$name $name; mount -o remount,bind,ro $name
done
mount -t tmpfs none usr/local; mount --bind packages usr/lib/python3
mkdir -p ".$place"; mount --bind "$place" ".$place"; exec chroot . "$@""#;

const VARIABLE: &str = "EPCACHE_TEST_REFUSALS";

/// What a job does, in place of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Job {
    /// Uses much memory, the clocks and random numbers, and prints.
    Computes,
    Panics,
    Aborts,
    OverflowsItsStack,
    /// Something that is refused, which the trace must show.
    LeavesItsGroup,
}

#[used]
// SAFETY: what is called needs nothing that is only there in `main`.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = begin;

extern "C" fn begin() {
    let Some(job) = std::env::var_os(VARIABLE) else { return };
    let job: Job = serde_json::from_str(job.to_str().expect("UTF-8")).expect("JSON");
    let user = RunAs::User(User { uid: UNTRUSTED_UID, gid: UNTRUSTED_UID });
    let _ = child::run(user, &needs::confinement(Needs::default(), true), || act(job));
    std::process::exit(0);
}

fn act(job: Job) -> usize {
    match job {
        Job::Computes => {
            let mut bytes = Vec::new();
            (0..100_u8).for_each(|byte| bytes.resize(bytes.len() + (1 << 20), byte));
            bytes.truncate(1 << 20);
            bytes.shrink_to_fit();
            std::thread::sleep(Duration::from_millis(1));
            let numbers: std::collections::HashSet<u8> = bytes.iter().copied().collect();
            eprintln!("{:?} {:?}", std::time::SystemTime::now(), std::time::Instant::now());
            numbers.len() + std::env::current_dir().map_or(0, |path| path.as_os_str().len())
        }
        Job::Panics => panic!("on purpose"),
        Job::Aborts => std::process::abort(),
        Job::OverflowsItsStack => descend(1),
        Job::LeavesItsGroup => {
            // SAFETY: refused.
            let refused = unsafe { libc::setpgid(0, 0) };
            usize::from(refused == -1)
        }
    }
}

#[allow(unconditional_recursion)]
fn descend(depth: usize) -> usize {
    let room = std::hint::black_box([depth; 1000]);
    descend(depth + room[500]) + std::hint::black_box(room)[depth % 1000]
}

/// Runs commands under strace.
struct Tracer {
    place: Place,
    /// By the beginning of the call, an example.
    refused: BTreeMap<String, String>,
    /// Commands without a confined process, or without the fault in it.
    unmet: Vec<String>,
    runs: usize,
}

impl Tracer {
    fn new() -> Self {
        let place = Place::new();
        let traces = place.directory("traces");
        fs::set_permissions(&traces, fs::Permissions::from_mode(0o1777)).expect("our own directory");
        Self { place, refused: BTreeMap::new(), unmet: Vec::new(), runs: 0 }
    }

    /// Runs a command, with faults as strace injects them, and what it reads from standard input.
    fn run_with(&mut self, command: &Command, faults: &[&str], input: &[u8]) {
        self.trace(Command::new("strace"), command, faults, input);
    }

    /// The same in another system.
    fn run_inside(&mut self, tree: &Tree, command: &Command, faults: &[&str], input: &[u8]) {
        let mut inside = Command::new("unshare");
        inside.args([
            "--mount",
            "sh",
            "-c",
            INSIDE,
            "sh",
            text(&tree.root),
            text(self.place.path()),
            "strace",
        ]);
        self.trace(inside, command, faults, input);
    }

    /// `traced` begins a command line with strace.
    fn trace(&mut self, mut traced: Command, command: &Command, faults: &[&str], input: &[u8]) {
        self.runs += 1;
        let file = self.place.path().join(format!("traces/{}", self.runs));
        traced.args(["-f", "-qq", "-s", "80", "-e", "signal=none", "-o"]).arg(&file);
        for fault in faults {
            traced.args(["-e", &format!("inject={fault}")]);
        }
        traced.arg("--").arg(command.get_program()).args(command.get_args()).env_clear().current_dir("/");
        traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let given = self.place.path().join("input");
        fs::write(&given, input).expect("room");
        traced.stdin(fs::File::open(&given).expect("a file")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = traced.output().expect("strace is installed");
        let trace = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        self.read(&trace, command, faults);
    }

    fn run(&mut self, command: &Command) {
        self.run_with(command, &[], b"");
    }

    fn read(&mut self, trace: &str, command: &Command, faults: &[&str]) {
        let mut filtered = BTreeSet::new();
        let mut injected = 0;
        for line in trace.lines() {
            let Some((process, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if call.contains("SECCOMP_SET_MODE_FILTER") && call.ends_with("= 0") {
                filtered.insert(process);
            }
            injected += usize::from(filtered.contains(process) && call.ends_with("(INJECTED)"));
            let answer = |error: &str| call.contains(&format!("= -1 {error} "));
            let refused = answer("EPERM") || answer("ENOSYS");
            if !filtered.contains(process) || !refused || call.ends_with("(INJECTED)") {
                continue;
            }
            let is_explained = |(name, error, _): &(&str, &str, &str)| {
                (call.starts_with(&format!("{name}(")) || call.contains(&format!("... {name} resumed")))
                    && answer(error)
            };
            if !EXPLAINED.iter().any(is_explained) {
                let kind = call.split([',', ')']).next().unwrap_or(call).to_owned();
                self.refused.entry(kind).or_insert_with(|| format!("{call}, {command:?}, {faults:?}"));
            }
        }
        let happened = !filtered.is_empty() && (faults.is_empty() || injected > 0);
        if !happened {
            self.unmet.push(format!("{faults:?}, {command:?}"));
        }
    }
}

fn job(job: Job) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(VARIABLE, serde_json::to_string(&job).expect("JSON"));
    command
}

/// Errors of calls that only the confined process makes.
const FAULTS: [&str; 6] = [
    "renameat,renameat2,rename:error=ENOSPC",
    "renameat,renameat2,rename:error=EACCES",
    "unlinkat,unlink,renameat,renameat2,rename:error=EROFS",
    "fchmod:error=EIO",
    "flock:error=ENOMEM",
    "write:error=ENOSPC",
];

#[test]
fn nothing_that_the_program_needs_is_refused() {
    if skipped_without_root("give privileges up") || !has_everything() {
        return;
    }
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let mut tracer = Tracer::new();
    let place = Place::new();
    let tree = Tree::new(&place);
    tree.configure("trigger-timeout = 12\n");
    hostile(&tree.site);
    let environments = [0, UNTRUSTED_UID].map(|owner| environment(&place, owner));

    for command in [
        place.epcache(["refresh", "--system", "--root", text(&tree.root)]),
        trigger(&place, &tree, "dpkg"),
        place.epcache(["status", "--sandbox"]),
        place.epcache(["status", "--all", "--json", "--root", text(&tree.root)]),
        place.epcache(["list", "--system", "--root", text(&tree.root)]),
        place.epcache(["verify", "--system", "--root", text(&tree.root)]),
        place.epcache(["refresh", "--python", "/usr/bin/python3", "--dry-run"]),
    ] {
        tracer.run(&command);
    }
    for site in &environments {
        for words in [
            &["refresh", "--dry-run"][..],
            &["refresh", "--full", "--json"],
            &["refresh", "--seal"],
            &["list", "--json"],
            &["list", "--group", "g"],
            &["status"],
            &["verify"],
            &["enable", "--accelerate"],
            &["enable", "--pip-hook"],
            &["status", "--json"],
            &["disable"],
        ] {
            let of_site = if words[0] == "list" { vec!["--site", text(site)] } else { vec![text(site)] };
            tracer.run(&place.epcache(words.iter().chain(&of_site)));
        }
        tracer.run(&place.epcache(["run", "--verbose", text(site), "--", "/bin/true"]));
        for fault in FAULTS {
            install(site, &format!("new{}", tracer.runs));
            tracer.run_with(&place.epcache(["refresh", text(site)]), &[fault], b"");
        }
    }
    // rpm's trigger works on the running system. This is the list that rpm gives it.
    let packages = tree.root.join("packages/dist-packages");
    fs::create_dir_all(&packages).expect("room");
    hostile(&packages);
    let program = tracer.place.path().join("epcache");
    fs::copy(env!("CARGO_BIN_EXE_epcache"), &program).expect("room");
    let mut rpm = Command::new(program);
    rpm.args(["trigger", "rpm"]);
    let changed = b"/usr/lib/python3/dist-packages/foo-1.dist-info/METADATA\n";
    tracer.run_inside(&tree, &rpm, &[], b"");
    tracer.run_inside(&tree, &rpm, &[], changed);
    for fault in FAULTS {
        install(&packages, &format!("new{}", tracer.runs));
        tracer.run_inside(&tree, &rpm, &[fault], changed);
    }
    // A lock that is held.
    install(&tree.site, "another");
    tracer.run_with(&trigger(&place, &tree, "dpkg"), &["flock:error=EAGAIN"], b"");
    // An index directory that can't be written to, and then a site directory that is gone.
    let directory = tree.index.parent().expect("a path");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o500)).expect("root may");
    install(&tree.site, "yet-another");
    tracer.run(&trigger(&place, &tree, "dpkg"));
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("root may");
    fs::remove_dir_all(&tree.site).expect("ours");
    tracer.run(&trigger(&place, &tree, "dpkg"));
    // A caller who is not root.
    let uid = UNTRUSTED_UID.to_string();
    let own = text(&environments[1]);
    for words in [&["refresh", own][..], &["list", "--site", own], &["disable", own], &["verify", own]] {
        let program = place.epcache_as_untrusted_user(words);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &*uid, "--regid", &*uid, "--clear-groups"]);
        command.arg(program.get_program()).args(program.get_args());
        command.env("HOME", place.directory("home")).env("PATH", "/usr/bin:/bin");
        tracer.run(&command);
    }
    for what in [Job::Computes, Job::Panics, Job::Aborts, Job::OverflowsItsStack] {
        tracer.run(&job(what));
    }

    assert!(tracer.refused.is_empty(), "{:#?}", tracer.refused);
    assert!(tracer.unmet.is_empty(), "{:#?}", tracer.unmet);
    // A test that sees nothing would always succeed.
    tracer.run(&job(Job::LeavesItsGroup));
    assert!(tracer.refused.contains_key("setpgid(0"), "{:?}", tracer.refused);
}

fn trigger(place: &Place, tree: &Tree, manager: &str) -> Command {
    let mut command = place.epcache(["trigger", manager, "--json"]);
    command.env("DPKG_ROOT", &tree.root);
    command
}

/// A site directory with distributions of all kinds.
fn hostile(site: &Path) {
    install(site, "foo");
    for (name, kind) in [("fifo", 0), ("link", 1), ("directory", 2), ("huge", 3), ("none", 4)] {
        let metadata = install(site, name).join("METADATA");
        fs::remove_file(&metadata).expect("ours");
        match kind {
            0 => nix::unistd::mkfifo(&metadata, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO"),
            1 => symlink("/etc/shadow", &metadata).expect("a link"),
            2 => fs::create_dir(&metadata).expect("a directory"),
            3 => fs::File::create(&metadata).and_then(|file| file.set_len(1 << 30)).expect("a sparse file"),
            _ => {}
        }
    }
    let unreadable = install(site, "unreadable").join("METADATA");
    fs::set_permissions(unreadable, fs::Permissions::from_mode(0o000)).expect("ours");
    fs::write(site.join("egg.egg-link"), "/somewhere\n").expect("room");
    fs::create_dir_all(site.join("egg.egg/EGG-INFO")).expect("a directory");
    fs::write(site.join("egg.egg/EGG-INFO/PKG-INFO"), "Name: egg\nVersion: 1\n").expect("room");
    fs::write(site.join("old.egg-info"), "Name: old\nVersion: 1\n").expect("room");
}

/// The site directory of an environment.
fn environment(place: &Place, owner: u32) -> PathBuf {
    let prefix = place.directory(&format!("of-{owner}"));
    let site = place.directory(&format!("of-{owner}/lib/python3.13/site-packages"));
    fs::create_dir_all(prefix.join("lib/python3.13/lib-dynload")).expect("room");
    fs::write(prefix.join("pyvenv.cfg"), "home = /usr/bin\nversion = 3.13\n").expect("room");
    hostile(&site);
    if owner != 0 {
        everything_below(&prefix).into_keys().for_each(|path| give_away(&path));
    }
    site
}
