//! From descriptions and API names to names that a directory can hold.

use crate::model::{BlobId, FileName};

/// The longest name a directory entry may have, in bytes.
pub const LONGEST: usize = 255;

/// The longest name made of a description, in bytes; room is left for a suffix.
const LONGEST_TITLE: usize = 200;

/// Directories at the root that are gistfs' own.
pub const AT_ROOT: [&str; 5] = [".gistfs", ".starred", ".users", ".public", ".by-id"];

/// The directory in every gist that is gistfs' own.
pub const IN_GIST: &str = ".gist";

/// Whether `name` at the root is kept for gistfs' own views.
pub fn reserved_at_root(name: &str) -> bool {
    name == IN_GIST || AT_ROOT.contains(&name)
}

/// Whether `name` in a gist is kept for gistfs' own use.
pub fn reserved_in_gist(name: &str) -> bool {
    name == IN_GIST
}

/// The directory name of a gist, before anybody looks whether it is free.
///
/// `title` is the description or, without one, the first file's name; `id` stands in where
/// neither leaves anything to see.
pub fn directory(title: &str, id: &str) -> String {
    let safe: String = title
        .chars()
        .map(|c| match c {
            '/' => '∕',
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
            c => c,
        })
        .collect();
    let safe = safe.trim();
    let cut = if safe.len() > LONGEST_TITLE {
        let end = (0..=LONGEST_TITLE - '…'.len_utf8()).rev().find(|at| safe.is_char_boundary(*at));
        format!("{}…", safe[..end.unwrap_or(0)].trim_end())
    } else {
        safe.to_owned()
    };
    match cut.as_str() {
        "" | "." | ".." => id.to_owned(),
        _ => cut,
    }
}

/// A free directory name: the wanted one, else with ` (ID7)`, else with ever more of the id.
///
/// A reserved name is never free.
pub fn free_directory(wanted: &str, id: &str, mut taken: impl FnMut(&str) -> bool) -> String {
    let mut free = |name: &str| !reserved_at_root(name) && !taken(name);
    if free(wanted) {
        return wanted.to_owned();
    }
    let short = id.get(..7).unwrap_or(id);
    let name = format!("{wanted} ({short})");
    if free(&name) {
        return name;
    }
    let name = format!("{wanted} ({id})");
    if free(&name) {
        return name;
    }
    // Only gists without an id of their own, made and titled alike, come this far.
    (2_u64..)
        .map(|number| format!("{wanted} ({number})"))
        .find(|name| free(name))
        .unwrap_or_else(|| id.to_owned())
}

/// The name shown for a file: the API's own where a path can hold it and it is free.
///
/// Another is made safe and marked with digits of its hash, as many as it takes to be free, so
/// that no two names of a gist are ever shown alike.
pub fn file(name: &FileName, taken: impl Fn(&str) -> bool) -> String {
    let original = name.as_str();
    if holdable(original) && !taken(original) {
        return original.to_owned();
    }
    let safe: String = original
        .chars()
        .map(|c| match c {
            '/' => '∕',
            '\0' => ' ',
            c => c,
        })
        .collect();
    let (stem, extension) = match safe.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => {
            (stem, format!(".{extension}"))
        }
        Some(_) | None => (safe.as_str(), String::new()),
    };
    let room = LONGEST_TITLE.min(stem.len());
    let end = (0..=room).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    let hash = BlobId::of(original.as_bytes()).to_string();
    let marked = |mark: &str| format!("{} ({mark}){extension}", &stem[..end]);
    // Somebody may have named a file just like a marked one; then more of the hash tells them
    // apart, and numbers where even that was foreseen.
    [7, 20]
        .iter()
        .map(|digits| marked(&hash[..*digits]))
        .chain((2_u32..).map(|number| marked(&number.to_string())))
        .find(|name| !taken(name))
        .unwrap_or(hash)
}

/// Whether a path can hold the name as it is, and nothing of gistfs' own is called so.
pub fn holdable(name: &str) -> bool {
    !name.contains(['/', '\0'])
        && !matches!(name, "." | "..")
        && name.len() <= LONGEST
        && !reserved_in_gist(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_description_becomes_a_name_that_a_directory_can_hold() {
        assert_eq!(directory("Hello World Examples", "1"), "Hello World Examples");
        assert_eq!(directory("a/b\nc\u{7}d", "1"), "a∕b c d");
        assert_eq!(directory("  spaces \t", "1"), "spaces");
        for nothing in ["", " ", "\n", ".", "..", "\u{1}"] {
            assert_eq!(directory(nothing, "aa5a315d"), "aa5a315d", "{nothing:?}");
        }
        let long = directory(&"é".repeat(300), "1");
        assert!(long.len() <= 200 && long.ends_with("é…"), "{long}");
    }

    #[test]
    fn a_taken_or_reserved_name_gets_the_id() {
        let id = "aa5a315d61ae9438b18d";
        assert_eq!(free_directory("x", id, |_| false), "x");
        assert_eq!(free_directory("x", id, |name| name == "x"), "x (aa5a315)");
        assert_eq!(free_directory(".starred", id, |_| false), ".starred (aa5a315)");
        let taken = ["x", "x (aa5a315)"];
        assert_eq!(
            free_directory("x", id, |name| taken.contains(&name)),
            "x (aa5a315d61ae9438b18d)"
        );
    }

    #[test]
    fn file_names_are_github_s_where_a_path_can_hold_them() {
        let shown = |name: &str| file(&FileName::parse(name).unwrap(), |_| false);
        for same in ["a.txt", " a ", "a\nb", "…", "-rf", ".htaccess", "\u{202e}x"] {
            assert_eq!(shown(same), same);
        }
        assert!(shown("a/b.txt").starts_with("a∕b (") && shown("a/b.txt").ends_with(").txt"));
        for odd in [".", "..", ".gist", "\0", "/"] {
            assert!(!matches!(shown(odd).as_str(), "." | ".." | ".gist"), "{odd:?}");
        }
    }

    #[test]
    fn a_file_named_like_a_marked_one_does_not_hide_it() {
        let original = FileName::parse("a/b").unwrap();
        let marked = file(&original, |_| false);
        let other = file(&original, |name| name == marked);
        assert_ne!(other, marked);
        assert!(other.starts_with("a∕b ("), "{other}");
    }

    proptest! {
        #[test]
        fn no_two_file_names_are_shown_alike_and_all_are_possible(
            names in proptest::collection::hash_set("[ab/.\u{0}∕é]{1,4}|\\PC{200,300}|\\.gist|\\.\\.?", 1..20),
        ) {
            let mut shown: Vec<String> = Vec::new();
            for name in &names {
                let name = FileName::parse(name).unwrap();
                shown.push(file(&name, |other| shown.iter().any(|taken| taken == other)));
            }
            for name in &shown {
                prop_assert!(!name.contains(['/', '\0']) && name.len() <= LONGEST);
                prop_assert!(!name.is_empty() && name != "." && name != ".." && name != ".gist");
            }
            prop_assert_eq!(shown.iter().collect::<HashSet<_>>().len(), names.len());
        }

        #[test]
        fn every_description_gives_a_possible_name(title in "\\PC{0,300}|[\u{0}-\u{1f}/. ]{0,9}") {
            let name = directory(&title, "aa5a315d61ae9438b18d");
            prop_assert!(!name.is_empty() && name.len() <= 200 && !name.contains(['/', '\0']));
            prop_assert!(name != "." && name != "..");
        }
    }
}
