//! What the file of a comment is called: `0001-LOGIN-ID.md`.

use crate::api::social::Comment;
use crate::model::CommentId;
use crate::tree::names;

/// Who wrote what an account that is gone had written, as GitHub calls it.
const NOBODY: &str = "ghost";

/// The name of the comment in this place, counted from 0.
pub(super) fn of(place: usize, comment: &Comment) -> String {
    format!("{:04}{}", place + 1, ending(comment))
}

/// All of the name but the number, which moves when an earlier comment is deleted.
fn ending(comment: &Comment) -> String {
    let login = comment.author.as_deref().unwrap_or_default();
    format!("-{}-{}.md", names::directory(login, NOBODY), comment.id)
}

/// Whether a comment could be called so.
pub(super) fn is_possible(name: &str) -> bool {
    id(name).is_some()
}

/// The number of the comment that could be called so.
pub(super) fn id(name: &str) -> Option<CommentId> {
    let (place, rest) = name.strip_suffix(".md")?.split_once('-')?;
    let (_, id) = rest.rsplit_once('-')?;
    let numbered = place.len() >= 4 && place.bytes().all(|b| b.is_ascii_digit());
    CommentId::parse(id).filter(|_| numbered)
}

/// Whether the comment is or was called so. A name that an editor holds goes on meaning the same
/// comment when the number in front of it has changed.
pub(super) fn means(name: &str, comment: &Comment) -> bool {
    is_possible(name) && name.ends_with(&ending(comment)) && {
        let place = name.len() - ending(comment).len();
        name.bytes().take(place).all(|b| b.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;
    use proptest::prelude::*;

    fn comment(author: Option<&str>, id: u64) -> Comment {
        let (created_at, updated_at) = (Time(0), Time(0));
        let author = author.map(str::to_owned);
        Comment { id: CommentId(id), author, body: String::new(), created_at, updated_at }
    }

    #[test]
    fn a_name_has_place_writer_and_id() {
        assert_eq!(of(0, &comment(Some("octo-cat"), 7)), "0001-octo-cat-7.md");
        assert_eq!(of(10_000, &comment(None, 7)), "10001-ghost-7.md");
        assert_eq!(of(1, &comment(Some("a/../b\0"), 7)), "0002-a∕..∕b-7.md");
    }

    #[test]
    fn a_name_means_its_comment_whatever_its_place() {
        let seven = comment(Some("octo"), 7);
        for name in ["0001-octo-7.md", "0042-octo-7.md", "123456-octo-7.md"] {
            assert!(means(name, &seven), "{name}");
        }
        for name in [
            "0001-octo-8.md",
            "0001-other-7.md",
            "1-octo-7.md",
            "0001-x-octo-7.md",
            "0001-octo-07.md",
            "octo-7.md",
            "0001-octo-7",
        ] {
            assert!(!means(name, &seven), "{name}");
        }
    }

    #[test]
    fn names_for_new_comments_are_no_possible_ones() {
        for name in
            ["new.md", "reply", "4913", ".0001-octo-7.md.swp", "0001-octo-7.md~", "x-1-2.md"]
        {
            assert!(!is_possible(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn whoever_wrote_it_the_name_can_be_held_and_is_its_own(
            author in proptest::option::of("\\PC{0,300}|[\u{0}-\u{1f}/. -]{0,9}"),
            id in any::<u64>(),
            place in 0..20_000_usize,
        ) {
            let comment = comment(author.as_deref(), id);
            let name = of(place, &comment);
            prop_assert!(name.len() <= names::LONGEST && !name.contains(['/', '\0', '\n']));
            prop_assert!(means(&name, &comment));
            prop_assert!(!crate::store::scratch::may_match(&name), "{}", name);
        }
    }
}
