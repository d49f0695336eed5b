//! The one word a gist or a file is shown with, wherever it is shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a gist or a file stands towards GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Standing {
    /// GitHub has it as it is here.
    Clean,
    /// It will be sent without the user doing anything.
    Pending,
    /// A request for it is under way.
    Uploading,
    /// It stays here, complete, for this reason.
    Local(String),
    /// The last try failed with this.
    Error(String),
}

impl Standing {
    /// Whether it will be sent, or just is, without the user doing anything.
    pub fn is_pending(&self) -> bool {
        match self {
            Self::Pending | Self::Uploading => true,
            Self::Clean | Self::Local(_) | Self::Error(_) => false,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("clean"),
            Self::Pending => f.write_str("pending"),
            Self::Uploading => f.write_str("uploading"),
            Self::Local(reason) => write!(f, "local: {reason}"),
            Self::Error(reason) => write!(f, "error: {reason}"),
        }
    }
}

impl From<Standing> for String {
    fn from(standing: Standing) -> Self {
        standing.to_string()
    }
}

/// What is none of the words is an error in itself.
impl From<String> for Standing {
    fn from(text: String) -> Self {
        match text.as_str() {
            "clean" => return Self::Clean,
            "pending" => return Self::Pending,
            "uploading" => return Self::Uploading,
            _ => {}
        }
        match text.split_once(": ") {
            Some(("local", reason)) => Self::Local(reason.to_owned()),
            Some(("error", reason)) => Self::Error(reason.to_owned()),
            Some(_) | None => Self::Error(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_back_as_what_it_stood_for() {
        let reason = || "a: reason".to_owned();
        for standing in [
            Standing::Clean,
            Standing::Pending,
            Standing::Uploading,
            Standing::Local(reason()),
            Standing::Error(reason()),
        ] {
            assert_eq!(Standing::from(standing.to_string()), standing);
        }
        assert_eq!(Standing::from("odd".to_owned()).to_string(), "error: odd");
    }
}
