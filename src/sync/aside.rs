//! Names for what goes beside a file that two sides changed: made here and recognised here.

use crate::model::{FileName, Time};

/// What marks such a name; the time follows.
const MARK: &str = ".conflict-";

/// The longest name that every file system can hold, in bytes.
const LONGEST: usize = 255;

/// `NAME.conflict-YYYYMMDD-HHMMSS.EXT`, with a number where that is `taken`.
///
/// What went beside a file that had gone beside another one is named after the first: names do not
/// grow.
pub fn conflict_name(name: &FileName, now: Time, taken: impl Fn(&FileName) -> bool) -> FileName {
    let original = conflict_of(name);
    let (stem, extension) = split(original.as_deref().unwrap_or(name.as_str()));
    let stamp = now.stamp();
    (1_u32..)
        .filter_map(|number| {
            let again = if number == 1 { String::new() } else { format!("-{number}") };
            let rest = format!("{MARK}{stamp}{again}{extension}");
            let room = LONGEST.saturating_sub(rest.len()).min(stem.len());
            let end = (0..=room).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
            FileName::parse(&format!("{}{rest}", &stem[..end]))
        })
        .find(|name| !taken(name))
        .unwrap_or_else(|| name.clone())
}

/// The name of the file that a file called `name` was put beside; `None` if it was put beside none.
pub fn conflict_of(name: &FileName) -> Option<String> {
    let (stem, rest) = name.as_str().rsplit_once(MARK)?;
    let (stamp, extension) = match rest.find('.') {
        Some(dot) => rest.split_at(dot),
        None => (rest, ""),
    };
    let mut parts = stamp.split('-');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is = |part: Option<&str>, length| part.is_some_and(|p| p.len() == length && digits(p));
    let dated = is(parts.next(), 8) && is(parts.next(), 6);
    let numbered = parts.next().is_none_or(|number| !number.is_empty() && digits(number));
    (dated && numbered && parts.next().is_none() && !stem.is_empty())
        .then(|| format!("{stem}{extension}"))
}

fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 32 => name.split_at(dot),
        Some(_) | None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::sample::{NOW, name};

    fn aside(of: &str) -> String {
        conflict_name(&name(of), NOW, |_| false).to_string()
    }

    #[test]
    fn what_goes_aside_keeps_its_extension_and_is_recognised() {
        for (of, expected) in [
            ("a.md", "a.conflict-20231114-221320.md"),
            ("a.tar.gz", "a.tar.conflict-20231114-221320.gz"),
            ("Makefile", "Makefile.conflict-20231114-221320"),
            (".bashrc", ".bashrc.conflict-20231114-221320"),
            ("x.", "x.conflict-20231114-221320."),
        ] {
            assert_eq!(aside(of), expected);
            assert_eq!(conflict_of(&name(expected)).as_deref(), Some(of));
        }
    }

    #[test]
    fn a_conflict_over_a_conflict_file_is_named_after_the_first_file() {
        assert_eq!(aside("a.conflict-20200101-000000-7.md"), aside("a.md"));
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let first = aside("a.md");
        let second = conflict_name(&name("a.md"), NOW, |name| name.as_str() == first);
        assert_eq!(second.as_str(), "a.conflict-20231114-221320-2.md");
        assert_eq!(conflict_of(&second).as_deref(), Some("a.md"));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let aside = aside(&format!("{}.md", "é".repeat(125)));
        assert!(aside.len() <= LONGEST && aside.ends_with("é.conflict-20231114-221320.md"));
    }

    #[test]
    fn other_names_are_not_taken_for_conflict_files() {
        for other in [
            "a.md",
            "a.conflict-.md",
            "a.conflict-2023-11.md",
            "a.conflict-20231114-221320-.md",
            "a.conflict-20231114-221320-2-3.md",
            "a.conflict-2023111x-221320.md",
            ".conflict-20231114-221320.md",
        ] {
            assert_eq!(conflict_of(&name(other)), None, "{other}");
        }
    }
}
