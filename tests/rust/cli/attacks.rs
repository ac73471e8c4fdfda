//! Site directories of untrusted users who try to make root write elsewhere.

use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::program::{Ended, Place, UNTRUSTED_UID, give_away, run, skipped_without_root};
use crate::support::tree::{everything_below, indexed, install};

/// A site directory of an untrusted user, and one of root's with a file in it.
struct Scene {
    place: Place,
    site: PathBuf,
    treasure: PathBuf,
}

impl Scene {
    fn new() -> Option<Self> {
        if skipped_without_root("be the victim") {
            return None;
        }
        let place = Place::new();
        let site = place.directory("venv/lib/python3.13/site-packages");
        install(&site, "foo");
        let treasure = place.directory("treasure");
        fs::write(treasure.join("index"), "root's\n").expect("room");
        fs::write(treasure.join(".index.1"), "root's\n").expect("room");
        for path in everything_below(&place.path().join("venv")).into_keys() {
            give_away(&path);
        }
        Some(Self { place, site, treasure })
    }

    /// Every command that root may run on this environment.
    fn refresh(&self) -> Vec<Ended> {
        let venv = self.place.path().join("venv");
        vec![
            run(self.place.epcache(["refresh", "--full"]).arg(&self.site)),
            run(self.place.epcache(["refresh", "--full", "--venv"]).arg(venv)),
        ]
    }

    fn attack(&self, what: impl FnOnce(&Path)) -> Vec<Ended> {
        let before = everything_below(&self.treasure);
        what(&self.site);
        let ended = self.refresh();
        assert_eq!(everything_below(&self.treasure), before);
        ended
    }
}

fn belongs_to_untrusted_user(path: &Path) -> bool {
    fs::symlink_metadata(path).expect("it is there").uid() == UNTRUSTED_UID
}

#[test]
fn the_index_belongs_to_the_owner_of_the_site_directory() {
    let Some(scene) = Scene::new() else { return };
    for ended in scene.refresh() {
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    for name in ["", "index", "lock"] {
        assert!(belongs_to_untrusted_user(&scene.site.join(".epcache").join(name)), "{name}");
    }
    assert_eq!(indexed(&scene.site.join(".epcache/index")), ["foo-1.dist-info"]);
}

#[test]
fn a_link_in_place_of_the_index_directory_is_not_followed() {
    let Some(scene) = Scene::new() else { return };
    for ended in scene.attack(|site| symlink(&scene.treasure, site.join(".epcache")).expect("a link")) {
        assert_eq!(ended.status, Some(3), "{ended:?}");
    }
}

#[test]
fn links_in_the_index_directory_are_not_followed() {
    let Some(scene) = Scene::new() else { return };
    let attempts = scene.attack(|site| {
        let sidecar = site.join(".epcache");
        fs::create_dir(&sidecar).expect("a directory");
        give_away(&sidecar);
        for name in ["index", "lock", ".index.1"] {
            symlink(scene.treasure.join("index"), sidecar.join(name)).expect("a link");
            give_away(&sidecar.join(name));
        }
    });
    for ended in attempts {
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    assert!(belongs_to_untrusted_user(&scene.site.join(".epcache/index")));
    assert_eq!(indexed(&scene.site.join(".epcache/index")), ["foo-1.dist-info"]);
}

#[test]
fn links_to_files_that_their_owner_may_not_read_expose_nothing() {
    let Some(scene) = Scene::new() else { return };
    let hidden = scene.place.directory("hidden");
    fs::set_permissions(&hidden, Permissions::from_mode(0o700)).expect("ours");
    let secret = install(&hidden, "secret");
    // A link to a distribution of root's: nothing of it is read with root's rights.
    let attempts = scene.attack(|site| {
        symlink(&secret, site.join("x-1.dist-info")).expect("a link");
        symlink(secret.join("entry_points.txt"), site.join("foo-1.dist-info/zoo")).expect("a link");
        fs::remove_file(site.join("foo-1.dist-info/entry_points.txt")).expect("root may");
        symlink(secret.join("entry_points.txt"), site.join("foo-1.dist-info/entry_points.txt"))
            .expect("a link");
    });
    assert!(attempts.iter().all(|ended| ended.status == Some(0)), "{attempts:?}");
    let index = fs::read_to_string(scene.site.join(".epcache/index")).expect("an index");
    assert!(!index.contains("secret"), "{index}");
    let listed = run(scene.place.epcache(["list", "--site"]).arg(&scene.site));
    assert!(!listed.out.contains("secret"), "{listed:?}");
}

#[test]
fn a_site_directory_swapped_with_a_link_exposes_nothing() {
    let Some(scene) = Scene::new() else { return };
    let hidden = scene.place.directory("hidden");
    fs::set_permissions(&hidden, Permissions::from_mode(0o700)).expect("ours");
    install(&hidden, "secret");
    // Root could write here even without capabilities.
    fs::set_permissions(&scene.site, Permissions::from_mode(0o777)).expect("root may");
    let link = scene.site.with_file_name("link");
    symlink(&hidden, &link).expect("a link");
    let exchange =
        || renameat_with(CWD, &scene.site, CWD, &link, RenameFlags::EXCHANGE).expect("both are there");
    let open = |path: &Path| File::open(path).expect("root may");
    let places = [(open(&scene.site), UNTRUSTED_UID, "foo"), (open(&hidden), 0, "secret")];
    let done = AtomicBool::new(false);
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                exchange();
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        for _ in 0..150 {
            scene.refresh();
            for (directory, owner, name) in &places {
                let sidecar = PathBuf::from(format!("/proc/self/fd/{}/.epcache", directory.as_raw_fd()));
                if !sidecar.exists() {
                    continue;
                }
                let is_another_s =
                    |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|stat| stat.uid() != *owner);
                wrong.extend(
                    everything_below(&sidecar).keys().filter(is_another_s).map(|path| (*name, path.clone())),
                );
                let index = sidecar.join("index");
                if index.exists() && indexed(&index) != [format!("{name}-1.dist-info")] {
                    wrong.push((name, index));
                }
                let _ = fs::remove_dir_all(&sidecar);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(wrong.is_empty(), "{wrong:?}");
    if scene.site.is_symlink() {
        exchange();
    }
    for path in everything_below(&scene.site).keys() {
        assert!(belongs_to_untrusted_user(path), "{}", path.display());
    }
    for path in everything_below(&hidden).keys() {
        assert!(!belongs_to_untrusted_user(path), "{}", path.display());
    }
}

#[test]
fn a_cache_directory_replaced_by_a_link_is_not_followed() {
    let Some(scene) = Scene::new() else { return };
    let tree = crate::support::tree::Tree::new(&scene.place);
    install(&tree.site, "bar");
    let cache = tree.root.join("var/cache/epcache");
    symlink(&scene.treasure, cache.join("usr")).expect("a link");
    let before = everything_below(&scene.treasure);
    let ended = run(scene.place.epcache(["trigger", "dpkg"]).env("DPKG_ROOT", &tree.root));
    assert!(ended.status == Some(0) && ended.err.contains("cache/epcache/usr"), "{ended:?}");
    let ended = run(scene.place.epcache(["refresh", "--system", "--root"]).arg(&tree.root));
    assert!(ended.status == Some(3) && ended.err.contains("hint: "), "{ended:?}");
    assert_eq!(everything_below(&scene.treasure), before);
}
