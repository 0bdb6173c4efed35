//! Every error code of the engine has a page in `docs/errors`, and every page a code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The text literals in `source` that are a code.
fn codes(source: &str) -> impl Iterator<Item = String> {
    source
        .split('"')
        .filter(|text| {
            text.strip_prefix("CCR")
                .is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit()))
        })
        .map(str::to_owned)
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = BTreeSet::new();
    for file in sources(&root.join("src")) {
        used.extend(codes(&fs::read_to_string(file).expect("sources are text")));
    }
    let pages = root.join("../../docs/errors");
    let mut explained = BTreeSet::new();
    for entry in fs::read_dir(&pages).expect("the pages are there") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("names are text");
        let Some(code) = name.strip_suffix(".md").filter(|code| *code != "README") else { continue };
        let text = fs::read_to_string(pages.join(&name)).expect("pages are text");
        assert!(text.starts_with(&format!("# {code}: ")), "the title of {name}");
        for part in ["**The job:**", "**The operator:**", "```text\n"] {
            assert!(text.contains(part), "{name} lacks {part}");
        }
        assert!(text.contains(&format!("```text\n{code} ")), "the example of {name}");
        explained.insert(code.to_owned());
    }
    assert_eq!(used, explained, "codes in the sources (left) and pages (right)");
    let list = fs::read_to_string(pages.join("README.md")).expect("there is a list");
    for code in &used {
        assert!(list.contains(&format!("[{code}]({code}.md)")), "{code} is not in the list");
    }
}
