//! Which names editors and tools use for what is never meant to last.
//!
//! Such files live locally only. A name GitHub already has is never scratch: that is checked by
//! [`super::gist::Gist::is_scratch`], this module only knows the patterns.

/// Whether `name` as a whole looks like a swap, backup, lock, probe or partial-download file.
pub fn matches(name: &str) -> bool {
    long_lived(name) || transient(name)
}

/// The same for places where nothing waits before it is sent: also takes for scratch what only may
/// be a name that a program has drawn.
pub fn may_match(name: &str) -> bool {
    matches(name) || drawn(name, six) || temporary(name)
}

/// Names that last as long as their program wants, and are nobody's document.
fn long_lived(name: &str) -> bool {
    const WHOLE: &[&str] = &[
        ".DS_Store",
        ".Spotlight-V100",
        ".Trashes",
        ".fseventsd",
        ".TemporaryItems",
        ".apdisk",
        ".directory",
        "Thumbs.db",
        "desktop.ini",
    ];
    const PREFIX: &[&str] = &[".#", "~$", "._", ".Trash-", ".nfs", ".fuse_hidden"];
    WHOLE.contains(&name)
        || (name.ends_with('~') && name.len() > 1)
        || PREFIX.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
        || enclosed(name, "#", "#")
        || enclosed(name, ".~lock.", "#")
        || (name.starts_with('.') && (name.ends_with(".kate-swp") || name.ends_with(".swpx")))
        || vim_swap(name)
}

/// Names that exist for the moment between two operations of one save.
fn transient(name: &str) -> bool {
    const SUFFIX: &[&str] = &[
        "___jb_tmp___",
        "___jb_old___",
        ".vsctmp",
        ".part",
        ".crdownload",
        ".partial",
        "-journal",
        "-wal",
        "-shm",
    ];
    name.starts_with(".goutputstream-")
        || matches!(name, ".~tmp~" | ".rsync-partial")
        || SUFFIX.iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
        || enclosed(name, "lu", ".tmp")
        || vim_probe(name)
        || drawn(name, random)
}

/// Names that end in characters as mkstemp draws them.
fn drawn(name: &str, random: fn(&str) -> bool) -> bool {
    // rsync and kakoune: dot, the name, dot, six random characters
    name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.')).is_some_and(
        |(document, tail)| !document.is_empty() && random(tail),
    )
        || name.strip_prefix("sed").is_some_and(random)
        // perl -i
        || name.strip_prefix("XX").is_some_and(random)
        // patch: the name, `.o` and six random characters
        || name.rsplit_once(".o").is_some_and(|(document, tail)| !document.is_empty() && random(tail))
}

/// Six characters as mkstemp draws them.
///
/// Six lower-case letters are taken for a word (`.bashrc.custom`, `sediment…`): a real random
/// suffix looks like that once in 180 times, and then only the pause before the upload covers it.
fn random(tail: &str) -> bool {
    six(tail) && !tail.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Six characters that mkstemp may have drawn.
fn six(tail: &str) -> bool {
    tail.len() == 6 && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What mkstemp and its like call a file where nobody says how: Python, `mktemp`, Rust.
fn temporary(name: &str) -> bool {
    let python = |tail: &str| {
        let draws = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        tail.len() == 8 && tail.bytes().all(draws)
    };
    let mktemp = |tail: &str| tail.len() == 10 && tail.bytes().all(|b| b.is_ascii_alphanumeric());
    name.strip_prefix("tmp").is_some_and(python)
        || name.strip_prefix("tmp.").is_some_and(mktemp)
        || name.strip_prefix(".tmp").is_some_and(six)
}

/// vim's test whether it may create files: 4913, then 123 more while that is taken.
fn vim_probe(name: &str) -> bool {
    name.len() <= 5
        && name.parse::<u32>().is_ok_and(|number| {
            !name.starts_with(['0', '+']) && number >= 4913 && (number - 4913) % 123 == 0
        })
}

/// `.NAME.swp` and the other letters vim and nano go through.
fn vim_swap(name: &str) -> bool {
    name.strip_prefix('.').and_then(|rest| rest.rsplit_once(".sw")).is_some_and(|(_, letter)| {
        letter.len() == 1 && letter.bytes().all(|b| b.is_ascii_lowercase())
    })
}

fn enclosed(name: &str, start: &str, end: &str) -> bool {
    name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_leave_beside_a_document_is_scratch() {
        for name in [
            ".a.txt.swp",
            ".a.txt.swx",
            "..swp",
            "a.txt~",
            ".a.txt.un~",
            ".#a.txt",
            "#a.txt#",
            ".~lock.a.odt#",
            "~$a.docx",
            ".DS_Store",
            "._a.txt",
            ".nfs0001",
            ".Trash-1000",
            "4913",
            "5036",
            ".goutputstream-AB12CD",
            "a.txt___jb_tmp___",
            "a.vsctmp",
            ".a.txt.Xy12zQ",
            ".a.txt.kak.AbCdEf",
            "sedXk3a9Q",
            "XXa1B2c3",
            "a.txt.oQ1w2E3",
            "lu12345abc.tmp",
            "a.iso.part",
            "a.crdownload",
            "t.db-journal",
            "t.db-wal",
            "a.txt.swp~",
        ] {
            assert!(matches(name), "{name}");
        }
    }

    #[test]
    fn where_nothing_waits_every_name_that_mkstemp_may_draw_is_scratch() {
        for name in [
            "sedabcdef",
            ".a.md.abcdef",
            "XXabcdef",
            "a.md.oabcdef",
            "tmpab12_d34",
            "tmp.Ab12Cd34Ef",
            ".tmpAb12Cd",
        ] {
            assert!(may_match(name) && !matches(name), "{name}");
        }
        assert!(may_match("a.txt~"));
        for name in ["a.md", "tmp", "tmp.md", "template.md", "sed.md", "tmpab12cd3.md"] {
            assert!(!may_match(name), "{name}");
        }
    }

    #[test]
    fn documents_are_not() {
        for name in [
            "a.txt",
            "notes.md",
            "a.bak",
            "a.orig",
            "a.rej",
            "a.tmp",
            ".bashrc",
            ".bashrc.custom",
            "sediment",
            "sedentary",
            "x.options",
            "4914",
            "04913",
            "49130",
            "XXL",
            "~",
            "#",
            "##",
            "a.sw",
            ".swift",
            ".gitignore",
            "tmpab12cd34",
            "lua.tmpl",
            ".a.swap",
            "a.swp",
            "main.o",
            ".editorconfig",
            "C#",
        ] {
            assert!(!matches(name), "{name}");
        }
    }
}
