//! Restricts the files that a job reaches, by Landlock (Linux 5.13 and newer).

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Grant, Needs, Part, Program, Reach, State};
use crate::sys::fs::Links;
use crate::sys::tree::Entry;

/// The version that is requested, that of Linux 6.12. An older kernel enforces what it knows.
const WANTED: ABI = ABI::V6;

/// Lets this process reach what `needs` names and nothing else, and verifies that.
pub fn enter(needs: &Needs) -> io::Result<Part> {
    let restricted = match restrict(needs) {
        Ok(restricted) => restricted,
        Err(error) => return Ok(Part::new(State::Missing, error.to_string())),
    };
    let (state, found) = match (restricted.ruleset, restricted.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            return Ok(Part::new(State::Missing, "not enabled when this kernel was started"));
        }
        (RulesetStatus::NotEnforced, _) => {
            return Ok(Part::new(State::Missing, "not supported by this kernel, or not allowed here"));
        }
        (RulesetStatus::PartiallyEnforced, found) => (State::Partial, found),
        (RulesetStatus::FullyEnforced, found) => (State::Enforced, found),
    };
    verify(needs)?;
    let version = match found {
        LandlockStatus::Available { effective_abi, kernel_abi } => kernel_abi.unwrap_or(effective_abi as i32),
        _ => 0,
    };
    Ok(Part::new(state, described(state, version)))
}

fn described(state: State, version: i32) -> String {
    let all = [(1, "files"), (3, "truncation"), (4, "TCP"), (5, "devices"), (6, "signals, abstract sockets")];
    let covered = all.iter().filter(|(since, _)| version >= *since).map(|(_, what)| *what);
    let covered = covered.collect::<Vec<_>>().join(", ");
    match state {
        State::Enforced => format!("{covered} (ABI {version})"),
        _ => format!("only {covered} (ABI {version}; Linux 6.12 has all)"),
    }
}

fn restrict(needs: &Needs) -> Result<RestrictionStatus, RulesetError> {
    let ruleset =
        Ruleset::default().handle_access(AccessFs::from_all(WANTED))?.scope(Scope::from_all(WANTED))?;
    let mut ruleset = match needs.program {
        Some(Program::Hook { network: true }) => ruleset,
        _ => ruleset.handle_access(AccessNet::from_all(WANTED))?,
    }
    .create()?;
    for grant in &needs.grants {
        if let Some(place) = open(grant, needs) {
            let rights = rights(grant.reach);
            let rights = if is_directory(&place) { rights } else { rights & AccessFs::from_file(WANTED) };
            ruleset = ruleset.add_rule(PathBeneath::new(place, rights))?;
        }
    }
    if needs.program == Some(Program::Interpreter) {
        let read = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
        // Without a root there is nothing to run either.
        if let Ok(root) = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            ruleset = ruleset.add_rule(PathBeneath::new(root, read))?;
        }
    }
    ruleset.restrict_self()
}

fn rights(reach: Reach) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    let run = read | AccessFs::Execute;
    match reach {
        Reach::List => AccessFs::ReadDir.into(),
        Reach::File => AccessFs::ReadFile.into(),
        Reach::Read => read,
        Reach::Index => change | AccessFs::MakeDir,
        Reach::Change => change,
        Reach::Run => run,
        Reach::Write => {
            let move_and_link = AccessFs::Refer | AccessFs::MakeSym;
            run | change | AccessFs::MakeDir | AccessFs::RemoveDir | move_and_link
        }
        Reach::Device => AccessFs::ReadFile | AccessFs::WriteFile,
    }
}

/// Opens the path of a rule as the job will open it: a link that the job would not follow is not
/// followed.
///
/// What can't be opened is not granted, and the job reports why it can't open it either. After a temporary
/// error, it is opened again: otherwise the job would only report that access was denied.
fn open(grant: &Grant, needs: &Needs) -> Option<OwnedFd> {
    let opened = open_once(grant, needs).or_else(|error| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Err(error),
        _ => open_once(grant, needs),
    });
    match opened {
        Ok(place) if grant.reach != Reach::File || is_file(&place) => Some(place),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => None,
        Err(error) => {
            log::warn!(
                "{}: access can't be granted to the unprivileged process: {error}",
                grant.path.display()
            );
            None
        }
    }
}

fn open_once(grant: &Grant, needs: &Needs) -> rustix::io::Result<OwnedFd> {
    let links = match grant.reach {
        Reach::List | Reach::Read | Reach::Change | Reach::Run => Links::Follow,
        Reach::Index | Reach::File | Reach::Write | Reach::Device => Links::Refuse,
    };
    // Only a caller's own cache is outside of a tree.
    let entry = match grant.path.starts_with(needs.system.root()) {
        true => needs.system.entry(&grant.path, links)?,
        false => Entry::of_running_system(&grant.path, links),
    };
    entry.reach(!matches!(grant.reach, Reach::File | Reach::Run | Reach::Device))
}

fn is_file(place: &OwnedFd) -> bool {
    is_of(place, FileType::RegularFile)
}

fn is_directory(place: &OwnedFd) -> bool {
    is_of(place, FileType::Directory)
}

fn is_of(place: &OwnedFd, kind: FileType) -> bool {
    rustix::fs::fstat(place).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
}

/// Keeps this process from sending signals to others than its descendants. Returns whether that is in force:
/// kernels before 6.12 can't do it.
pub fn scope_signals() -> bool {
    let restrict = || {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer)?
            .scope(Scope::Signal)?
            .create()?;
        // Every ruleset denies moving files between directories, unless it allows that.
        if let Ok(root) = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            ruleset = ruleset.add_rule(PathBeneath::new(root, AccessFs::Refer))?;
        }
        ruleset.restrict_self()
    };
    restrict().is_ok_and(|restricted| restricted.ruleset == RulesetStatus::FullyEnforced)
}

/// Tries to open something that was not granted. The first of these paths that exists decides: without
/// Landlock every user can open it.
fn verify(needs: &Needs) -> io::Result<()> {
    let (places, flags): (&[&str], _) = match needs.program {
        Some(Program::Interpreter) => (&["/dev/null"], OFlags::WRONLY),
        // It may read where programs are.
        Some(Program::Hook { .. }) => (&["/etc/passwd", "/"], OFlags::RDONLY),
        None => (&["/dev/null", "/proc/self/exe", "/etc/passwd", "/"], OFlags::RDONLY),
    };
    for place in places.iter().map(Path::new) {
        let granted = needs.grants.iter().any(|grant| {
            (grant.reach != Reach::List || place == Path::new("/")) && place.starts_with(&grant.path)
        });
        if granted {
            continue;
        }
        match rustix::fs::open(place, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()) {
            Err(Errno::ACCESS) => return Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(io::Error::other(format!("{} can be opened", place.display()))),
        }
    }
    Ok(())
}
