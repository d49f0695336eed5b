//! Which names editors and tools use for what is never meant to last.
//!
//! Such files live locally only. A name GitHub already has is never scratch: that is checked by
//! [`super::gist::Gist::is_scratch`], this module only knows the patterns.

/// Whether `name` as a whole looks like a swap, backup, lock, probe or partial-download file.
pub fn matches(name: &str) -> bool {
    long_lived(name) || transient(name)
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
        // rsync and kakoune: dot, the name, dot, six random characters
        || name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.')).is_some_and(
            |(document, tail)| !document.is_empty() && random(tail),
        )
        || name.strip_prefix("sed").is_some_and(random)
        || perl(name)
        // patch: the name, `.o` and six random characters
        || name.rsplit_once(".o").is_some_and(|(document, tail)| !document.is_empty() && random(tail))
}

/// Six characters as mkstemp draws them.
///
/// Six lower-case letters are taken for a word (`.bashrc.custom`, `sediment…`): a real random
/// suffix looks like that once in 180 times, and then only the pause before the upload covers it.
fn random(tail: &str) -> bool {
    tail.len() == 6
        && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !tail.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// `XX` and eight characters in all for `perl -i`: six random ones behind it.
fn perl(name: &str) -> bool {
    name.strip_prefix("XX").is_some_and(random)
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
