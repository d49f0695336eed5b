//! What a body is to the REST API, and why something stays here: in words.

use std::fmt;

/// The most one body may come to on the wire: GitHub refuses requests of 8 MB (409).
pub const LARGEST_BODY: u64 = 7 << 20;

/// What a body is to the REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Text it carries byte for byte, so many bytes long in JSON.
    Text {
        /// Bytes on the wire, escapes counted.
        wire: u64,
    },
    /// Nothing but white space: refused, and the whole request with it.
    Blank,
    /// Not UTF-8, or with NUL bytes.
    Binary,
    /// With carriage returns: CR LF would come back as LF.
    CarriageReturns,
    /// Past [`LARGEST_BODY`].
    TooLarge,
}

impl Class {
    /// Looks at a body.
    pub fn of(body: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(body) else { return Self::Binary };
        if text.chars().all(|c| c.is_whitespace() || c == '\0') {
            return Self::Blank;
        }
        if text.contains('\0') {
            return Self::Binary;
        }
        if text.contains('\r') {
            return Self::CarriageReturns;
        }
        let escaped = |byte: &u8| match byte {
            b'"' | b'\\' | b'\n' | b'\t' | 0x08 | 0x0c => 2,
            0..0x20 => 6,
            _ => 1,
        };
        let wire = body.iter().map(escaped).sum();
        if wire > LARGEST_BODY { Self::TooLarge } else { Self::Text { wire } }
    }
}

/// What can be done about what only git can carry.
const GIT: &str = "install git and mount again, or keep it here";

/// Why something the user sees does not go to GitHub now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Somebody has the file open for writing.
    Open,
    /// See [`Class::Blank`].
    Blank,
    /// See [`Class::Binary`].
    Binary,
    /// See [`Class::CarriageReturns`].
    CarriageReturns,
    /// See [`Class::TooLarge`].
    TooLarge,
    /// GitHub stored other bytes than it was sent.
    Altered,
    /// The gist has more files than the API shows, so no change of it can be judged.
    TooManyFiles,
    /// All files are gone: GitHub keeps no empty gist, so the deletion waits for a file or `rmdir`.
    LastFile,
    /// The file was moved to another gist and is not there on GitHub yet.
    Moving,
    /// The file was renamed to a scratch name, by an editor that will write its successor.
    Limbo,
    /// Its bytes are neither here, as after damage to the disk, nor on GitHub.
    Lost,
}

impl Hold {
    /// Whether it will pass without the user doing anything.
    pub fn passes(self) -> bool {
        match self {
            Self::Open | Self::Moving | Self::Limbo => true,
            Self::Blank
            | Self::Binary
            | Self::CarriageReturns
            | Self::TooLarge
            | Self::Altered
            | Self::TooManyFiles
            | Self::LastFile
            | Self::Lost => false,
        }
    }

    /// Whether git carries what is held for it.
    pub fn is_for_git(self) -> bool {
        match self {
            Self::Blank
            | Self::Binary
            | Self::CarriageReturns
            | Self::TooLarge
            | Self::Altered
            | Self::TooManyFiles => true,
            Self::Open | Self::LastFile | Self::Moving | Self::Limbo | Self::Lost => false,
        }
    }

    /// What the user can do about it, where waiting does not help.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("close it"),
            Self::Moving | Self::Limbo => None,
            Self::Blank => Some("write something into it, or install git and mount again"),
            Self::Binary => Some(GIT),
            Self::CarriageReturns => {
                Some("take the carriage returns out (dos2unix), or install git and mount again")
            }
            Self::TooLarge => Some("split it, or install git and mount again"),
            Self::Altered => Some("change it, or install git and mount again"),
            Self::TooManyFiles => Some(GIT),
            Self::LastFile => Some("remove the directory to delete the gist, or make a file in it"),
            Self::Lost => Some("write the file again, or remove it"),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open for writing",
            Self::Blank => "blank: GitHub stores no blank file",
            Self::Binary => "not text: the API carries UTF-8 only",
            Self::CarriageReturns => "has CR line ends, which the API would change to LF",
            Self::TooLarge => "too large for the API",
            Self::Altered => "GitHub stored other bytes than were sent",
            Self::TooManyFiles => "the gist has more files than the API shows",
            Self::LastFile => "GitHub keeps no empty gist: remove the directory to delete it",
            Self::Moving => "waits until the file is in the gist it was moved to",
            Self::Limbo => "renamed by an editor that has not written its successor yet",
            Self::Lost => "its bytes are lost: the stored body is missing or damaged",
        })
    }
}
