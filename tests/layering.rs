//! The module map is true: arrows point down only, and each outside crate has one home.

#![expect(clippy::unwrap_used, reason = "a test says by failing what it missed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules from top to bottom; a module may use those behind its own line only.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["command"],
    &["mount"],
    &["kernel", "config"],
    &["fs", "auth"],
    &["tree", "sync"],
    &["store", "api", "demo"],
    &["cli", "exit", "error"],
    &["model", "measured"],
];

/// Crates that only the named files, or files below the named modules, may use.
const HOMES: &[(&str, &[&str])] = &[
    ("fuser", &["kernel", "mount"]),
    ("reqwest", &["api"]),
    ("serde_json", &["api/", "store/", "sync/events", "mount/", "command", "demo/"]),
    ("rusqlite", &["store/db"]),
    ("diffy", &["sync/lines"]),
    ("lru", &["store/memory", "sync/classes", "sync/history", "sync/others"]),
    ("memmap2", &["model/buffer"]),
    ("sha1", &["model", "api/token"]),
    ("jiff", &["model", "demo"]),
    ("url", &["model/address"]),
    ("clap", &["cli", "main"]),
    ("env_logger", &["mount/background"]),
    ("directories", &["config", "command/demo"]),
    ("indicatif", &["command/progress"]),
    ("signal_hook", &["mount", "command"]),
    ("axum", &["demo"]),
    ("http_body", &["demo"]),
    ("git2", &["demo"]),
    ("graphql_parser", &["demo/graphql"]),
    ("tokio", &["demo"]),
    ("tower_http", &["demo"]),
];

/// Every source file with its path below `src`, without `.rs`.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut directories = vec![src.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&src).unwrap().with_extension("");
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((name.to_str().unwrap().to_owned(), code(&text)));
            }
        }
    }
    assert!(files.len() > 30, "the sources were not found");
    files
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("the module {module:?} has no place in the map"))
}

#[test]
fn arrows_point_down_only() {
    for (file, text) in sources() {
        let own = file.split('/').next().unwrap();
        if own == "lib" {
            continue;
        }
        let used: BTreeSet<&str> = ["crate::", "gistfs::"]
            .iter()
            .flat_map(|prefix| text.split(prefix).skip(1))
            .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
            .filter(|module| LAYERS.iter().any(|layer| layer.contains(module)))
            .collect();
        for module in used.into_iter().filter(|module| *module != own) {
            assert!(layer(own) < layer(module), "{file} uses {module}, which is not below it");
        }
    }
}

#[test]
fn every_module_has_its_place_in_the_map() {
    for (file, _) in sources() {
        let own = file.split('/').next().unwrap();
        if own != "lib" {
            layer(own);
        }
    }
}

#[test]
fn each_outside_crate_has_one_home() {
    for (file, text) in sources() {
        for (name, homes) in HOMES {
            let used =
                text.contains(&format!("{name}::")) || text.contains(&format!("use {name} "));
            let at_home = homes.iter().any(|home| file.starts_with(home));
            assert!(!used || at_home, "{file} uses {name}, whose home is {homes:?}");
        }
    }
}

#[test]
fn the_file_system_does_not_know_fuse_and_the_tree_no_network() {
    for (file, text) in sources() {
        if file.starts_with("tree") {
            assert!(!text.contains("crate::api") && !text.contains("crate::sync"), "{file}");
        }
        if file.starts_with("store") {
            assert!(!text.contains("Ino"), "{file} knows inodes");
        }
    }
}
