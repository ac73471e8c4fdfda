//! Attempts to escape from a worker process.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};

use super::actions::Surroundings;
use super::kernel::has_everything;
use super::mask::Mask;
use super::taken_over::{Results, Victim, attempt_all};
use crate::support::program::{Place, UNTRUSTED_UID, skipped_without_root};
use crate::support::tree::{CACHE_USER, Tree, install};

/// What a user without capabilities may do, unless something else confines the process: root, and others.
const BY_THEIR_USER: [(&str, bool, bool); 34] = [
    ("read /etc/passwd", true, true),
    ("read /etc/shadow", true, false),
    ("read a secret of root's", true, false),
    ("read a file of one's own", true, true),
    ("list /", true, true),
    ("list a directory of one's own", true, true),
    ("write to a file of one's own", true, true),
    ("open a file of one's own and truncate it", true, true),
    ("truncate a file of one's own by its path", true, true),
    ("make a file in an open directory", true, true),
    ("make a directory in an open directory", true, true),
    ("make a link in an open directory", true, true),
    ("make a FIFO in an open directory", true, true),
    ("rename a file of one's own", true, true),
    ("remove a file of one's own", true, true),
    ("change the mode of a file of one's own", true, true),
    ("change the owner of a file of one's own", true, true),
    ("change the mode of a secret of root's", true, false),
    ("make a file that sets the user", true, true),
    ("make a file set the user", true, true),
    ("connect by TCP", true, true),
    ("send by UDP", true, true),
    ("connect to an abstract socket", true, true),
    ("connect to a socket", true, true),
    ("fork", true, true),
    ("start a thread", true, true),
    ("execute a program", true, true),
    ("get another group", false, false),
    ("get a capability", false, false),
    ("trace the parent", false, false),
    ("read the parent's memory", false, false),
    ("open the parent's memory", false, false),
    ("mount something", false, false),
    ("change a limit", true, true),
];
/// The part of it that concerns users alone.
const BY_ANOTHER_USER: [&str; 5] = [
    "become root by setuid",
    "become root by setresuid",
    "send init a signal",
    "send the parent a signal",
    "read the parent's environment",
];
/// Actions that need no change for root.
const NOTHING_TO_ROOT: [&str; 2] = ["become root by setuid", "become root by setresuid"];
/// Refused by Landlock alone, or by the filter alone; the others are refused by both.
const BY_LANDLOCK: [&str; 9] = [
    "read /etc/passwd",
    "read a file of one's own",
    "list a directory of one's own",
    "write to a file of one's own",
    "make a file in an open directory",
    "make a directory in an open directory",
    "make a link in an open directory",
    "rename a file of one's own",
    "remove a file of one's own",
];
const BY_SECCOMP: [&str; 14] = [
    "change the mode of a file of one's own",
    "change the owner of a file of one's own",
    "make a file that sets the user",
    "make a file set the user",
    "send by UDP",
    "connect to a socket",
    "fork",
    "start a thread",
    "execute a program",
    "make a user namespace",
    "change a limit",
    "type into a terminal",
    "call by the numbers of x32",
    "call by the numbers of 32 bits",
];

const OTHERS_BY_SECCOMP: [&str; 6] = [
    "trace the parent",
    "read the parent's memory",
    "mount something",
    "load a program into the kernel",
    "use a key",
    "set up io_uring",
];

/// The surroundings of a victim, kept for the duration of the attack.
struct Scene {
    place: Place,
    victim: Victim,
    _listeners: (TcpListener, UnixListener, UnixListener),
}

impl Scene {
    /// A victim that refreshes an index as `user`: the system's, or that of an environment.
    fn new(user: u32, mask: Mask) -> Self {
        let place = Place::new();
        let (site, index, root) = if user == CACHE_USER {
            let tree = Tree::new(&place);
            let index = tree.root.join("var/cache/epcache");
            (tree.site, index, Some(tree.root))
        } else {
            let site = place.directory("site");
            (site.clone(), site.join(".epcache"), None)
        };
        let metadata = install(&site, "foo").join("METADATA");
        let own = place.directory("own");
        for name in ["file", "other", "third", "fourth"] {
            fs::write(own.join(name), "x").expect("room");
            chown(own.join(name), Some(user), Some(user)).expect("root may");
        }
        for path in [&own, &site, &metadata] {
            if user != CACHE_USER || path == &own {
                chown(path, Some(user), Some(user)).expect("root may");
            }
        }
        let secret = place.path().join("secret");
        fs::write(&secret, "x").expect("room");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("root may");
        let open = place.directory("open");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("root may");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let name = format!("epcache-test-{}-{user}-{mask:?}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let nameless = UnixListener::bind_addr(&address).expect("a socket");
        let socket = place.path().join("socket");
        let named = UnixListener::bind(&socket).expect("a socket");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).expect("root may");
        let surroundings = Surroundings {
            own: own.join("file"),
            secret,
            open,
            port: tcp.local_addr().expect("an address").port(),
            abstract_socket: name,
            socket,
            index,
            site: site.clone(),
            metadata,
        };
        let victim = Victim { user, site: Some(site), root, mask, surroundings };
        Self { place, victim, _listeners: (tcp, nameless, named) }
    }
}

fn is(results: &Results, name: &str, allowed: bool, who: &Victim) {
    let found = results.get(name).unwrap_or_else(|| panic!("nobody tries to {name}"));
    assert_eq!(found == "allowed", allowed, "{name}: {found}, as {} with {:?}", who.user, who.mask);
}

fn needed(results: &Results, who: &Victim) {
    for name in results.keys().filter(|name| name.starts_with("needed: ")) {
        is(results, name, true, who);
    }
}

#[test]
fn a_compromised_worker_is_confined() {
    if skipped_without_root("give privileges up") || !has_everything() {
        return;
    }
    for user in [CACHE_USER, UNTRUSTED_UID, 0] {
        let scene = Scene::new(user, Mask::Nothing);
        let results = attempt_all(&scene.victim);
        needed(&results, &scene.victim);
        assert!(results.len() > 55, "{results:?}");
        let refused = results.keys().filter(|name| !name.starts_with("needed: "));
        for name in refused.filter(|name| user != 0 || !NOTHING_TO_ROOT.contains(&name.as_str())) {
            is(&results, name, false, &scene.victim);
        }
        // Not because the kernel lacks the call, or for want of a terminal.
        for name in BY_SECCOMP.iter().chain(&OTHERS_BY_SECCOMP) {
            assert_eq!(results[*name], "EPERM", "{name}");
        }
        untouched(&scene.place);
    }
}

fn untouched(place: &Place) {
    for name in ["file", "other", "third", "fourth"] {
        assert_eq!(fs::read(place.path().join("own").join(name)).expect("still there"), b"x", "{name}");
    }
    assert_eq!(fs::read_dir(place.path().join("open")).expect("a listing").count(), 0);
}

#[test]
fn without_landlock_and_seccomp_a_worker_has_only_the_rights_of_its_user() {
    if skipped_without_root("give privileges up") {
        return;
    }
    for user in [CACHE_USER, UNTRUSTED_UID, 0] {
        let scene = Scene::new(user, Mask::Both);
        let results = attempt_all(&scene.victim);
        needed(&results, &scene.victim);
        // Most attempts succeed here, which shows that they are real attempts.
        for (name, of_root, of_others) in BY_THEIR_USER {
            is(&results, name, if user == 0 { of_root } else { of_others }, &scene.victim);
        }
        for name in BY_ANOTHER_USER.into_iter().filter(|_| user != 0) {
            is(&results, name, false, &scene.victim);
        }
        for name in ["use 5 GiB of memory", "make a file of 2 GiB", "open 2000 files"] {
            is(&results, name, false, &scene.victim);
        }
    }
}

#[test]
fn landlock_and_seccomp_refuse_independently_of_each_other() {
    if skipped_without_root("give privileges up") || !has_everything() {
        return;
    }
    for user in [CACHE_USER, 0] {
        let scene = Scene::new(user, Mask::Seccomp);
        let results = attempt_all(&scene.victim);
        needed(&results, &scene.victim);
        BY_LANDLOCK.iter().for_each(|name| is(&results, name, false, &scene.victim));
        for name in ["connect by TCP", "connect to an abstract socket", "send init a signal"] {
            is(&results, name, false, &scene.victim);
        }
        let scene = Scene::new(user, Mask::Landlock);
        let results = attempt_all(&scene.victim);
        needed(&results, &scene.victim);
        BY_SECCOMP.iter().for_each(|name| is(&results, name, false, &scene.victim));
        for name in ["connect by TCP", "connect to an abstract socket", "send init a signal"] {
            is(&results, name, false, &scene.victim);
        }
    }
}

#[test]
fn the_process_that_runs_an_interpreter_is_confined() {
    if skipped_without_root("give privileges up") || !has_everything() {
        return;
    }
    let mut scene = Scene::new(UNTRUSTED_UID, Mask::Nothing);
    scene.victim.site = None;
    let results = attempt_all(&scene.victim);
    for name in ["fork", "execute a program", "read a file of one's own", "start a thread"] {
        is(&results, name, true, &scene.victim);
    }
    for name in [
        "read /etc/shadow",
        "write to a file of one's own",
        "open a file of one's own and truncate it",
        "truncate a file of one's own by its path",
        "make a file in an open directory",
        "rename a file of one's own",
        "remove a file of one's own",
        "change the mode of a file of one's own",
        "change the owner of a file of one's own",
        "make a file that sets the user",
        "connect by TCP",
        "send by UDP",
        "connect to an abstract socket",
        "become root by setuid",
        "send init a signal",
        "send the parent a signal",
        "trace the parent",
        "open the parent's memory",
        "make a user namespace",
        "type into a terminal",
    ] {
        is(&results, name, false, &scene.victim);
    }
    untouched(&scene.place);
}
