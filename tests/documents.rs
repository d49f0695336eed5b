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

/// The endpoints of the Gist API that GitHub documents.
const ENDPOINTS: [&str; 20] = [
    "GET /gists",
    "POST /gists",
    "GET /gists/public",
    "GET /gists/starred",
    "GET /users/LOGIN/gists",
    "GET /gists/ID",
    "PATCH /gists/ID",
    "DELETE /gists/ID",
    "GET /gists/ID/SHA",
    "GET /gists/ID/commits",
    "GET /gists/ID/forks",
    "POST /gists/ID/forks",
    "GET /gists/ID/star",
    "PUT /gists/ID/star",
    "DELETE /gists/ID/star",
    "GET /gists/ID/comments",
    "POST /gists/ID/comments",
    "GET /gists/ID/comments/COMMENT",
    "PATCH /gists/ID/comments/COMMENT",
    "DELETE /gists/ID/comments/COMMENT",
];

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

#[test]
fn every_endpoint_has_a_path_or_a_command_and_a_test_that_exists() {
    let text = read("doc/SEMANTICS.md");
    let (_, page) = text.split_once("\n## The Gist API and where it is\n").expect("the table");
    let page = page.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for endpoint in ENDPOINTS {
        let row = format!("| `{endpoint}` | ");
        assert!(rows.iter().any(|line| line.starts_with(&row)), "no row for {endpoint}");
    }
    for row in rows {
        let endpoint = row.split('`').nth(1).unwrap_or_default();
        assert!(ENDPOINTS.contains(&endpoint), "no endpoint that GitHub documents: {endpoint}");
        let tests = named_tests(row);
        assert!(!tests.is_empty(), "no test is named: {row}");
        for (file, name) in tests {
            assert!(has_test(&read(&format!("{file}.rs")), name), "{file}.rs has no test {name}");
        }
    }
}
