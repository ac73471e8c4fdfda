//! The privileges of a worker process, seen from outside.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::fs::FlockOperation;

use crate::support::program::{Place, UNTRUSTED_UID, give_away, run, skipped_without_root, wait};
use crate::support::tree::{CACHE_USER, Tree, everything_below, install};

/// The group `nogroup` of the kernel, to which no files belong.
const NOGROUP: u32 = 65534;

/// The `/proc` directory of the worker, which waits for the lock meanwhile.
pub fn at_work(child: &mut Child) -> PathBuf {
    let start = Instant::now();
    loop {
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        if let Some(worker) = children.split_whitespace().next() {
            let proc = Path::new("/proc").join(worker);
            // The lock is the last file that is opened before the wait.
            let links = fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
            if links.filter_map(|link| fs::read_link(link.path()).ok()).any(|path| path.ends_with("lock")) {
                return proc;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(10), "no process at work: {:?}", child.try_wait());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `script` with the program as `$0` while the lock of `index` is held; checks the worker.
fn check(
    script: &str,
    arguments: &[&Path],
    environment: &[(&str, &Path)],
    index: &Path,
    (user, group): (u32, u32),
) {
    let lock = File::create(index.with_file_name("lock")).expect("a lock");
    std::os::unix::fs::fchown(&lock, Some(user), Some(user)).expect("root may");
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_epcache")])
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let proc = at_work(&mut child);
    let status = fs::read_to_string(proc.join("status")).expect("it is waiting");
    let open: Vec<_> = fs::read_dir(proc.join("fd"))
        .expect("it is waiting")
        .filter_map(|link| fs::read_link(link.expect("a descriptor").path()).ok())
        .collect();
    drop(lock);
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name}: {status}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let (user, group) = (user.to_string(), group.to_string());
    assert_eq!(field("Uid:"), [&*user; 4], "{status}");
    assert_eq!(field("Gid:"), [&*group; 4], "{status}");
    assert_eq!(field("Groups:"), [&*group], "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{set} {status}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"], "{status}");
    assert_eq!(field("Threads:"), ["1"], "{status}");
    assert_eq!(field("Umask:"), ["0022"], "{status}");
    assert_eq!(field("SigBlk:"), ["0000000000000000"], "{status}");
    let ignored = u64::from_str_radix(&field("SigIgn:")[0], 16).expect("a mask");
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGCHLD] {
        assert_eq!(ignored >> (signal as u32 - 1) & 1, 0, "{signal} {status}");
    }
    assert!(!open.contains(&PathBuf::from("/dev/full")), "{open:?}");
    let ended = wait(child, start);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(index.exists(), "{ended:?}");
}

const HOSTILE: &str = "umask 077; exec 7>/dev/full; \
                       exec env --block-signal=INT,QUIT,TERM --ignore-signal=HUP,QUIT,CHLD \"$0\"";

#[test]
fn a_trigger_works_as_the_cache_user_without_further_privileges() {
    if skipped_without_root("give privileges up") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let index = prepare(&tree);
    let user = (CACHE_USER, CACHE_USER);
    check(&format!("{HOSTILE} trigger dpkg"), &[], &[("DPKG_ROOT", &tree.root)], &index, user);
}

/// Makes the directory of the index, which holds the lock.
fn prepare(tree: &Tree) -> PathBuf {
    let directory = tree.index.parent().expect("a directory");
    fs::create_dir_all(directory).expect("a directory");
    for path in everything_below(&tree.root.join("var/cache/epcache")).into_keys() {
        std::os::unix::fs::chown(path, Some(CACHE_USER), Some(CACHE_USER)).expect("root may");
    }
    tree.index.clone()
}

#[test]
fn an_environment_is_refreshed_as_its_owner() {
    if skipped_without_root("give privileges up") {
        return;
    }
    // The first is in no user database.
    for (owner, group) in [(UNTRUSTED_UID, NOGROUP), (0, 0)] {
        let place = Place::new();
        let site = place.directory("site");
        install(&site, "foo");
        place.directory("site/.epcache");
        if owner != 0 {
            everything_below(&site).into_keys().for_each(|path| give_away(&path));
        }
        // It may belong to a group that its owner is not in.
        std::os::unix::fs::chown(&site, None, Some(42)).expect("root may");
        let script = format!("{HOSTILE} refresh \"$1\"");
        check(&script, &[&site], &[], &site.join(".epcache/index"), (owner, group));
    }
}

#[test]
fn the_group_of_a_process_comes_from_the_user_database() {
    if skipped_without_root("give privileges up") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let passwd = tree.root.join("etc/passwd");
    let line = format!("user:x:{UNTRUSTED_UID}:4711::/:\n");
    fs::write(&passwd, fs::read_to_string(&passwd).expect("a file") + &line).expect("room");
    let site = place.directory("tree/opt/site");
    install(&site, "foo");
    std::os::unix::fs::chown(&site, Some(UNTRUSTED_UID), Some(42)).expect("root may");
    let ended = run(place.epcache(["refresh", "/opt/site", "--root"]).arg(&tree.root));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let index = fs::metadata(site.join(".epcache/index")).expect("an index");
    assert_eq!((index.uid(), index.gid()), (UNTRUSTED_UID, 4711));
}

#[test]
fn root_opens_nothing_in_a_site_directory_or_beside_an_index() {
    if skipped_without_root("give privileges up") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: no strace on this machine");
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let own = place.directory("own");
    install(&own, "bar");
    place.directory("own/epcache_startup");
    fs::write(own.join("epcache_startup/__init__.py"), "").expect("room");
    give_away(&own);
    let strace = || {
        let mut command = Command::new("strace");
        // -y shows the paths of descriptors, so that files opened relative to them are seen.
        command.args(["-f", "-y", "-e", "trace=%file,%desc,setresuid"]);
        command.arg(env!("CARGO_BIN_EXE_epcache"));
        command
    };
    for (command, below) in [
        (strace().args(["trigger", "dpkg"]).env("DPKG_ROOT", &tree.root), vec![&tree.site, &tree.index]),
        (strace().args(["refresh", "--full"]).arg(&own), vec![&own]),
        (strace().args(["enable", "--accelerate"]).arg(&own), vec![&own]),
        (strace().arg("disable").arg(&own), vec![&own]),
        (strace().arg("run").arg(&own).args(["--", "true"]), vec![&own]),
    ] {
        let output = command.stdin(Stdio::null()).output().expect("strace runs");
        let text = String::from_utf8_lossy(&output.stderr);
        let mut dropped = None;
        let mut opened = 0;
        for line in text.lines() {
            let (process, call) = match line.strip_prefix("[pid ").and_then(|line| line.split_once("] ")) {
                Some((process, call)) => (process.trim(), call),
                None => ("", line),
            };
            if call.starts_with("setresuid(") && call.ends_with("= 0") {
                dropped = Some(process);
            }
            // The output at the end contains the site directory too.
            let about = !call.starts_with("write(1<")
                && below.iter().any(|path| call.contains(path.to_str().expect("UTF-8")));
            let lookups = [
                "stat",
                "lstat",
                "fstat",
                "newfstatat",
                "statx",
                "readlink",
                "readlinkat",
                "execve",
                "access",
                "fcntl",
            ];
            let name = call.split('(').next().unwrap_or_default();
            // Such a descriptor can't be read, and may be closed.
            let is_lookup = lookups.contains(&name) || call.contains("O_PATH") || name == "close";
            if about && !is_lookup {
                assert_eq!(Some(process), dropped, "{line}");
                opened += 1;
            }
        }
        assert!(opened > 5, "{text}");
    }
}
