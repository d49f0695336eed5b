//! Between a comment's text and the bytes of its file.

use bytes::Bytes;

use crate::error::Error;

/// GitHub takes no more characters.
const LONGEST: usize = 65_535;

/// A comment as its file reads: as GitHub has it, with a newline at its end.
pub(super) fn shown(body: &str) -> Bytes {
    let end = if body.ends_with('\n') || body.is_empty() { "" } else { "\n" };
    format!("{body}{end}").into()
}

/// What a file means as a comment: without the newline at its end.
pub(super) fn body(name: &str, bytes: &[u8]) -> Result<String, Error> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        log::warn!("{name:?} is no text in UTF-8; nothing was sent");
        return Err(Error::Invalid);
    };
    let body = text.strip_suffix('\n').unwrap_or(text);
    if is_blank(bytes) {
        log::warn!("{name:?} is blank, and a comment cannot be; nothing was sent");
        return Err(Error::Invalid);
    }
    let count = body.chars().count();
    if count > LONGEST {
        log::warn!("{name:?} has {count} characters, and GitHub takes {LONGEST}; nothing was sent");
        return Err(Error::TooLarge);
    }
    Ok(body.to_owned())
}

/// Whether there is nothing but white space.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_ends_what_is_read_and_is_dropped_when_written() {
        for (body_there, file) in
            [("a", "a\n"), ("a\n", "a\n"), ("a\n\n", "a\n\n"), ("a\r\nb", "a\r\nb\n")]
        {
            assert_eq!(shown(body_there), file);
        }
        for (file, sent) in [("a", "a"), ("a\n", "a"), ("a\n\n", "a\n"), (" a\r\n", " a\r")] {
            assert_eq!(body("x", file.as_bytes()).unwrap(), sent);
        }
    }

    #[test]
    fn what_cannot_be_a_comment_is_refused_here() {
        for blank in ["", "\n", " \t\r\n\n", "\u{3000}"] {
            assert!(matches!(body("x", blank.as_bytes()), Err(Error::Invalid)), "{blank:?}");
        }
        assert!(matches!(body("x", b"\xff"), Err(Error::Invalid)));
        let longest = "é".repeat(LONGEST) + "\n";
        assert!(body("x", longest.as_bytes()).is_ok());
        assert!(matches!(body("x", ("x".to_owned() + &longest).as_bytes()), Err(Error::TooLarge)));
    }
}
