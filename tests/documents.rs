//! What the documents promise is shown by tests that exist.

use std::collections::BTreeMap;
use std::path::Path;

/// The page whose every sentence names the test that shows it.
const PAGE: &str = "## What happens when…";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sentences of the page: list items, with their further lines joined.
fn sentences(page: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in page.lines() {
        if let Some(item) = line.strip_prefix("- ") {
            items.push(item.to_owned());
        } else if let Some(more) = line.strip_prefix("  ") {
            let item = items.last_mut().expect("a list item before its further lines");
            item.push(' ');
            item.push_str(more.trim());
        } else {
            let heading = line.starts_with('#') || line.is_empty();
            assert!(heading, "neither heading nor sentence with its test: {line}");
        }
    }
    items
}

/// What stands between backticks and looks like `tests/mount/ends.rs::name`.
fn named_tests(sentence: &str) -> Vec<(&str, &str)> {
    let quoted = sentence.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once(".rs::")).collect()
}

/// Whether `source` has a test function of that name.
fn has_test(source: &str, name: &str) -> bool {
    let (mut marked, call) = (false, format!("fn {name}("));
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if line.contains("fn ") {
            if marked && line.contains(&call) {
                return true;
            }
            marked = false;
        }
    }
    false
}

#[test]
fn every_sentence_of_what_happens_when_names_tests_that_exist() {
    let text = read("doc/SEMANTICS.md");
    let (_, page) = text.split_once(PAGE).expect("the page");
    let page = page.split("\n## ").next().unwrap_or_default();
    let mut sources = BTreeMap::new();
    let sentences = sentences(page);
    assert!(sentences.len() > 40, "only {} sentences", sentences.len());
    for sentence in &sentences {
        let tests_begin =
            [" `tests/", " `src/"].into_iter().filter_map(|at| sentence.find(at)).min();
        let words = &sentence[..tests_begin.unwrap_or(sentence.len())];
        assert!(words.ends_with('.'), "no sentence: {sentence}");
        assert_eq!(words.matches(". ").count(), 0, "more than one sentence: {sentence}");
        let tests = named_tests(sentence);
        assert!(!tests.is_empty(), "no test is named: {sentence}");
        for (file, name) in tests {
            let source =
                sources.entry(file.to_owned()).or_insert_with(|| read(&format!("{file}.rs")));
            assert!(has_test(source, name), "{file}.rs has no test {name}");
        }
    }
}
