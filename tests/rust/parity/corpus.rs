//! The seeds of fuzzing, and the interesting inputs found since, where fuzzing has run.

use std::path::Path;

/// The files of a target, always in the same order.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let fuzz = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"));
    let mut paths = Vec::new();
    for place in ["seeds", "corpus"] {
        let found = std::fs::read_dir(fuzz.join(place).join(target)).into_iter().flatten().flatten();
        let mut found: Vec<_> = found.map(|entry| entry.path()).collect();
        assert!(place == "corpus" || !found.is_empty(), "no seeds for {target}");
        found.sort();
        paths.extend(found);
    }
    paths.iter().map(|path| std::fs::read(path).expect("readable")).collect()
}
