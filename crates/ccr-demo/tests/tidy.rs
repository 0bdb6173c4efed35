//! Rules of the workspace that no compiler checks: who may depend on whom, what a crate must not know,
//! and what a repository must hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `(crate, workspace crates it may depend on)`. Dev-dependencies are free, but for minidoris, which must
/// share no logic with what it is used to test.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("doris-thrift", &[]),
    ("doris-types", &[]),
    ("doris-client", &["doris-thrift", "doris-types"]),
    ("ccr-core", &["doris-types"]),
    ("ccr-store", &["ccr-core", "doris-types"]),
    ("ccr-syncer", &["ccr-core", "ccr-store", "doris-client", "doris-types"]),
    ("minidoris", &["doris-thrift", "doris-types"]),
    ("ccr-demo", &["ccr-syncer", "minidoris"]),
];

/// Crates that read no clock and open no connection, and the words that would show it.
const PURE_CRATES: &[&str] = &["ccr-core", "doris-types"];
const IMPURE_WORDS: &[&str] = &["SystemTime", "Instant::now", "reqwest", "TcpStream"];

const LONGEST_FILE: usize = 700;
/// Longer files, each with the reason why it is still one subject.
const LONG_FILES: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn crates() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("crates"))
        .expect("the workspace has crates")
        .map(|entry| entry.expect("a directory can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| root().join("crates").join(name).join("Cargo.toml").exists())
        .collect();
    names.sort();
    names
}

/// All `.rs` files below `dir`, as paths from the root.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.expect("a directory can be read").path();
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Names in the tables of a Cargo.toml whose heading satisfies `wanted`; enough for the plain
/// `name.workspace = true` and `name = …` forms that this workspace uses.
fn dependencies(manifest: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            inside = wanted(heading.trim_end_matches(']'));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.insert(name.trim_matches('"').to_owned());
        }
    }
    names
}

#[test]
fn crates_depend_one_way_only() {
    let ours: BTreeSet<String> = crates().into_iter().collect();
    let ruled: BTreeSet<String> = MAY_DEPEND_ON.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ours, ruled, "each crate of the workspace has a rule");
    for (name, allowed) in MAY_DEPEND_ON {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        let used = dependencies(&manifest, |heading| {
            heading == "dependencies"
                || heading.ends_with("'.dependencies")
                || heading == "build-dependencies"
        });
        for dependency in used.intersection(&ours) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_emulator_and_the_engine_never_meet() {
    let manifest = read(&root().join("crates/minidoris/Cargo.toml"));
    let used = dependencies(&manifest, |heading| heading.ends_with("dependencies"));
    for forbidden in ["ccr-core", "ccr-store", "ccr-syncer", "doris-client"] {
        assert!(!used.contains(forbidden), "minidoris must not use {forbidden}, not even in tests");
    }
    let manifest = read(&root().join("crates/ccr-core/Cargo.toml"));
    let used = dependencies(&manifest, |heading| heading == "dependencies");
    for forbidden in ["reqwest", "mysql_async", "sqlx", "rusqlite", "axum", "minidoris", "doris-client"] {
        assert!(!used.contains(forbidden), "ccr-core must not use {forbidden}");
    }
}

#[test]
fn pure_crates_know_no_clock_and_no_network() {
    for name in PURE_CRATES {
        for file in rust_files(&root().join("crates").join(name).join("src")) {
            let text = read(&file);
            for word in IMPURE_WORDS {
                assert!(!text.contains(word), "{} mentions {word}", file.display());
            }
        }
    }
}

#[test]
fn versions_are_named_once() {
    for name in crates() {
        let manifest = read(&root().join("crates").join(&name).join("Cargo.toml"));
        let mut inside = false;
        for line in manifest.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]");
            } else if inside && !line.is_empty() && !line.starts_with('#') {
                let plain = line.contains(".workspace = true") || line.contains("workspace = true");
                assert!(plain, "{name}: `{line}`: versions live in [workspace.dependencies]");
            }
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} uses the lints of the workspace");
    }
}

#[test]
fn every_crate_and_module_says_what_it_is() {
    for name in crates() {
        let dir = root().join("crates").join(&name).join("src");
        for entry in ["lib.rs", "main.rs"] {
            let path = dir.join(entry);
            if path.exists() {
                let text = read(&path);
                assert!(text.starts_with("//!"), "{} starts with a doc comment", path.display());
            }
        }
        assert!(dir.join("lib.rs").exists() || dir.join("main.rs").exists(), "{name} has an entry");
        // The module that a `tests.rs` tests has the comment.
        for path in rust_files(&dir).into_iter().filter(|path| !path.ends_with("tests.rs")) {
            assert!(read(&path).starts_with("//!"), "{} starts with a doc comment", path.display());
        }
    }
}

#[test]
fn files_stay_small() {
    let mut files = rust_files(&root().join("crates"));
    files.extend(rust_files(&root().join("tests")));
    for path in files {
        let lines = read(&path).lines().count();
        let listed = LONG_FILES.iter().any(|(name, _)| path.ends_with(name));
        assert!(lines <= LONGEST_FILE || listed, "{}: {lines} lines, and no reason listed", path.display());
        assert!(lines > LONGEST_FILE || !listed, "{} is short again: unlist it", path.display());
    }
}

#[test]
fn what_the_readme_names_exists() {
    let root = root();
    assert!(read(&root.join("LICENSE")).contains("Apache License"));
    let readme = read(&root.join("README.md"));
    for command in ["cargo run --release -p ccr-demo", "./scripts/test.sh"] {
        assert!(readme.contains(command), "README.md names `{command}`");
    }
    assert!(root.join("scripts/test.sh").exists());
    assert!(root.join("crates/ccr-demo/Cargo.toml").exists());
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/operations.md"] {
        let text = read(&root.join(page));
        let dir = root.join(page).parent().expect("pages lie in a directory").to_owned();
        for target in links(&text) {
            assert!(dir.join(&target).exists(), "{page} links to {target}, which does not exist");
        }
    }
}

/// Targets of `[text](target)` that lie in the repository.
fn links(markdown: &str) -> Vec<String> {
    markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

/// Every text in `source` that looks like an error code.
fn error_codes(source: &str) -> BTreeSet<String> {
    source
        .match_indices("CCR")
        .filter_map(|(at, _)| source.get(at..at + 7))
        .filter(|code| code.bytes().skip(3).all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_error_code_is_explained_and_none_is_invented() {
    let mut used = BTreeSet::new();
    for name in ["ccr-core", "ccr-store", "ccr-syncer", "doris-client"] {
        for file in rust_files(&root().join("crates").join(name).join("src")) {
            used.extend(error_codes(&read(&file)));
        }
    }
    let explained = error_codes(&read(&root().join("docs/errors/README.md")));
    assert_eq!(used, explained, "codes in the sources (left) and in docs/errors (right)");
}

#[cfg(unix)]
#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for script in ["scripts/test.sh", ".ci/run"] {
        let path = root().join(script);
        let mode = fs::metadata(&path).unwrap_or_else(|e| panic!("{script}: {e}")).permissions().mode();
        assert_ne!(mode & 0o111, 0, "{script} is executable");
        assert!(read(&path).starts_with("#!/usr/bin/env bash"), "{script} is for bash");
    }
}

#[test]
fn the_parser_of_manifests_reads_what_cargo_reads() {
    let manifest =
        "[dependencies]\nccr-core.workspace = true\nx = { path = \"y\" }\n\n[dev-dependencies]\nz = \"1\"\n";
    let normal = dependencies(manifest, |heading| heading == "dependencies");
    assert_eq!(normal.into_iter().collect::<Vec<_>>(), ["ccr-core", "x"]);
    let all = dependencies(manifest, |heading| heading.ends_with("dependencies"));
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["ccr-core", "x", "z"]);
}
