//! What a hook of a hostile author can't do. Each ends in time, is reported in one line, leaves nothing running, and
//! the index is right.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::{Environment, environments, processes};
use crate::confinement::kernel;
use crate::support::program::{is_root, run};
use crate::support::tree::text;

/// Refreshes with a hook that runs a script, and checks what must hold whatever it does. Returns the message.
fn hostile(environment: &Environment, name: &str, lines: &str, script: &str) -> String {
    environment.register(name, lines, script);
    environment.install(&name.replace('-', "_"));
    let ended = environment.refresh();
    assert_eq!(ended.status, Some(0), "{name}: {ended:?}");
    assert!(ended.took < Duration::from_secs(15), "{name}: {ended:?}");
    assert!(ended.err.lines().count() <= 1, "{name}: {ended:?}");
    assert!(
        ended.err.is_empty() || ended.err.starts_with(&format!("epcache: warning: hook {name}: ")),
        "{ended:?}"
    );
    assert_eq!(processes(name), [""; 0].map(std::path::PathBuf::from), "{name}");
    let verified = run(environment.place.epcache(["verify", text(&environment.site)]));
    assert_eq!(verified.status, Some(0), "{name}: {verified:?}");
    // Out of the way of the next one.
    fs::remove_file(environment.prefix.join(format!("share/epcache/hooks.d/{name}.toml")))
        .expect("still there");
    ended.err
}

#[test]
fn a_hook_that_does_not_end_is_killed_with_all_that_it_has_started() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        let limit = "timeout = 1\n";
        for (name, script) in [
            ("endless", "sleep 1000"),
            ("stopped", "kill -STOP $$"),
            ("ignoring", "trap '' TERM HUP INT; while :; do sleep 1000; done"),
            ("output", "exec cat /dev/zero"),
            ("orphans", "(setsid sh -c 'setsid sleep 1000 & sleep 1000' &) ; exec >&- 2>&-; sleep 1000"),
        ] {
            let message = hostile(&environment, name, limit, &format!("#!/bin/sh\n{script}\n"));
            assert!(message.contains(": did not end within 1 s, and was killed"), "{name}: {message}");
        }
        // What it leaves running ends with it, and holds nobody up.
        let left = "#!/bin/sh\nsetsid sh -c 'setsid sleep 1000 & sleep 1000' &\n(sleep 1000 &)\necho done\n";
        let message = hostile(&environment, "left", "timeout = 10\n", left);
        assert_eq!(message, "");
        assert!(
            environment.journal()["hooks"]["left"]["last"]["what"]
                .to_string()
                .contains("what it left running was killed")
        );
    }
}

#[test]
fn a_hook_that_forks_without_end_is_ended() {
    if !kernel::has_everything() || !is_root() {
        return;
    }
    // Of a user whose processes the kernel counts.
    let environment = Environment::new(true);
    let bomb = "#!/bin/sh\nbomb() { while :; do bomb & done; }\nbomb 2>/dev/null\nwait\n";
    let message = hostile(&environment, "bomb", "timeout = 1\n[sandbox]\nprocesses = 30\n", bomb);
    assert!(!message.is_empty());
    // The processes of root are not counted, but end as well.
    let environment = Environment::new(false);
    let many = "#!/bin/sh\ni=0\nwhile [ $i -lt 100 ]; do setsid sh -c 'sleep 1000 & wait' & i=$((i+1)); done\nsleep 1000\n";
    let message = hostile(&environment, "many", "timeout = 2\n", many);
    assert!(message.contains("did not end within 2 s"), "{message}");
}

#[test]
fn a_hook_can_not_signal_or_watch_what_is_not_its_own() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        let script = "#!/bin/sh\nkill -STOP $PPID && echo stopped its parent\nkill -KILL $PPID && echo killed its parent\n\
             kill -KILL 1 && echo killed init\n(sleep 0.2; echo survived) &\nkill -KILL -1\nkill -0 $$ && wait\n";
        let message = hostile(&environment, "signals", "timeout = 5\n", script);
        let output = environment.output("signals");
        assert!(!output.contains("its parent\n") && !output.contains("killed init"), "{message} {output}");
    }
}

/// Python code that prints what an attempt led to.
const ATTEMPTS: &str = r#"
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
site, secret, open_directory, own = sys.argv[2:6]
def attempt(what, do):
    try:
        do()
    except OSError as error:
        print(what, "refused", flush=True)
    else:
        print(what, "ALLOWED", flush=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
prefix = site.rsplit("/lib/", 1)[0]
attempt("read a secret", lambda: open(secret).read())
attempt("read /etc/shadow", lambda: open("/etc/shadow").read())
attempt("read /etc/passwd", lambda: open("/etc/passwd").read())
attempt("list home directories", lambda: os.listdir("/home"))
attempt("list /root", lambda: os.listdir("/root"))
attempt("read memory of the parent", lambda: open(f"/proc/{os.getppid()}/mem", "rb").read(1))
attempt("read the environment of the parent", lambda: open(f"/proc/{os.getppid()}/environ", "rb").read())
attempt("write to the site directory", lambda: open(site + "/made", "w"))
attempt("write to the index", lambda: open(site + "/.epcache/index", "a"))
attempt("remove the index", lambda: os.remove(site + "/.epcache/index"))
attempt("truncate the index", lambda: os.truncate(site + "/.epcache/index", 0))
attempt("write to the journal", lambda: open(site + "/.epcache/hook-journal", "a"))
attempt("set the time of the site directory", lambda: os.utime(site))
attempt("set the time of the index", lambda: os.utime(site + "/.epcache/index"))
attempt("remove its registration", lambda: os.remove(prefix + "/share/epcache/hooks.d/attempts.toml"))
attempt("replace its program", lambda: open(prefix + "/bin/attempts", "r+"))
attempt("rename its program", lambda: os.rename(prefix + "/bin/attempts", prefix + "/bin/other"))
attempt("write to an open directory", lambda: open(open_directory + "/made", "w"))
attempt("write to /tmp", lambda: open("/tmp/epcache-made-by-a-hook", "w"))
attempt("change the mode of a file of its user", lambda: os.chmod(own, 0o666))
attempt("make a file set-user-id", lambda: os.chmod(own, 0o4755))
attempt("make an open file set-user-id", lambda: os.fchmod(os.open(prefix + "/bin/attempts", os.O_RDONLY), 0o4755))
attempt("make an open file writable by all", lambda: os.fchmod(os.open(prefix + "/bin/attempts", os.O_RDONLY), 0o666))
attempt("create a set-user-id file", lambda: os.open("x", os.O_CREAT | os.O_WRONLY, 0o4755))
attempt("change an owner", lambda: os.chown(own, os.getuid(), os.getgid()))
attempt("set an attribute", lambda: os.setxattr(own, "user.x", b"x"))
attempt("link a file into its directory", lambda: os.link(own, "linked"))
attempt("make a device", lambda: os.mknod("device", 0o20600, os.makedev(1, 3)))
attempt("TCP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("local socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("pair of datagram sockets", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
attempt("user namespace", lambda: call(272, 0x10000000))
attempt("ptrace", lambda: call(101, 16, os.getppid(), 0, 0))
attempt("mount", lambda: call(165, b"x", b"/mnt", b"tmpfs", 0, 0))
attempt("keyctl", lambda: call(250, 0, -3, 0))
attempt("bpf", lambda: call(321, 0, 0, 0))
attempt("io_uring", lambda: call(425, 1, 0))
attempt("userfaultfd", lambda: call(323, 0))
attempt("perf", lambda: call(298, 0, 0, 0, 0, 0))
attempt("shared memory", lambda: call(29, 0, 4096, 0o1600))
attempt("limits of another process", lambda: call(302, os.getppid(), 7, b"\0" * 16, 0))
attempt("setuid", lambda: os.setresuid(0, 0, 12345))
attempt("1.5 GiB of memory", lambda: call(9, 0, 3 << 29, 3, 0x22, -1, 0))
attempt("a file of 2 GiB", lambda: os.ftruncate(os.open("large", os.O_CREAT | os.O_WRONLY), 2 << 30))
def needed():
    with open("file", "w") as file: file.write("x")
    os.mkdir("directory"); os.rename("file", "directory/file"); os.symlink("x", "directory/link")
    os.remove("directory/file"); os.remove("directory/link"); os.rmdir("directory")
    assert os.system("true | cat") == 0
    import threading; thread = threading.Thread(target=print); thread.start(); thread.join()
    pair = socket.socketpair(); pair[0].send(b"x"); pair[1].recv(1)
    open("/dev/null", "w").write("x"); open("/dev/urandom", "rb").read(1)
    os.stat("/etc/shadow")
attempt("needed", needed)
"#;

#[test]
fn a_hook_reaches_nothing_but_what_is_granted() {
    if !kernel::has_everything() || !cfg!(target_arch = "x86_64") {
        return;
    }
    for environment in environments() {
        let open = environment.place.directory("open");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("ours");
        // A secret, and another file, of the user as whom the hook runs.
        let [secret, own] = ["venv/secret", "venv/own"].map(|name| environment.place.path().join(name));
        for (path, mode) in [(&secret, 0o600), (&own, 0o644)] {
            fs::write(path, "secret").expect("room");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        }
        let listener = UnixListener::bind(environment.place.path().join("socket")).expect("a socket");
        environment.program("attempts", "#!/usr/bin/python3 -I\n");
        let script = format!("#!/usr/bin/python3 -I\n{ATTEMPTS}");
        environment.program("attempts", &script);
        let words =
            [&environment.site, &secret, &open, &own].map(|path| format!("'{}'", text(path))).join(", ");
        environment.registration("attempts", &format!("command = ['bin/attempts', 'word', {words}]\n"));
        environment.install("foo");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?} {}", environment.journal());
        let output = environment.output("attempts");
        let allowed: Vec<&str> = output.lines().filter(|line| line.contains("ALLOWED")).collect();
        assert_eq!(allowed, ["needed ALLOWED"], "{output}");
        assert!(output.lines().filter(|line| line.ends_with("refused")).count() > 40, "{output}");
        drop(listener);
        let verified = run(environment.place.epcache(["verify", text(&environment.site)]));
        assert_eq!(verified.status, Some(0), "{verified:?}");
    }
}

#[test]
fn a_hook_with_the_network_has_no_local_sockets() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(is_root());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let script = format!(
        "#!/usr/bin/python3 -I\nimport socket\nsocket.create_connection(('127.0.0.1', {port}))\nprint('connected')\n\
         try:\n    socket.socket(socket.AF_UNIX)\nexcept PermissionError:\n    print('refused')\n"
    );
    environment.register("network", "[sandbox]\nnetwork = true\n", &script);
    environment.install("foo");
    let ended = environment.refresh();
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?} {}", environment.journal());
    assert_eq!(environment.output("network"), "connected\nrefused\n");
}

#[test]
fn what_a_hook_prints_is_kept_up_to_a_limit_and_escaped() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(is_root());
    let script = "#!/bin/sh\nprintf '\\033[2J\\033]0;title\\007 \\377\\n'\nhead -c 1000000000 /dev/zero\n";
    hostile(&environment, "gigabyte", "timeout = 20\n", script);
    let output = environment.output("gigabyte");
    assert!(
        output.len() <= 64 << 10 && !output.contains('\x1b') && output.starts_with("\\u{1b}[2J"),
        "{}",
        output.len()
    );
    assert_eq!(environment.journal()["hooks"]["gigabyte"]["last"]["is_cut"], true);
    let ended = hostile(&environment, "escapes", "", "#!/bin/sh\nprintf '\\033[2J\\n'\nexit 1\n");
    assert!(ended.contains("exit status 1: \\u{1b}[2J;"), "{ended}");
}

#[test]
fn the_input_of_a_hook_waits_for_nobody() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        for number in 0..300 {
            crate::support::tree::install(&environment.site, &format!("package-with-a-long-name-{number}"));
        }
        for (name, script) in
            [("closed", "exec <&-\n"), ("unread", "sleep 0.2\n"), ("written", "echo x >&0\ntrue\n")]
        {
            let message = hostile(&environment, name, "", &format!("#!/bin/sh\n{script}"));
            assert_eq!(message, "", "{name}");
        }
    }
}

#[test]
fn the_program_that_was_judged_is_the_one_that_runs() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        let shared = environment.prefix.join("shared");
        fs::create_dir(&shared).expect("room");
        let second = shared.join("second");
        for (path, word) in [(&second, "judged"), (&shared.join("evil"), "exchanged")] {
            fs::write(path, format!("#!/bin/sh\necho {word}\n")).expect("room");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
        }
        let lines = "[sandbox]\nwrite = ['shared']\n";
        let script = format!("#!/bin/sh\nmv {0}/evil {0}/second\n", text(&shared));
        environment.register("first", lines, &script);
        environment.registration("second", &format!("command = ['shared/second']\n{lines}"));
        environment.install("foo");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?} {}", environment.journal());
        assert!(fs::read_to_string(&second).expect("a file").contains("exchanged"));
        assert_eq!(environment.output("second"), "judged\n");
    }
}

#[test]
fn a_hook_that_can_not_run_as_it_says_is_reported_and_others_run() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        environment.register("good", "order = 5\n", "#!/bin/sh\necho good\n");
        let elsewhere = environment.place.directory("elsewhere");
        let is_of_user = is_root() && environment.owner() != 0;
        let outside = if is_of_user { "belongs to uid 0, and the hook runs as" } else { " is not below " };
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o777)).expect("ours");
        for (name, lines, script, expected) in [
            ("no-interpreter", "", "#!/nonexistent\n", "can't be prepared: No such file or directory"),
            ("missing", "[sandbox]\nwrite = ['none']\n", "#!/bin/sh\n", "does not exist"),
            (
                "others",
                &format!("[sandbox]\nwrite = ['{}']\n", text(&elsewhere)),
                "#!/bin/sh\n",
                "every user may write to it",
            ),
            (
                "outside",
                &format!("[sandbox]\nwrite = ['{}']\n", text(environment.place.path())),
                "#!/bin/sh\n",
                outside,
            ),
            ("read-outside", "[sandbox]\nread = ['/etc']\n", "#!/bin/sh\n", "/etc: is not below "),
            ("file", "[sandbox]\nwrite = ['bin/good']\n", "#!/bin/sh\n", "is not a directory"),
        ] {
            let message = hostile(&environment, name, lines, script);
            assert!(message.contains(expected), "{name}: {message}");
        }
        assert_eq!(environment.output("good"), "good\n");
    }
}
