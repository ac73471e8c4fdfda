//! Hooks on kernels that do not confine.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::time::Duration;

use super::{Environment, processes};
use crate::confinement::demanded::on;
use crate::confinement::kernel;
use crate::confinement::mask::Mask;
use crate::support::program::{Ended, run, skipped_without_root};
use crate::support::tree::text;

fn refresh_on(mask: Mask, environment: &Environment) -> Ended {
    on(mask, environment.place.epcache(["refresh", text(&environment.site)]))
}

#[test]
fn root_s_hook_does_not_run_where_it_is_not_confined() {
    if skipped_without_root("mask what the kernel has") || !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(false);
    environment.register("root", "", "#!/bin/sh\necho ran\n");
    environment.install("foo");
    for mask in [Mask::Landlock, Mask::Seccomp, Mask::Both] {
        let ended = refresh_on(mask, &environment);
        assert_eq!(ended.status, Some(0), "{mask:?} {ended:?}");
        assert!(ended.err.contains("warning: hook root: "), "{mask:?} {ended:?}");
        assert!(!environment.is_done("root"), "{mask:?}");
        assert_eq!(environment.output("root"), "", "{mask:?}");
    }
    // It has failed so often that the next refresh would not run it.
    let again = environment.place.epcache(["hooks", "run", "root", "--site", text(&environment.site)]);
    assert_eq!(on(Mask::Nothing, again).err, "");
    assert_eq!(environment.output("root"), "ran\n");
}

#[test]
fn without_landlock_all_that_a_hook_has_started_is_ended_too() {
    if skipped_without_root("mask what the kernel has") || !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(true);
    for (name, script) in [
        ("unscoped-orphans", "(setsid sh -c 'setsid sleep 1000 & sleep 1000' &); exec >&- 2>&-; sleep 1000"),
        ("unscoped-bomb", "bomb() { while :; do bomb & done; }; bomb 2>/dev/null; wait"),
        (
            "unscoped-supervisor",
            "kill -STOP $PPID && echo stopped; kill -KILL $PPID && echo killed; sleep 1000",
        ),
    ] {
        let lines = "timeout = 1\n[sandbox]\nprocesses = 30\n";
        environment.register(name, lines, &format!("#!/bin/sh\n{script}\n"));
        environment.install(&name.replace('-', "_"));
        let ended = refresh_on(Mask::Both, &environment);
        assert!(ended.status == Some(0) && ended.took < Duration::from_secs(10), "{name} {ended:?}");
        assert!(
            ended.err.contains(&format!("warning: hook {name}: is not confined by landlock: ")),
            "{name} {ended:?}"
        );
        assert_eq!(processes(name), [""; 0].map(std::path::PathBuf::from), "{name}");
        assert!(
            !environment.output(name).lines().any(|line| line == "stopped" || line == "killed"),
            "{name}"
        );
        std::fs::remove_file(environment.prefix.join(format!("share/epcache/hooks.d/{name}.toml")))
            .expect("there");
    }
}

/// Without a scope for signals, a program can end a process of its own user.
#[test]
fn a_hook_that_kills_its_supervisor_ends_too() {
    if skipped_without_root("mask what the kernel has") || !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(true);
    let script = "#!/bin/sh\n(setsid sh -c 'setsid sleep 1000 & sleep 1000' &)\nsleep 0.2\npwd > $EPCACHE_CACHE/where\nkill -KILL $PPID\nsleep 1000\n";
    environment.register("patricide", "timeout = 5\n[sandbox]\nwrite = ['cache']\n", script);
    environment.install("foo");
    let mut command = environment.place.epcache_as_untrusted_user(["refresh", text(&environment.site)]);
    let put_on = || {
        nix::sys::prctl::set_no_new_privs()?;
        Mask::Both.put_on()
    };
    // SAFETY: nothing of the parent is touched; memory is allocated, which the C library allows.
    unsafe { command.pre_exec(put_on) };
    let ended = run(command);
    assert!(ended.status == Some(0) && ended.took < Duration::from_secs(5), "{ended:?}");
    assert!(
        ended.err.contains("hook patricide: the unprivileged process ended without an answer"),
        "{ended:?}"
    );
    assert_eq!(processes("patricide"), [""; 0].map(std::path::PathBuf::from));
    // Its private directory is left.
    let directory = std::fs::read_to_string(environment.site.join(".epcache/hook-cache/patricide/where"));
    std::fs::remove_dir(directory.expect("it ran").trim_end()).expect("an empty directory");
}

/// The program ends when the process that waits for it is killed.
#[test]
fn a_hook_ends_with_the_command_that_started_it() {
    if !kernel::has_everything() {
        return;
    }
    for environment in super::environments() {
        environment.register("left-alone", "", "#!/bin/sh\n(setsid sleep 1000 &)\nsleep 1000\n");
        environment.install("foo");
        let mut child =
            environment.place.epcache(["refresh", text(&environment.site)]).spawn().expect("epcache starts");
        let wait = |is_wanted: &dyn Fn(usize) -> bool| {
            let mut left = 200;
            while !is_wanted(processes("left-alone").len()) {
                left -= 1;
                assert!(left > 0, "{:?}", processes("left-alone"));
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        wait(&|count| count >= 3);
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        wait(&|count| count == 0);
        assert!(!environment.is_done("left-alone"));
    }
}
