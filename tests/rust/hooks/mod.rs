//! Registered hooks: how they run, what they can't do, and what they are given.

mod delivery;
mod hostile;
mod kernels;
mod running;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::program::{Ended, Place, give_away, is_root, run};
use crate::support::tree::{everything_below, install, text};

/// An environment whose hooks are enabled.
pub struct Environment {
    pub place: Place,
    pub prefix: PathBuf,
    pub site: PathBuf,
    /// Whether it belongs to a user without privileges.
    is_given_away: bool,
}

impl Environment {
    /// One of the current user, or of a user without privileges if root can make one.
    pub fn new(is_given_away: bool) -> Self {
        let place = Place::new();
        let prefix = place.directory("venv");
        let site = place.directory("venv/lib/python3.13/site-packages");
        install(&site, "base");
        let environment = Self { place, prefix, site, is_given_away };
        environment.give_away();
        let enabled = run(environment.place.epcache(["enable", "--hooks", text(&environment.site)]));
        assert_eq!(enabled.status, Some(0), "{enabled:?}");
        environment
    }

    /// Registers a hook that runs a script, with further lines of its registration.
    pub fn register(&self, name: &str, lines: &str, script: &str) {
        let program = self.program(name, script);
        let program = text(program.strip_prefix(&self.prefix).expect("below it")).to_owned();
        self.registration(name, &format!("command = ['{program}', 'word']\n{lines}"));
    }

    /// Makes a program of the environment.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let program = self.prefix.join("bin").join(name);
        fs::create_dir_all(self.prefix.join("bin")).expect("a directory");
        fs::write(&program, script).expect("room");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
        self.give_away();
        program
    }

    pub fn registration(&self, name: &str, lines: &str) -> PathBuf {
        let directory = self.prefix.join("share/epcache/hooks.d");
        fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join(format!("{name}.toml"));
        fs::write(&file, format!("description = 'a test'\n{lines}")).expect("room");
        self.give_away();
        file
    }

    pub fn install(&self, name: &str) {
        install(&self.site, name);
        self.give_away();
    }

    pub fn give_away(&self) {
        if self.is_given_away {
            everything_below(&self.prefix).into_keys().for_each(|path| give_away(&path));
        }
    }

    /// The user as whom its hooks run.
    pub fn owner(&self) -> u32 {
        fs::metadata(&self.site).expect("a directory").uid()
    }

    pub fn refresh(&self) -> Ended {
        run(self.place.epcache(["refresh", text(&self.site)]))
    }

    pub fn journal(&self) -> serde_json::Value {
        let bytes = fs::read(self.site.join(".epcache/hook-journal")).unwrap_or_else(|_| b"{}".to_vec());
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// What a hook printed last.
    pub fn output(&self, hook: &str) -> String {
        let journal = self.journal();
        let output = &journal["hooks"][hook]["last"]["output"];
        output.as_str().unwrap_or_else(|| panic!("{journal}")).to_owned()
    }

    /// Whether nothing is left to be given to a hook.
    pub fn is_done(&self, hook: &str) -> bool {
        let journal = self.journal();
        let pending = &journal["hooks"][hook];
        pending["changes"] == serde_json::json!([]) && pending["everything"] == false
    }
}

/// The environments in which a test is repeated: one of the current user and, where root can make one, one of another.
pub fn environments() -> Vec<Environment> {
    let mut all = vec![Environment::new(false)];
    if is_root() {
        all.push(Environment::new(true));
    }
    all
}

/// Processes that run as a hook of this name.
pub fn processes(hook: &str) -> Vec<PathBuf> {
    let is_of_hook = |path: &PathBuf| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == format!("EPCACHE_HOOK={hook}").as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("a listing").flatten().map(|entry| entry.path());
    entries.filter(|path| is_of_hook(path) && !is_zombie(path)).collect()
}

fn is_zombie(process: &Path) -> bool {
    fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains(") Z "))
}
