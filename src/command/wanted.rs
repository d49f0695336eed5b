//! Which removed things a word on the command line means.

use std::collections::BTreeSet;
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::sync::trash::TrashItem;
use crate::tree::names;

/// The items that `wanted` means: by name in the list, by id, by where it was below `mountpoint`, by
/// title, by title and file, or by the beginning of a name. Of a file removed more than once it is
/// the newest; `items` come the oldest first.
pub(super) fn find<'a>(
    items: &'a [TrashItem],
    wanted: &str,
    mountpoint: Option<&Path>,
) -> Vec<&'a TrashItem> {
    let all = |fits: &dyn Fn(&TrashItem) -> bool| -> Vec<&'a TrashItem> {
        items.iter().filter(|item| fits(item)).collect()
    };
    let exact = all(&|item| item.name == wanted);
    if !exact.is_empty() {
        return exact;
    }
    let by_id = all(&|item| item.state.is_gist() && item.gist.as_deref() == Some(wanted));
    if !by_id.is_empty() {
        return by_id;
    }
    let path = std::path::absolute(wanted).ok();
    let below = mountpoint.and_then(|point| path.as_deref()?.strip_prefix(point).ok()?.to_str());
    for place in below.into_iter().chain([wanted]).map(|place| place.trim_end_matches('/')) {
        let gists = all(&|item| item.state.is_gist() && is_titled(item, place));
        if !gists.is_empty() {
            return gists;
        }
        let files = newest(all(&|item| !item.state.is_gist() && is_file(item, place)));
        if !files.is_empty() {
            return files;
        }
    }
    if wanted.is_empty() { vec![] } else { all(&|item| item.name.starts_with(wanted)) }
}

/// Only one item, or all the files of one gist, or none: else the failure that lists them.
pub(super) fn clear(wanted: &str, found: &[&TrashItem]) -> Result<(), Failure> {
    let failed = |message: String, hint: String| Err(Failure::new(Exit::Failed, message, hint));
    let distinct: BTreeSet<(&str, &str)> = found
        .iter()
        .map(|item| if item.state.is_gist() { ("", item.name.as_str()) } else { key(item) })
        .collect();
    let of_one_gist = found.iter().all(|item| !item.state.is_gist() && item.gist == found[0].gist);
    if found.is_empty() {
        failed(format!("nothing in the trash is called {wanted:?}"), "see gistfs trash list".into())
    } else if distinct.len() > 1 && !of_one_gist {
        let names: Vec<&str> = found.iter().map(|item| item.name.as_str()).collect();
        failed(
            format!("{wanted:?} stands for {} removed things", found.len()),
            format!("give one of their names: {}", names.join(", ")),
        )
    } else {
        Ok(())
    }
}

fn key(item: &TrashItem) -> (&str, &str) {
    (item.gist.as_deref().unwrap_or(&item.title), item.files.first().map_or("", |file| &file.name))
}

/// The newest of each file.
fn newest(items: Vec<&TrashItem>) -> Vec<&TrashItem> {
    let mut seen = BTreeSet::new();
    let mut newest: Vec<&TrashItem> =
        items.into_iter().rev().filter(|item| seen.insert(key(item))).collect();
    newest.reverse();
    newest
}

/// Whether the gist's directory is, or was, called so.
fn is_titled(item: &TrashItem, text: &str) -> bool {
    let id = item.gist.as_deref().unwrap_or_default();
    let directory = names::directory(&item.title, id);
    item.title == text
        || directory == text
        || names::free_directory(&directory, id, |name| name == directory) == text
}

/// Whether the file's path below the mount point was this, or its gist's.
fn is_file(item: &TrashItem, text: &str) -> bool {
    let named = |file: &str| {
        item.files.iter().any(|there| {
            there.name == file
                || crate::model::FileName::parse(&there.name)
                    .is_some_and(|name| names::file(&name, |_| false) == file)
        })
    };
    is_titled(item, text)
        || text
            .match_indices('/')
            .any(|(at, _)| is_titled(item, &text[..at]) && named(&text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::trash::{TrashFile, TrashState};

    fn item(name: &str, state: TrashState, title: &str, gist: &str, file: &str) -> TrashItem {
        TrashItem {
            name: name.into(),
            state,
            title: title.into(),
            gist: Some(gist.into()),
            removed: None,
            files: vec![TrashFile { name: file.into(), size: 1, missing: false }],
        }
    }

    fn items() -> Vec<TrashItem> {
        vec![
            item("20260101-000000-aaaaaaa", TrashState::Deleted, "Notes", "aaaaaaaaaa", "x"),
            item("20260101-000001-1111111", TrashState::File, "a/b", "bbbbbbbbbb", "f.txt"),
            item("20260101-000002-2222222", TrashState::File, "a/b", "bbbbbbbbbb", "f.txt"),
            item("20260101-000003-3333333", TrashState::Unsent, "a/b", "bbbbbbbbbb", "g\0"),
            item("20260102-000000-ccccccc", TrashState::Held, "Twice", "cccccccccc", "x"),
            item("20260102-000000-ddddddd", TrashState::Deleted, "Twice", "dddddddddd", "x"),
        ]
    }

    fn found(wanted: &str) -> Vec<String> {
        let items = items();
        let found = find(&items, wanted, Some(Path::new("/mnt/gists")));
        found.iter().map(|item| item.name[9..].replace("0000", "")).collect()
    }

    #[test]
    fn a_thing_is_meant_by_name_id_title_path_or_the_beginning_of_its_name() {
        for notes in [
            "20260101-000000-aaaaaaa",
            "20260101-000000-a",
            "aaaaaaaaaa",
            "Notes",
            "Notes (aaaaaaa)",
            "/mnt/gists/Notes",
            "/mnt/gists/Notes/",
        ] {
            assert_eq!(found(notes), ["00-aaaaaaa"], "{notes}");
        }
        for file in ["a∕b/f.txt", "/mnt/gists/a∕b/f.txt", "a/b/f.txt"] {
            assert_eq!(found(file), ["02-2222222"], "the newest: {file}");
        }
        assert_eq!(found("/mnt/gists/a∕b"), ["02-2222222", "03-3333333"]);
        let odd = names::file(&crate::model::FileName::parse("g\0").unwrap(), |_| false);
        assert_eq!(found(&format!("a∕b/{odd}")), ["03-3333333"]);
        for nothing in ["", "other", "/mnt/other/Notes", "Notes/x", "/mnt/gists"] {
            assert_eq!(found(nothing), [""; 0], "{nothing}");
        }
    }

    #[test]
    fn what_means_two_things_is_refused_with_their_names() {
        let items = items();
        let clear = |wanted| clear(wanted, &find(&items, wanted, None)).map_err(|f| f.to_string());
        assert_eq!(clear("Notes"), Ok(()));
        assert_eq!(clear("a/b"), Ok(()));
        let twice = clear("Twice").unwrap_err();
        assert!(twice.contains("-ccccccc, 20260102-000000-ddddddd"), "{twice}");
        assert!(clear("202601").is_err());
        assert!(clear("other").unwrap_err().contains("nothing in the trash is called \"other\""));
    }
}
