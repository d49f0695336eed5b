//! The secret that speaks for the user, wrapped so that it is hard to show by accident.

use std::fmt;
use std::sync::Arc;

use crate::model::BlobId;

/// A GitHub token. It has no `Display`, and its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// Accepts what can stand in a header: visible ASCII and nothing else, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(text.into()))
    }

    /// The token itself. For a header or a helper's standard input; never for a text someone reads.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// A name for this token that does not give it away, stable over restarts.
    pub fn fingerprint(&self) -> String {
        BlobId::of(format!("gistfs token\0{}", self.0).as_bytes()).to_string()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show_itself() {
        let token = Token::parse("ghp_secret").unwrap();
        assert_eq!(format!("{token:?}"), "Token(***)");
        assert!(!token.fingerprint().contains("secret"));
        assert_eq!(token.secret(), "ghp_secret");
    }

    #[test]
    fn what_no_header_can_hold_is_no_token() {
        for bad in ["", " ", "a b", "a\nb", "a\r\nX: y", "ä", "a\0"] {
            assert_eq!(Token::parse(bad), None, "{bad:?}");
        }
    }
}
