//! Attempts to escape from a worker process.
#![allow(unsafe_code)]

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
const BY_THEIR_USER: [(&str, bool, bool); 51] = [
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
    ("use shared memory of another process", true, true),
    ("remove shared memory", true, true),
    ("use a semaphore", true, true),
    ("remove a queue", true, true),
    ("send to a queue", true, true),
    ("make a POSIX queue", true, true),
    ("set the times of a file of one's own", true, true),
    ("list the attributes of a file of one's own", true, true),
    ("watch a directory of one's own", true, true),
    ("send init the signals of a descriptor", true, true),
    ("lock a range of a file in the site directory", true, true),
    ("be traced again", true, true),
    ("leave the group of processes", true, true),
    ("map memory for code", true, true),
    ("make memory executable", true, true),
    ("make a file in memory", true, true),
    ("exchange two files of the index", true, true),
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
const BY_SECCOMP: [&str; 33] = [
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
    "use shared memory of another process",
    "remove shared memory",
    "use a semaphore",
    "remove a queue",
    "send to a queue",
    "make a POSIX queue",
    "set the times of a file of one's own",
    "list the attributes of a file of one's own",
    "watch a directory of one's own",
    "send init the signals of a descriptor",
    "lock a range of a file in the site directory",
    "be traced again",
    "leave the group of processes",
    "map memory for code",
    "make memory executable",
    "make a file in memory",
    "allocate room on the disk",
    "exchange two files of the index",
    "set up Landlock",
    "call by the numbers of x32",
    "call by the numbers of 32 bits",
];

const OTHERS_BY_SECCOMP: [&str; 8] = [
    "trace the parent",
    "read the parent's memory",
    "mount something",
    "load a program into the kernel",
    "use a key",
    "set up io_uring",
    "set the flags of a file of one's own",
    "call what no kernel has yet",
];

/// The surroundings of a victim, kept for the duration of the attack.
struct Scene {
    place: Place,
    victim: Victim,
    _listeners: (TcpListener, UnixListener, UnixListener),
}

/// Shared memory, a semaphore and a queue of a user. Every process of that user finds them by number.
fn shared_by_processes_of(user: u32) -> [i32; 3] {
    let mode = 0o600;
    // SAFETY: makes new objects; the structures are filled by the kernel before they are given back.
    unsafe {
        let shared = [
            libc::shmget(libc::IPC_PRIVATE, 4096, mode),
            libc::semget(libc::IPC_PRIVATE, 1, mode),
            libc::msgget(libc::IPC_PRIVATE, mode),
        ];
        assert!(shared.iter().all(|number| *number >= 0), "{shared:?}");
        let mut memory: libc::shmid_ds = std::mem::zeroed();
        let mut semaphore: libc::semid_ds = std::mem::zeroed();
        let mut queue: libc::msqid_ds = std::mem::zeroed();
        assert_eq!(libc::shmctl(shared[0], libc::IPC_STAT, &raw mut memory), 0);
        assert_eq!(libc::semctl(shared[1], 0, libc::IPC_STAT, &raw mut semaphore), 0);
        assert_eq!(libc::msgctl(shared[2], libc::IPC_STAT, &raw mut queue), 0);
        memory.shm_perm.uid = user;
        semaphore.sem_perm.uid = user;
        queue.msg_perm.uid = user;
        assert_eq!(libc::shmctl(shared[0], libc::IPC_SET, &raw mut memory), 0);
        assert_eq!(libc::semctl(shared[1], 0, libc::IPC_SET, &raw mut semaphore), 0);
        assert_eq!(libc::msgctl(shared[2], libc::IPC_SET, &raw mut queue), 0);
        shared
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let [memory, semaphore, queue] = self.victim.surroundings.shared;
        // SAFETY: removes what `shared_by_processes_of` has made. What an attack has removed is gone.
        unsafe {
            libc::shmctl(memory, libc::IPC_RMID, std::ptr::null_mut());
            libc::semctl(semaphore, 0, libc::IPC_RMID);
            libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut());
            libc::mq_unlink(c"/epcache-test".as_ptr());
        }
    }
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
            shared: shared_by_processes_of(user),
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
        assert!(results.len() > 80, "{results:?}");
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
        "use shared memory of another process",
        "remove shared memory",
        "use a semaphore",
        "send to a queue",
        "make a POSIX queue",
        "set the times of a file of one's own",
        "set the flags of a file of one's own",
        "watch a directory of one's own",
        "send init the signals of a descriptor",
    ] {
        is(&results, name, false, &scene.victim);
    }
    untouched(&scene.place);
}
