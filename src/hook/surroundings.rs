//! The surroundings of a hook: its program, its arguments and variables, and what it may reach.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::Environment;
use super::program::Programs;
use super::registration::{Action, Registration, Write};
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::privilege::RunAs;
use crate::privilege::sandbox::{Confinement, Limits, Needs, Program, Reach};
use crate::store::location::SIDECAR;
use crate::sys::account::HOOK_USER;
use crate::sys::resolve::{Place, Trust};
use crate::sys::root::System;
use crate::sys::walk::Walk;
use crate::sys::{account, caller};

/// The parent of the cache directories of the system's hooks. It belongs to the user that runs them.
pub const CACHE: &str = "/var/cache/epcache-hooks";
/// The same in an environment, beside the index.
const CACHE_OF_ENVIRONMENT: &str = "hook-cache";
/// Calls the function of a hook.
const CALL: &str = include_str!("call.py");
/// Bytes of the largest file that a hook can write.
const LARGEST_FILE: u64 = 1 << 30;
/// What every hook may read and execute: where programs and libraries are.
const PROGRAMS: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
];
/// What it may read besides that if it may use the network: how names are looked up, and certificates.
const OF_NETWORK: [&str; 9] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/gai.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Where a hook runs, and as which user.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'s> {
    /// `None` for the system-wide site directories.
    pub environment: Option<&'s Environment>,
    /// The site directories that changed.
    pub sites: &'s [PathBuf],
    pub run_as: RunAs,
    pub system: &'s System,
    /// Whether the administrator requires all confinement.
    pub require_sandbox: bool,
}

/// A hook that is ready to run.
pub struct Surroundings {
    pub file: OwnedFd,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(&'static str, OsString)>,
    pub confinement: Confinement,
    /// Where it may write, apart from its private directory.
    pub written: Vec<PathBuf>,
}

impl Surroundings {
    /// Prepares a hook. Fails if a path of the registration does not exist, or has the wrong owner or kind.
    pub fn of(hook: &Registration, setting: Setting<'_>) -> Result<Self> {
        let Setting { environment, sites, run_as, system, require_sandbox } = setting;
        let uid = match run_as {
            RunAs::Caller => caller::uid(),
            RunAs::User(user) => user.uid,
        };
        let mut needs =
            Needs { program: Some(Program::Hook { network: hook.sandbox.network }), ..Needs::default() };
        let (file, arguments) = program(hook, setting, &mut needs)?;
        add_readable(hook, setting, &mut needs)?;
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("LANG", "C.UTF-8".into()),
            ("EPCACHE_HOOK", (&hook.name).into()),
        ];
        let mut written = Vec::new();
        for write in &hook.sandbox.write {
            let path = match write {
                Write::Cache => {
                    let cache = cache(hook, environment, uid, system, &mut needs)?;
                    variables.push(("EPCACHE_CACHE", (&cache).into()));
                    written.push(cache);
                    continue;
                }
                Write::Directory(path) => within(path, environment, system),
                Write::Site(below) => system.within(&sites[0].join(below)),
            };
            written.push(below_prefix(own_directory(&path, uid, environment, system)?, environment)?);
        }
        written.iter().for_each(|path| needs.add(path.clone(), Reach::Write));
        let limits = Limits {
            memory: hook.sandbox.memory,
            file: LARGEST_FILE,
            // Linux does not count those of root.
            processes: (uid != 0).then(|| account::tasks(uid) + u64::from(hook.sandbox.processes)),
        };
        // Without Landlock and the filter, a hook of root's environment could do what root can.
        let required = require_sandbox || uid == 0;
        let confinement = Confinement { needs, required, limits, time_limit: hook.timeout };
        Ok(Self { file, arguments, environment: variables, confinement, written })
    }
}

/// The file that a hook executes and its arguments, the first of which is its name. Adds what it needs to run.
fn program(hook: &Registration, setting: Setting<'_>, needs: &mut Needs) -> Result<(OwnedFd, Vec<OsString>)> {
    let mut programs = Programs::new(setting.environment, setting.system);
    let mut run = |path: PathBuf| needs.add(path, Reach::Run);
    let ((place, walk), arguments) = match &hook.action {
        Action::Command(words) => {
            let [path, words @ ..] = &words[..] else { return Err(Error::child("has no program")) };
            let found = programs.find(path)?;
            let name = OsString::from(&found.0.path);
            (found, std::iter::once(name).chain(words.iter().map(OsString::from)).collect())
        }
        Action::Python { module, function } => {
            let site = &setting.sites[0];
            let (name, found) = interpreter(site, &mut programs)?;
            // Its standard library, where that is not below /usr.
            if let Some(prefix) = found.0.path.ancestors().nth(2) {
                ["lib", "lib64"].iter().for_each(|name| run(prefix.join(name)));
            }
            // Debian's sitecustomize.
            for path in glob::glob("/etc/python3*").into_iter().flatten().flatten() {
                run(path);
            }
            let words: [OsString; 7] = [
                name.into(),
                "-I".into(),
                "-c".into(),
                CALL.into(),
                site.into(),
                module.into(),
                function.into(),
            ];
            (found, words.to_vec())
        }
    };
    let file = walk.descriptor().try_clone_to_owned();
    let file = file.map_err(|error| Error::io("can't open", &place.path, error))?;
    run(place.path);
    Ok((file, arguments))
}

/// Adds what every hook may read, what the registration of this one asks for, and devices.
fn add_readable(hook: &Registration, setting: Setting<'_>, needs: &mut Needs) -> Result<()> {
    let Setting { environment, sites, system, .. } = setting;
    let of_network = if hook.sandbox.network { &OF_NETWORK[..] } else { &[] };
    PROGRAMS.iter().chain(of_network).for_each(|path| needs.add(path.into(), Reach::Run));
    sites.iter().for_each(|site| needs.add(site.clone(), Reach::Run));
    if let Some(Environment { prefix, .. }) = environment {
        let names = ["bin", "lib", "lib64", "pyvenv.cfg"];
        names.iter().for_each(|name| needs.add(prefix.join(name), Reach::Run));
    }
    for path in &hook.sandbox.read {
        // What does not exist needs no right.
        match system.resolve(&within(path, environment, system), Trust::Owner) {
            Ok(place) => needs.add(below_prefix(place.path, environment)?, Reach::Run),
            Err(Error::Site { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    DEVICES.iter().for_each(|path| needs.add(path.into(), Reach::Device));
    Ok(())
}

/// A path of a registration, as the system itself knows it.
fn within(path: &Path, environment: Option<&Environment>, system: &System) -> PathBuf {
    environment.map_or_else(|| path.to_owned(), |environment| system.within(&environment.prefix).join(path))
}

/// A path that a hook may be granted. Packages of an environment register its hooks, so these reach none of its owner's
/// files elsewhere.
fn below_prefix(path: PathBuf, environment: Option<&Environment>) -> Result<PathBuf> {
    match environment.filter(|environment| !path.starts_with(&environment.prefix)) {
        None => Ok(path),
        Some(Environment { prefix, .. }) => Err(Error::Unusable {
            why: format!(
                "is not below {}, and a hook of an environment is granted nothing else",
                prefix.display()
            ),
            path,
            hint: Some("register the hook for the system, or use a directory of the environment".to_owned()),
        }),
    }
}

/// A directory that a hook may write to, if it exists and belongs to the user that runs the hook.
fn own_directory(
    path: &Path,
    uid: u32,
    environment: Option<&Environment>,
    system: &System,
) -> Result<PathBuf> {
    let place = system.resolve(path, Trust::Only(uid)).map_err(|error| match error {
        Error::Site { why, .. } => {
            let quoted = shell_quoted(path);
            let hint = match environment {
                None => format!("install -d -o {HOOK_USER} -g {HOOK_USER} {quoted}"),
                Some(_) if uid == caller::uid() => format!("mkdir -p {quoted}"),
                Some(_) => format!("install -d -o {uid} {quoted}"),
            };
            let why = format!("{why}, and the hook is to write there");
            Error::Unusable { path: path.to_owned(), why, hint: Some(hint) }
        }
        error => error,
    })?;
    let unusable =
        |why: String, hint: String| Error::Unusable { path: place.path.clone(), why, hint: Some(hint) };
    let quoted = shell_quoted(&place.path);
    if !place.is_directory {
        return Err(unusable(
            "is not a directory, so the hook can't write there".to_owned(),
            format!("ls -ld {quoted}"),
        ));
    }
    if place.owner != uid {
        let why = format!("belongs to uid {}, and the hook runs as uid {uid}", place.owner);
        return Err(unusable(why, format!("chown {uid} {quoted}")));
    }
    Ok(place.path)
}

/// The hook's own cache directory, which its process makes.
fn cache(
    hook: &Registration,
    environment: Option<&Environment>,
    uid: u32,
    system: &System,
    needs: &mut Needs,
) -> Result<PathBuf> {
    let top = match environment {
        None => {
            let hint = "systemd-tmpfiles --create epcache.conf || install -d -o epcache-hook -g epcache-hook";
            let unusable = |why: String| Error::Unusable {
                path: CACHE.into(),
                why,
                hint: Some(format!("{hint} {CACHE}")),
            };
            match system.resolve(Path::new(CACHE), Trust::Only(uid)) {
                Ok(place) if place.is_directory && place.owner == uid => place.path,
                Ok(place) => return Err(unusable(format!("belongs to uid {}, not to {uid}", place.owner))),
                Err(error) => return Err(unusable(error.to_string())),
            }
        }
        Some(environment) => {
            let top = environment.site.join(SIDECAR).join(CACHE_OF_ENVIRONMENT);
            needs.made.push(top.clone());
            top
        }
    };
    let path = top.join(&hook.name);
    needs.made.push(path.clone());
    Ok(path)
}

/// The interpreter of a site directory: the path by which it finds its environment, and what that leads to. A prefix
/// without one, such as `/usr/local` or a user's directory, has the system's.
fn interpreter(site: &Path, programs: &mut Programs<'_>) -> Result<(PathBuf, (Place, Walk))> {
    let version = site.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let system = Path::new("/usr");
    for prefix in [site.ancestors().nth(3).unwrap_or(system), system] {
        for name in [&*version, "python3", "python"] {
            let path = prefix.join("bin").join(name);
            let Some(text) = path.to_str() else { continue };
            match programs.find(text) {
                Ok(found) => return Ok((path, found)),
                Err(Error::Site { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(Error::site(site, "its interpreter was not found"))
}
