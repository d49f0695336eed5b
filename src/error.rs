//! What a file operation can fail with, and the one table from there to an errno.

/// Why an operation on the mount fails.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The name or the node is not there.
    #[error("no such file or gist")]
    NotFound,
    /// The node was replaced by another of its name: whoever came by a path is to look it up again.
    #[error("replaced meanwhile")]
    Replaced,
    /// The name is taken.
    #[error("the name exists")]
    Exists,
    /// A directory is needed.
    #[error("not a directory")]
    NotDirectory,
    /// A file is needed.
    #[error("is a directory")]
    IsDirectory,
    /// The gist still holds files.
    #[error("the gist is not empty")]
    NotEmpty,
    /// The whole mount is read-only.
    #[error("mounted read-only: {0}")]
    ReadOnly(&'static str),
    /// A gist cannot hold or do this.
    #[error("{0}")]
    NotPermitted(&'static str),
    /// GitHub refuses it to this token, or the gist is somebody else's.
    #[error("refused: {0}")]
    Denied(String),
    /// The kernel named a handle that is not open, or not open for this.
    #[error("bad file handle")]
    BadHandle,
    /// The name is not valid UTF-8, so no gist can hold it.
    #[error("a name in a gist must be UTF-8")]
    InvalidName,
    /// The name is longer than 255 bytes.
    #[error("the name is too long")]
    NameTooLong,
    /// The file would pass the largest size a gist can hold.
    #[error("the file would be too large for a gist")]
    TooLarge,
    /// The names are in places between which nothing can be renamed: copy it.
    #[error("cannot be moved between these places")]
    CrossDevice,
    /// Nothing has come yet: ask again. What a signal does to a read that waits.
    #[error("nothing has come yet")]
    Interrupted,
    /// Nothing has come yet, and whoever reads did not want to wait.
    #[error("nothing has come yet, and nobody waits")]
    NothingYet,
    /// An argument makes no sense.
    #[error("invalid argument")]
    Invalid,
    /// There is no such attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The operation is not offered.
    #[error("not supported")]
    Unsupported,
    /// The answer needs the network: ask again from a thread that may wait. Never reaches the kernel.
    #[error("the answer is not here yet")]
    WouldWait,
    /// No network, and the answer is not stored.
    #[error("offline: {0}")]
    Unreachable(String),
    /// The network did not answer within the bound.
    #[error("no answer in time: {0}")]
    TimedOut(String),
    /// GitHub's rate limit.
    #[error("rate limit: {0}")]
    Limited(String),
    /// The gist changed on GitHub in the same place.
    #[error("the gist changed on GitHub meanwhile: {0}")]
    Conflict(String),
    /// GitHub has the body, but gives it in no way that is asked for here: only git can have it.
    #[error("out of reach: {0}")]
    OutOfReach(String),
    /// A reply that made no sense, or a body that is not what its id says.
    #[error("unusable answer: {0}")]
    Nonsense(String),
    /// Local state cannot be read or written.
    #[error("local state: {message}")]
    Local {
        /// The system's number, handed on as it is (ENOSPC, EIO…).
        errno: i32,
        /// What was attempted and the system's words.
        message: String,
    },
}

impl Error {
    /// The number a program sees. Kept exhaustive: a new variant must choose one.
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotFound => libc::ENOENT,
            // The one number at which the kernel forgets what it knew of a path and walks it anew.
            Self::Replaced => libc::ESTALE,
            Self::Exists => libc::EEXIST,
            Self::NotDirectory => libc::ENOTDIR,
            Self::IsDirectory => libc::EISDIR,
            Self::NotEmpty => libc::ENOTEMPTY,
            Self::ReadOnly(_) => libc::EROFS,
            Self::NotPermitted(_) => libc::EPERM,
            Self::Denied(_) => libc::EACCES,
            Self::BadHandle => libc::EBADF,
            Self::InvalidName => libc::EILSEQ,
            Self::NameTooLong => libc::ENAMETOOLONG,
            Self::TooLarge => libc::EFBIG,
            Self::CrossDevice => libc::EXDEV,
            // Read calls that wait are begun again by every program, and can be killed meanwhile.
            Self::Interrupted => libc::EINTR,
            Self::NothingYet => libc::EAGAIN,
            Self::Invalid => libc::EINVAL,
            Self::NoAttribute => libc::ENODATA,
            Self::Unsupported => libc::EOPNOTSUPP,
            Self::WouldWait => libc::EAGAIN,
            Self::Unreachable(_) => libc::EHOSTUNREACH,
            Self::TimedOut(_) => libc::ETIMEDOUT,
            // Debatable. EAGAIN would promise that a retry now may work; a quota takes up to an hour.
            Self::Limited(_) => libc::EDQUOT,
            // ESTALE rather than EIO: "read it again" is the remedy, not "check the disk".
            Self::Conflict(_) => libc::ESTALE,
            Self::OutOfReach(_) | Self::Nonsense(_) => libc::EIO,
            Self::Local { errno, .. } => *errno,
        }
    }

    /// A failure of the local disk while doing `what`.
    pub fn local(what: &str, error: &std::io::Error) -> Self {
        Self::Local {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            message: format!("{what}: {error}"),
        }
    }

    /// Whether somebody should hear of it: the cause lies outside what the program asked for. Of a
    /// network that is not there the log says so once, not for every program that meets it.
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::Limited(_)
            | Self::Conflict(_)
            | Self::OutOfReach(_)
            | Self::Nonsense(_)
            | Self::Denied(_)
            | Self::Local { .. } => true,
            Self::Unreachable(_)
            | Self::TimedOut(_)
            | Self::NotFound
            | Self::Replaced
            | Self::Exists
            | Self::NotDirectory
            | Self::IsDirectory
            | Self::NotEmpty
            | Self::ReadOnly(_)
            | Self::NotPermitted(_)
            | Self::BadHandle
            | Self::InvalidName
            | Self::NameTooLong
            | Self::TooLarge
            | Self::CrossDevice
            | Self::Interrupted
            | Self::NothingYet
            | Self::Invalid
            | Self::NoAttribute
            | Self::Unsupported
            | Self::WouldWait => false,
        }
    }
}
