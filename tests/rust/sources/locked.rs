//! `Cargo.lock` follows the rules of `deny.toml`. `make deny` checks licenses, with a separate program.

use std::collections::BTreeMap;

use super::file;

/// Each package name, with all versions and their sources.
fn packages(lock: &str) -> BTreeMap<String, Vec<(String, Option<String>)>> {
    let lock: toml::Table = toml::from_str(lock).expect("TOML");
    let mut packages = BTreeMap::<_, Vec<_>>::new();
    for package in lock["package"].as_array().expect("packages") {
        let text = |key: &str| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let (name, version) = (text("name").expect("a name"), text("version").expect("a version"));
        packages.entry(name).or_default().push((version, text("source")));
    }
    packages
}

#[test]
fn every_package_but_ours_is_from_the_registry_and_in_one_version() {
    let packages = packages(&file("Cargo.lock"));
    assert!(packages.len() > 20, "{packages:?}");
    let policy: toml::Table = toml::from_str(&file("deny.toml")).expect("TOML");
    let skipped = policy["bans"]["skip"].as_array().expect("a list");
    let may_be_several = |name: &str| skipped.iter().any(|skip| skip["crate"].as_str() == Some(name));
    for (name, versions) in packages {
        assert!(versions.len() == 1 || may_be_several(&name), "{name}: several versions: {versions:?}");
        let ours = name == env!("CARGO_PKG_NAME");
        let allowed = (!ours).then_some("registry+https://github.com/rust-lang/crates.io-index");
        for (version, source) in versions {
            assert_eq!(source.as_deref(), allowed, "{name} {version}");
        }
    }
}
