//! Trees of other systems, such as unpacked images, whose makers want root to work outside of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::program::{Ended, Place, give_away, run, skipped_without_root};
use crate::support::tree::{CACHE_USER, Tree, account, become_user, everything_below, indexed, install};

/// Every path below the root that is looked up, and those above it.
const PATHS: [&str; 23] = [
    "etc",
    "etc/passwd",
    "etc/epcache",
    "etc/epcache/config.toml",
    "opt",
    "opt/venv",
    "opt/venv/lib",
    "opt/venv/lib/python3.13",
    "opt/venv/lib/python3.13/site-packages",
    "opt/venv/lib/python3.13/site-packages/.epcache",
    "usr",
    "usr/lib",
    "usr/lib/epcache",
    "usr/lib/epcache/config.toml",
    "usr/lib/epcache/index",
    "usr/lib/epcache/index/usr/lib/python3/dist-packages",
    "usr/lib/python3",
    "usr/lib/python3/dist-packages",
    "var",
    "var/cache",
    "var/cache/epcache",
    "var/cache/epcache/usr",
    "var/cache/epcache/usr/lib/python3/dist-packages",
];

/// A tree with everything that is looked up, with indexes, and a directory beside it.
struct Scene {
    place: Place,
    tree: Tree,
    outside: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        let tree = Tree::new(&place);
        install(&tree.site, "secret");
        place.directory("tree/opt/venv/lib/python3.13");
        let venv = place.directory("tree/opt/venv/lib/python3.13/site-packages");
        install(&venv, "hidden");
        for path in everything_below(&place.path().join("tree/opt/venv")).into_keys() {
            chown(path, Some(CACHE_USER), Some(CACHE_USER)).expect("root may");
        }
        place.directory("tree/usr/lib/epcache");
        fs::write(tree.root.join("usr/lib/epcache/config.toml"), "").expect("room");
        tree.configure("");
        let outside = place.directory("outside");
        let scene = Self { place, tree, outside };
        assert_all_work(&scene.all());
        assert!(scene.tree.index.exists() && venv.join(".epcache/index").exists());
        scene
    }

    /// Every command that root may run on a tree.
    fn all(&self) -> Vec<Ended> {
        let root = |arguments: &[&str]| run(self.place.epcache(arguments).arg("--root").arg(&self.tree.root));
        vec![
            root(&["refresh", "--no-seal", "--full", "--system"]),
            root(&["refresh", "--no-seal", "--full", "--venv", "/opt/venv"]),
            root(&["refresh", "--no-seal", "--full", "/opt/venv/lib/python3.13/site-packages"]),
            run(self.place.epcache(["trigger", "dpkg"]).env("DPKG_ROOT", &self.tree.root)),
            root(&["list", "--system", "--venv", "/opt/venv"]),
            root(&["status", "--system", "--venv", "/opt/venv"]),
            root(&["verify", "--system", "--venv", "/opt/venv"]),
            root(&["refresh", "--seal", "--usr", "--system"]),
        ]
    }

    /// Moves `path` out of the tree, and leaves a link.
    fn lead_out(&self, path: &str, relative: bool) {
        let inside = self.tree.root.join(path);
        let moved = self.outside.join("moved");
        fs::rename(&inside, &moved).expect("ours");
        let target = match relative {
            // More than enough to come to the root of the running system.
            true => Path::new(&"../".repeat(30)).join(moved.strip_prefix("/").expect("absolute")),
            false => moved,
        };
        symlink(target, inside).expect("a link");
    }
}

fn assert_all_work(all: &[Ended]) {
    for (number, ended) in all.iter().enumerate() {
        // For `status`, an index is unsettled so shortly after an installation.
        let worked = ended.status == Some(0) || number == 5 && ended.out.contains(": unsettled: ");
        assert!(worked && ended.err.is_empty(), "{ended:?}");
    }
}

#[test]
fn no_link_leads_root_out_of_a_tree() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    for path in PATHS {
        for relative in [false, true] {
            let scene = Scene::new();
            scene.lead_out(path, relative);
            let before = everything_below(&scene.outside);
            let kind = if relative { "relative" } else { "absolute" };
            let all = scene.all();
            assert_eq!(everything_below(&scene.outside), before, "{path}, {kind}: {all:#?}");
            assert_eq!(all[3].status, Some(0), "a trigger; {path}, {kind}: {all:#?}");
            // Nothing is read there either, and some command says so.
            let is_outside =
                |name: &str| everything_below(&scene.outside).keys().any(|path| path.ends_with(name));
            for (name, entry) in [("secret-1.dist-info", "g: secret"), ("hidden-1.dist-info", "g: hidden")] {
                let listed = all[4].out.contains(entry);
                assert!(!(is_outside(name) && listed), "{path}, {kind}: {all:#?}");
            }
            let reported = all.iter().any(|ended| !ended.err.is_empty());
            assert!(reported, "{path}, {kind}: {all:#?}");
        }
    }
}

#[test]
fn links_within_a_tree_are_followed_as_the_tree_itself_would() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    // Directories of indexes may be no links, and an environment does not lead out of itself.
    let strict = ["var/cache/epcache", "usr/lib/epcache/index", "opt/venv/"];
    for path in PATHS.into_iter().filter(|path| !strict.iter().any(|start| path.starts_with(start))) {
        for target in ["/srv/moved", "../../../../../../../../../../srv/moved"] {
            let scene = Scene::new();
            let root = &scene.tree.root;
            fs::create_dir(root.join("srv")).expect("a directory");
            fs::rename(root.join(path), root.join("srv/moved")).expect("ours");
            symlink(target, root.join(path)).expect("a link");
            let before = everything_below(&scene.outside);
            eprintln!("{path} is a link to {target}");
            let all = scene.all();
            // The last command is for what is in /usr, when all links have been followed.
            let is_in_usr = !path.starts_with("usr") || path.starts_with("usr/lib/epcache");
            assert_all_work(if is_in_usr { &all } else { &all[..7] });
            assert_eq!(everything_below(&scene.outside), before);
        }
    }
}

#[test]
fn the_error_names_the_link_and_where_it_leads() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    let scene = Scene::new();
    scene.lead_out("var/cache", false);
    let ended = run(scene.place.epcache(["refresh", "--system", "--root"]).arg(&scene.tree.root));
    let (root, moved) = (scene.tree.root.display(), scene.outside.join("moved"));
    let why = format!("{root}/var/cache is a link to {}, which does not exist below {root}", moved.display());
    let hint = format!("hint: systemd-tmpfiles --root={root} --create epcache.conf");
    assert!(ended.err.contains(&why) && ended.err.contains(&hint), "{ended:?}");
}

#[test]
fn a_database_outside_of_the_tree_is_no_witness() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    for inside in [true, false] {
        let scene = Scene::new();
        let directory = scene.place.directory("tree/var/lib/dpkg");
        let database = if inside { directory.clone() } else { scene.outside.clone() };
        fs::write(database.join("status-file"), "Package: x\n").expect("room");
        let target = if inside { "/var/lib/dpkg/status-file".into() } else { database.join("status-file") };
        symlink(target, directory.join("status")).expect("a link");
        let refresh = ["refresh", "--seal", "--json", "--system", "--root"];
        let ended = run(scene.place.epcache(refresh).arg(&scene.tree.root));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.out.contains("\"sealed\":true"), inside, "{ended:?}");
    }
}

#[test]
fn directories_swapped_with_links_do_not_lead_root_out_of_a_tree() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    for path in
        ["etc", "var", "var/cache", "usr/lib/python3", "usr/lib/python3/dist-packages", "opt/venv/lib"]
    {
        let scene = Scene::new();
        let inside = scene.tree.root.join(path);
        let moved = scene.outside.join("moved");
        // Outside there is all that would be needed, with the right owners.
        let copied = Command::new("cp").arg("-a").arg(&inside).arg(&moved).status();
        assert!(copied.expect("cp").success());
        let link = scene.tree.root.join("link");
        symlink(&moved, &link).expect("a link");
        let before = everything_below(&scene.outside);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    renameat_with(CWD, &inside, CWD, &link, RenameFlags::EXCHANGE).expect("both are there");
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            });
            for _ in 0..10 {
                scene.all();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(everything_below(&scene.outside), before, "{path}");
    }
}

#[test]
fn a_caller_with_few_descriptors_leaves_no_wrong_index() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    // The shell that runs a script of a package needs 11.
    for limit in 8..=16 {
        let scene = Scene::new();
        let deep = "a/b/c/d/e/f/g/h/i/j/k/l";
        let site = scene.place.directory(&format!("tree/{deep}"));
        install(&site, "foo");
        scene.tree.configure(&format!("site-directories = ['/{deep}']"));
        let trigger = |limit: u32| {
            let mut shell = Command::new("sh");
            let script = format!("ulimit -n {limit} && exec \"$0\" trigger dpkg");
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_epcache")]).env("DPKG_ROOT", &scene.tree.root);
            run(shell)
        };
        assert_eq!(trigger(64).err, "");
        let index = scene.tree.root.join("var/cache/epcache").join(deep).join("index");
        assert!(fs::read_to_string(&index).expect("an index").contains("foo\t1"));
        // Rebuilt in place: the directory of the distributions does not change.
        let distribution = site.join("foo-1.dist-info");
        fs::write(distribution.join("new"), "Metadata-Version: 2.1\nName: foo\nVersion: 2\n").expect("room");
        fs::rename(distribution.join("new"), distribution.join("METADATA")).expect("ours");
        let mtime = || fs::metadata(&site).and_then(|meta| meta.modified()).expect("it is there");
        let before = mtime();
        let ended = trigger(limit);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let text = fs::read_to_string(&index).unwrap_or_default();
        assert!(!text.contains("foo\t1") || mtime() > before, "{limit}: {ended:?}");
    }
}

#[test]
fn a_tree_below_a_private_directory_is_refreshed() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    let scene = Scene::new();
    fs::set_permissions(scene.place.path(), Permissions::from_mode(0o700)).expect("ours");
    install(&scene.tree.site, "foo");
    let ended = run(scene.place.epcache(["trigger", "dpkg"]).env("DPKG_ROOT", &scene.tree.root));
    assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
    assert_eq!(indexed(&scene.tree.index), ["foo-1.dist-info", "secret-1.dist-info"]);
}

#[test]
fn another_user_indexes_a_tree_in_a_cache_of_their_own() {
    if skipped_without_root("own a tree") {
        return;
    }
    let scene = Scene::new();
    fs::remove_dir_all(scene.tree.root.join("var/cache/epcache/usr")).expect("ours");
    let cache = scene.place.directory("cache");
    give_away(&cache);
    let command = |name: &str| {
        let mut command = scene.place.epcache_as_untrusted_user([name, "--system", "--root"]);
        run(command.arg(&scene.tree.root).env("XDG_CACHE_HOME", &cache))
    };
    let ended = command("refresh");
    assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
    let index = cache.join("epcache/usr/lib/python3/dist-packages/index");
    assert_eq!(indexed(&index), ["secret-1.dist-info"]);
    assert_eq!(command("list").status, Some(0));
}

#[test]
fn no_process_gets_the_uid_of_an_account_that_can_log_in() {
    if skipped_without_root("work on a tree as other users") {
        return;
    }
    let Some((name, uid)) = account(true) else { return };
    let scene = Scene::new();
    become_user(&scene.tree, uid, CACHE_USER);
    let venv = scene.tree.root.join("opt/venv/lib/python3.13/site-packages");
    for path in everything_below(&scene.tree.root.join("opt/venv")).into_keys() {
        chown(path, Some(uid), None).expect("root may");
    }
    let stamp =
        |path: &Path| (fs::metadata(path).expect("it is there").ino(), fs::read(path).expect("a file"));
    let indexes = [scene.tree.index.clone(), venv.join(".epcache/index")];
    let before = indexes.each_ref().map(|path| stamp(path));
    let mtime = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).expect("it is there");
    let times = [mtime(&scene.tree.site), mtime(&venv)];
    let root = &scene.tree.root;
    let hint = format!("hint: if you trust its programs: chroot {} epcache refresh --system", root.display());
    let all = scene.all();
    for ended in &all[..4] {
        assert!(ended.err.contains(&format!("the uid {uid} is that of the user {name}")), "{ended:?}");
        assert!(ended.err.contains(&hint), "{ended:?}");
    }
    assert_eq!(all[3].status, Some(0), "{all:#?}");
    // Nothing is written, and what is there is not believed any more.
    assert_eq!(indexes.each_ref().map(|path| stamp(path)), before);
    assert!(mtime(&scene.tree.site) > times[0] && mtime(&venv) > times[1]);
    // To read, no particular user is needed.
    assert!(all[4].status == Some(0) && all[4].out.lines().count() == 2, "{all:#?}");
    assert_eq!((all[5].status, all[6].err.as_str()), (Some(1), ""), "{all:#?}");
}
