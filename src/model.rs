//! The words everything else is said in: ids, names, snapshots. Parsed once, then trusted.
//!
//! A leaf: this module uses nothing of the crate. Values are made from what GitHub or the
//! kernel said, and below the place where they are made nobody checks them again.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

pub use self::address::GistAddress;
pub use self::buffer::BodyBuf;

mod address;
mod buffer;

/// A gist's id as GitHub spells it: decimal, 20 hex or 32 hex digits, but opaque to us.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct GistId(Arc<str>);

impl GistId {
    /// Accepts an id that can stand as one segment of a URL path, or `None`. The API has lists in the
    /// place of gists called `public` and `starred`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let list = matches!(text, "public" | "starred");
        (!text.is_empty() && text.len() <= 255 && text.chars().all(plain) && !list)
            .then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven characters, as shown behind a directory name that would not be unique.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for GistId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no gist id"))
    }
}

impl fmt::Display for GistId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit of a gist: hex digits, as the API spells them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CommitId(Arc<str>);

impl CommitId {
    /// Accepts 7 to 64 hex digits, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
        ((7..=64).contains(&text.len()) && hex).then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as git shows them.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for CommitId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no commit"))
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One commit of a gist as the history shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Its id.
    pub commit: CommitId,
    /// When it was made, to the second.
    pub committed_at: Time,
    /// How many digits of the id tell it from others of the same second: seven but for freaks.
    pub digits: usize,
}

impl Revision {
    /// The digits that name it.
    pub fn short(&self) -> &str {
        self.commit.as_str().get(..self.digits).unwrap_or(self.commit.as_str())
    }
}

/// The number of a comment on a gist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommentId(pub u64);

impl CommentId {
    /// Accepts decimal digits without a sign or zeros before them, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(text.parse().ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for CommentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a file in a gist exactly as the API spells it; any text but the empty one.
///
/// It may hold what no path can (`/`, NUL, 300 bytes): what the user sees instead is the
/// business of [`crate::tree`], and this original is what the API is always addressed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FileName(Arc<str>);

impl FileName {
    /// Accepts any name that is not empty.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "an empty file name".into())
    }
}

impl Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The git object id of a body: SHA-1 over `blob LENGTH\0` and the bytes.
///
/// `raw_url` names it, so it is at once content hash, cache key and integrity check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BlobId([u8; 20]);

impl BlobId {
    /// The id of the empty body.
    pub const EMPTY: Self = Self([
        0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8,
        0xc2, 0xe4, 0x8c, 0x53, 0x91,
    ]);

    /// The id of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = BlobHasher::new(bytes.len() as u64);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Computes a [`BlobId`] over a body that arrives in pieces and whose length is known.
pub struct BlobHasher(Sha1);

impl BlobHasher {
    /// Starts the id of a body of `length` bytes.
    pub fn new(length: u64) -> Self {
        let mut sha1 = Sha1::new();
        sha1.update(format!("blob {length}\0"));
        Self(sha1)
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of all pieces together.
    pub fn finish(self) -> BlobId {
        BlobId(self.0.finalize().into())
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl FromStr for BlobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no git object id");
        if text.len() != 40 {
            return Err(wrong());
        }
        let mut id = [0; 20];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            // A gist's files are read with every start: by one look at each digit.
            for digit in digits {
                let value = char::from(*digit).to_digit(16).ok_or_else(wrong)?;
                *byte = *byte << 4 | value as u8;
            }
        }
        Ok(Self(id))
    }
}

impl From<BlobId> for String {
    fn from(id: BlobId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for BlobId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// An instant in nanoseconds since 1970 (UTC); as fine as a file system's times.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    /// The machine's clock. Below `fs` nobody calls this: there, time is an argument.
    pub fn now() -> Self {
        Self(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
    }

    /// `YYYYMMDD-HHMMSS` (UTC), as file names carry it.
    pub fn stamp(self) -> String {
        let digits: String = self.to_string().chars().filter(char::is_ascii_digit).collect();
        match digits.split_at_checked(8) {
            Some((day, time)) => format!("{day}-{time}"),
            None => digits,
        }
    }

    /// `HH:MM:SS` as this machine's user reads it.
    pub fn local_clock(self) -> String {
        match jiff::Timestamp::from_second(self.seconds()) {
            Ok(stamp) => {
                stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
            }
            Err(_) => self.to_string(),
        }
    }

    /// Parses GitHub's form, `2026-11-21T06:49:00Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(stamp.as_nanosecond()).ok().map(Self)
    }

    /// Parses the form of HTTP headers, `Sat, 21 Nov 2026 06:49:00 GMT`.
    pub fn parse_http(text: &str) -> Option<Self> {
        let stamp = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        i64::try_from(stamp.as_nanosecond()).ok().map(Self)
    }

    /// For people: by the machine's time zone, without the date if that is the one of `now`.
    pub fn local(self, now: Self) -> String {
        let zoned = |time: Self| {
            let stamp = jiff::Timestamp::from_nanosecond(time.0.into()).unwrap_or_default();
            stamp.to_zoned(jiff::tz::TimeZone::system())
        };
        let (time, now) = (zoned(self), zoned(now));
        let form = if time.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        time.strftime(form).to_string()
    }

    /// Seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Nanoseconds within the second.
    pub fn nanoseconds(self) -> u32 {
        self.0.rem_euclid(1_000_000_000) as u32
    }

    /// From seconds and nanoseconds within the second; what overflows is cut to the range.
    pub fn new(seconds: i64, nanoseconds: u32) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanoseconds)))
    }

    /// This instant and `duration` more.
    pub fn after(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This instant less `duration`.
    pub fn before(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// Whether this is less than `span` before `now`; never by a clock that was set back.
    pub fn is_within(self, span: std::time::Duration, now: Self) -> bool {
        self <= now && now.since(self) < span
    }
}

/// GitHub's form, to the second: `2026-11-21T06:49:00Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.seconds()) {
            Ok(stamp) => stamp.fmt(f),
            Err(_) => write!(f, "@{}", self.seconds()),
        }
    }
}

/// A file of a gist as a listing tells it: all but its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// The body's id, taken from `raw_url`.
    pub blob: BlobId,
    /// The body's true length in bytes, also where the API cuts the content off.
    pub size: u64,
    /// Where the body can be read without a token and without quota.
    pub raw_url: String,
    /// The language GitHub sees in it.
    pub language: Option<String>,
}

/// What GitHub last told us of one gist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The gist.
    pub id: GistId,
    /// The description; GitHub's `null` is the empty text.
    pub description: String,
    /// Listed for everybody (`true`) or secret.
    pub public: bool,
    /// The owner's login; anonymous gists have none.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// Moves with every commit, and on descriptions, stars and comments.
    pub updated_at: Time,
    /// The gist's page for people.
    pub html_url: String,
    /// The gist's git repository.
    pub git_url: String,
    /// More files exist than the API shows (GitHub lists 300).
    pub truncated: bool,
    /// `files` has those too: they were read from the gist's repository.
    #[serde(default)]
    pub completed: bool,
    /// The newest commit, where the answer told it; lists do not.
    pub revision: Option<String>,
    /// The validator of the single gist's answer; lists have none for it.
    pub etag: Option<String>,
    /// The files by the API's names.
    pub files: BTreeMap<FileName, RemoteFile>,
}

impl Snapshot {
    /// Whether there are files that `files` does not show.
    pub fn is_partial(&self) -> bool {
        self.truncated && !self.completed
    }

    /// Whether every file shown here is in `other` with the same body, and the description is its.
    pub fn shows(&self, other: &Self) -> bool {
        let same = |(name, file): (&FileName, &RemoteFile)| {
            other.files.get(name).is_some_and(|there| there.blob == file.blob)
        };
        self.description == other.description && self.files.iter().all(same)
    }

    /// The bodies by the names of their files, without where they are.
    pub fn blobs(&self) -> BTreeMap<FileName, BlobId> {
        self.files.iter().map(|(name, file)| (name.clone(), file.blob)).collect()
    }

    /// Whether both hold the same description and the same bodies under the same names, known as far.
    ///
    /// `updated_at` and ETags move on stars and comments, so they say nothing about content.
    pub fn same_content(&self, other: &Self) -> bool {
        self.description == other.description
            && self.is_partial() == other.is_partial()
            && self.files.len() == other.files.len()
            && self
                .files
                .iter()
                .zip(&other.files)
                .all(|((a, x), (b, y))| a == b && x.blob == y.blob)
    }
}

#[cfg(test)]
impl Snapshot {
    /// A public gist with these files, last changed at `at`, that tells nothing it need not.
    pub(crate) fn sample(id: &str, files: &[(&str, &str)], at: Time) -> Self {
        let file = |(name, text): &(&str, &str)| {
            let blob = BlobId::of(text.as_bytes());
            let raw_url = format!("https://raw.test/{blob}");
            let file = RemoteFile { blob, size: text.len() as u64, raw_url, language: None };
            (FileName::parse(name).unwrap(), file)
        };
        Self {
            id: GistId::parse(id).unwrap(),
            description: String::new(),
            public: true,
            owner: None,
            created_at: at,
            updated_at: at,
            html_url: String::new(),
            git_url: String::new(),
            truncated: false,
            completed: false,
            revision: None,
            etag: None,
            files: files.iter().map(file).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_id_is_what_git_hash_object_prints() {
        assert_eq!(BlobId::of(b"abc").to_string(), "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
        assert_eq!(BlobId::of(b""), BlobId::EMPTY);
        assert_eq!(BlobId::EMPTY.to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }

    #[test]
    fn a_blob_id_reads_back_from_its_text_and_nothing_else_does() {
        let id = BlobId::of(b"x");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "e69d",
            "zz9de29bb2d1d6434b8b29ae775ad8c2e48c5391",
            "é69de29bb2d1d6434b8b29ae775ad8c2e48c539",
            "+f9de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        ] {
            assert!(wrong.parse::<BlobId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path_or_no_id() {
        for good in ["1", "aa5a315d61ae9438b18d", "2decf6c462d9b4418f2"] {
            assert_eq!(GistId::parse(good).map(|id| id.to_string()).as_deref(), Some(good));
        }
        for bad in ["", "..", "a/b", "a?b", "a b", "é", "public", "starred"] {
            assert_eq!(GistId::parse(bad), None, "{bad}");
        }
        assert_eq!(GistId::parse("42").map(|id| id.short().to_owned()).as_deref(), Some("42"));
    }

    #[test]
    fn a_commit_is_hex_digits_and_a_comment_a_number_written_one_way() {
        let long = "0123456789abcdef0123456789abcdef01234567";
        let commit = CommitId::parse(long).expect("a commit");
        assert_eq!((commit.as_str(), commit.short()), (long, "0123456"));
        assert_eq!(CommitId::parse("0123456").as_ref().map(CommitId::short), Some("0123456"));
        for wrong in ["", "012345", "012345g", "ABCDEF0", "../../x", "012345é", &"0".repeat(65)] {
            assert_eq!(CommitId::parse(wrong), None, "{wrong}");
        }
        assert_eq!(CommentId::parse("42"), Some(CommentId(42)));
        for wrong in ["", "+42", "042", "4 2", "-1", "18446744073709551616"] {
            assert_eq!(CommentId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_survive_both_directions() {
        let time = Time::parse("2026-11-21T06:49:00Z").expect("a time");
        assert_eq!(time.to_string(), "2026-11-21T06:49:00Z");
        assert_eq!(Time::new(time.seconds(), time.nanoseconds()), time);
        let before = Time(-1);
        assert_eq!((before.seconds(), before.nanoseconds()), (-1, 999_999_999));
        assert_eq!(Time::parse("yesterday"), None);
        assert_eq!(Time::parse_http("Sat, 21 Nov 2026 06:49:00 GMT"), Some(time));
        assert_eq!(Time::parse_http("tomorrow"), None);
    }
}
