//! Imports point down: to a lower layer, or within a layer but never in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::sources;

/// The top-level modules of the library, the lowest layer first.
const LAYERS: &[&[&str]] = &[
    &["checksum", "encoding", "error", "freshness", "limits", "settings"],
    &["sys"],
    &["metadata"],
    &["index"],
    &["change", "config", "privilege"],
    &["site"],
    &["store"],
    &["hook", "interpreter_hook", "package_manager", "refresh"],
    &["command"],
];

/// For each top-level module, the other modules that its sources name.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The module path of the code in a file: `a/b.rs`, `a/b/mod.rs`.
fn modules_of(path: &str) -> Vec<&str> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").split('/').collect()
}

/// The code of a file without comments and without unit tests.
fn code(source: &str) -> String {
    let lines: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = lines.join("\n");
    code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// The first names of the paths behind `crate::`: one name, or those of a group in braces.
fn first_names(path: &str) -> BTreeSet<String> {
    let name = |text: &str| {
        let text = text.trim_start();
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let Some(group) = path.strip_prefix('{') else { return BTreeSet::from([name(path)]) };
    let mut names = BTreeSet::from([name(group)]);
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => drop(names.insert(name(&group[at + 1..]))),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.remove("");
    names
}

/// The top-level modules that a file names by `crate::`, or by as many `super::` as lead to the root.
fn imports(path: &str, source: &str) -> BTreeSet<String> {
    let code = code(source);
    let up = "super::".repeat(modules_of(path).len());
    let behind = |root: &str| -> BTreeSet<String> {
        let starts = code.match_indices(root).map(|(at, _)| at + root.len());
        starts.flat_map(|start| first_names(&code[start..])).collect()
    };
    &behind("crate::") | &behind(&up)
}

fn imports_of_all(sources: &BTreeMap<String, String>) -> Imports {
    let mut found = Imports::new();
    for (path, source) in sources {
        let module = modules_of(path)[0];
        if !["main", "lib"].contains(&module) {
            let others = imports(path, source).into_iter().filter(|other| other != module);
            found.entry(module.to_owned()).or_default().extend(others);
        }
    }
    found
}

/// The errors, as lines.
fn wrong(imports: &Imports) -> Vec<String> {
    let mut wrong = Vec::new();
    for (module, others) in imports {
        let Some(own) = layer(module) else {
            wrong.push(format!("{module} is in no layer: add it to LAYERS"));
            continue;
        };
        // A name without a layer, such as that of a macro, is an error if it is a module.
        let higher = others.iter().filter(|other| layer(other).is_some_and(|other| other > own));
        wrong.extend(higher.map(|other| format!("{module} imports {other}, which is in a higher layer")));
        if reachable(imports, module).contains(module) {
            wrong.push(format!("{module} is in a circle of imports"));
        }
    }
    wrong
}

/// All modules that a module imports, directly or indirectly.
fn reachable(imports: &Imports, module: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![module.to_owned()];
    while let Some(module) = left.pop() {
        for other in imports.get(&module).into_iter().flatten() {
            if found.insert(other.clone()) {
                left.push(other.clone());
            }
        }
    }
    found
}

#[test]
fn imports_point_down_and_not_in_a_circle() {
    let imports = imports_of_all(&sources("src"));
    assert!(imports.len() > 10, "{imports:?}");
    assert!(imports["command"].contains("refresh"), "{imports:?}");
    assert_eq!(wrong(&imports), [""; 0], "{imports:#?}");
}

#[test]
fn an_import_of_a_higher_layer_is_found() {
    for source in [
        "use crate::store::location::Place;",
        "fn f() -> crate::store::Place {}",
        "use crate::{\n    error::{Error, Result},\n    store::Place,\n};",
        "use super::store::Place;",
        "pub use super::{error, store};",
    ] {
        let sources = BTreeMap::from([("src/metadata/mod.rs".to_owned(), source.to_owned())]);
        let expected = "metadata imports store, which is in a higher layer";
        assert_eq!(wrong(&imports_of_all(&sources)), [expected], "{source}");
    }
}

#[test]
fn an_import_of_a_lower_layer_and_words_in_comments_are_accepted() {
    for source in [
        "use crate::error::Error;",
        "use super::store::Place;",
        "// use crate::store::Place;",
        "/// See [`crate::store`].",
        "#[cfg(test)]\nmod tests {\n    use crate::store::Place;\n}",
    ] {
        let sources = BTreeMap::from([("src/metadata/name.rs".to_owned(), source.to_owned())]);
        assert_eq!(wrong(&imports_of_all(&sources)), [""; 0], "{source}");
    }
}

#[test]
fn a_circle_within_a_layer_is_found() {
    let file = |path: &str, source: &str| (path.to_owned(), source.to_owned());
    let sources = BTreeMap::from([
        file("src/error.rs", "use crate::encoding::escape;"),
        file("src/encoding.rs", "use crate::error::Error;"),
    ]);
    let circle = |module| format!("{module} is in a circle of imports");
    assert_eq!(wrong(&imports_of_all(&sources)), [circle("encoding"), circle("error")]);
}

#[test]
fn a_module_without_a_layer_is_found() {
    let sources = BTreeMap::from([("src/novelty/mod.rs".to_owned(), String::new())]);
    assert_eq!(wrong(&imports_of_all(&sources)), ["novelty is in no layer: add it to LAYERS"]);
}
