//! What users, editors, other machines and the network may do, and how often they do it.

use gistfs::fs::RenameMode;
use proptest::prelude::*;
use proptest::sample::select;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Mkdir(&'static str),
    /// Creates with O_EXCL and keeps it open.
    Create(Gist, Name),
    /// Opens, or creates, cuts, writes and closes.
    Save(Gist, Name, Text),
    Open(Gist, Name, bool),
    Write(Handle, u16, Text),
    Append(Handle, Text),
    /// Puts a line into a file, as an editor that saves in place.
    Insert(Gist, Name, u8),
    Read(Handle),
    Flush(Handle),
    Fsync(Handle),
    Release(Handle),
    /// By name, as `truncate` without a handle.
    Cut(Gist, Name, u16),
    /// Of an open file.
    CutOpen(Handle, u16),
    Unlink(Gist, Name),
    Rename(Gist, Name, Name, RenameMode),
    /// Into another gist.
    Move(Gist, Name, Gist, Name, RenameMode),
    Dance(Dance, Gist, Name, Text),
    Symlink(Gist, Name),
    Chmod(Gist, Name, u32),
    Touch(Gist, Name, u32),
    Rmdir(Gist),
    RemoveAll(Gist),
    RenameGist(Gist, &'static str, RenameMode),
    /// SIGKILL, then a new mount.
    Kill,
    /// Time passes, in tenths of a second, and what is due is sent.
    Pass(u16),
    /// GitHub is asked what is new; for the whole list or not.
    Refresh(bool),
    /// Everything is sent that can be.
    Drain,
    Elsewhere(Remote),
    /// Another machine does so between the last look and the next update.
    Meddle(Remote),
    /// The next change fails.
    Fail(Failure),
    /// Lists, single gists and repositories show the past so many times.
    Lag([u32; 3]),
    /// SIGKILL, then a new mount with git or without, if there ever was any.
    Git(bool),
}

/// A directory: by its place among those there are.
pub(crate) type Gist = u8;

/// A file: one of the usual names, or by its place among those there are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Usual(&'static str),
    Present(u8),
}

/// An open handle: by its place among those there are.
pub(crate) type Handle = u8;

/// Bytes to be written. Those with a number are written nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    Unique,
    Long,
    Same(u8),
    Blank,
    Empty,
    Crlf,
    Binary,
}

/// What programs do when they save.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dance {
    Vim,
    VimCrash,
    Rsync,
    Sed,
    Emacs,
}

/// What happens on another machine.
#[derive(Clone, Debug)]
pub(crate) enum Remote {
    Create(&'static str, Text),
    Edit(Gist, &'static str, Text),
    Remove(Gist, u8),
    /// Puts a line into a file: both by their places.
    Line(Gist, u8, u8),
    /// Gives a file another name.
    Rename(Gist, u8, &'static str),
    Describe(Gist, &'static str),
    Star(Gist),
    Delete(Gist),
}

/// How a change fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Unreachable,
    Lost(bool),
    Server(bool),
    Busy,
    Limited,
    Refused,
    /// Of a repository.
    Fetch,
    /// The next push is refused for good.
    Declined,
    /// So is the next fetch of a repository.
    FetchRefused,
}

const TITLES: &[&str] = &["Alpha", "Beta", "Gamma"];
const REAL: &[&str] = &["a.txt", "b.md", "c", "z.txt"];
const SCRATCH: &[&str] = &["a.txt~", "c~", ".a.txt.swp", "4913", "sedXk3a9Q"];

fn title() -> impl Strategy<Value = &'static str> {
    select(TITLES)
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        6 => select(REAL).prop_map(Name::Usual),
        2 => select(SCRATCH).prop_map(Name::Usual),
        4 => any::<u8>().prop_map(Name::Present),
    ]
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        10 => Just(Text::Unique),
        2 => Just(Text::Long),
        3 => (0..3_u8).prop_map(Text::Same),
        1 => Just(Text::Blank),
        1 => Just(Text::Empty),
        1 => Just(Text::Crlf),
        1 => Just(Text::Binary),
    ]
}

fn mode() -> impl Strategy<Value = RenameMode> {
    prop_oneof![
        4 => Just(RenameMode::Replace),
        2 => Just(RenameMode::NoReplace),
        1 => Just(RenameMode::Exchange),
    ]
}

fn remote() -> impl Strategy<Value = Remote> {
    prop_oneof![
        2 => (title(), text()).prop_map(|(t, b)| Remote::Create(t, b)),
        5 => (any::<u8>(), select(REAL), text()).prop_map(|(g, n, b)| Remote::Edit(g, n, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(g, n)| Remote::Remove(g, n)),
        3 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(g, n, l)| Remote::Line(g, n, l)),
        2 => (any::<u8>(), any::<u8>(), select(REAL)).prop_map(|(g, n, to)| Remote::Rename(g, n, to)),
        1 => (any::<u8>(), title()).prop_map(|(g, t)| Remote::Describe(g, t)),
        1 => any::<u8>().prop_map(Remote::Star),
        1 => any::<u8>().prop_map(Remote::Delete),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Unreachable),
        any::<bool>().prop_map(Failure::Lost),
        any::<bool>().prop_map(Failure::Server),
        Just(Failure::Busy),
        Just(Failure::Limited),
        Just(Failure::Refused),
        Just(Failure::Fetch),
        Just(Failure::Declined),
        Just(Failure::FetchRefused),
    ]
}

/// Together, or each as it likes.
fn lags() -> impl Strategy<Value = [u32; 3]> {
    prop_oneof![(0..6_u32).prop_map(|reads| [reads; 3]), [0..6_u32, 0..6_u32, 0..6_u32]]
}

fn dance() -> impl Strategy<Value = Dance> {
    select(&[Dance::Vim, Dance::VimCrash, Dance::Rsync, Dance::Sed, Dance::Emacs][..])
}

/// What happens on this machine alone.
fn local() -> impl Strategy<Value = Step> {
    let g = any::<u8>;
    prop_oneof![
        3 => title().prop_map(Step::Mkdir),
        4 => (g(), name()).prop_map(|(g, n)| Step::Create(g, n)),
        12 => (g(), name(), text()).prop_map(|(g, n, t)| Step::Save(g, n, t)),
        6 => (g(), name(), any::<bool>()).prop_map(|(g, n, w)| Step::Open(g, n, w)),
        6 => (g(), 0..3000_u16, text()).prop_map(|(h, at, t)| Step::Write(h, at, t)),
        3 => (g(), text()).prop_map(|(h, t)| Step::Append(h, t)),
        4 => (g(), name(), g()).prop_map(|(g, n, l)| Step::Insert(g, n, l)),
        3 => g().prop_map(Step::Read),
        2 => g().prop_map(Step::Flush),
        1 => g().prop_map(Step::Fsync),
        5 => g().prop_map(Step::Release),
        2 => (g(), name(), 0..100_u16).prop_map(|(g, n, s)| Step::Cut(g, n, s)),
        2 => (g(), 0..100_u16).prop_map(|(h, s)| Step::CutOpen(h, s)),
        5 => (g(), name()).prop_map(|(g, n)| Step::Unlink(g, n)),
        7 => (g(), name(), name(), mode()).prop_map(|(g, a, b, m)| Step::Rename(g, a, b, m)),
        5 => (g(), name(), g(), name(), mode())
            .prop_map(|(g, a, h, b, m)| Step::Move(g, a, h, b, m)),
        6 => (dance(), g(), name(), text()).prop_map(|(d, g, n, t)| Step::Dance(d, g, n, t)),
        1 => (g(), name()).prop_map(|(g, n)| Step::Symlink(g, n)),
        1 => (g(), name(), 0..0o777_u32).prop_map(|(g, n, m)| Step::Chmod(g, n, m)),
        1 => (g(), name(), any::<u32>()).prop_map(|(g, n, t)| Step::Touch(g, n, t)),
        2 => g().prop_map(Step::Rmdir),
        2 => g().prop_map(Step::RemoveAll),
        3 => (g(), title(), mode()).prop_map(|(g, t, m)| Step::RenameGist(g, t, m)),
        3 => Just(Step::Kill),
    ]
}

/// What the syncer does.
fn traffic() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..400_u16).prop_map(Step::Pass),
        3 => any::<bool>().prop_map(Step::Refresh),
        1 => Just(Step::Drain),
    ]
}

/// Nobody else is there and nothing fails.
pub(crate) fn alone() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(prop_oneof![5 => local(), 1 => traffic()], 1..50)
}

/// Nobody else is there, but the network and GitHub have their moods.
pub(crate) fn in_bad_weather() -> impl Strategy<Value = Vec<Step>> {
    let trouble = prop_oneof![
        3 => failure().prop_map(Step::Fail),
        1 => lags().prop_map(Step::Lag),
        1 => any::<bool>().prop_map(Step::Git),
    ];
    proptest::collection::vec(prop_oneof![5 => local(), 2 => traffic(), 1 => trouble], 1..50)
}

/// Other machines work on the same gists, and everything else happens too.
pub(crate) fn in_company() -> impl Strategy<Value = Vec<Step>> {
    let trouble = prop_oneof![
        8 => remote().prop_map(Step::Elsewhere),
        2 => remote().prop_map(Step::Meddle),
        1 => failure().prop_map(Step::Fail),
        1 => lags().prop_map(Step::Lag),
        1 => any::<bool>().prop_map(Step::Git),
    ];
    proptest::collection::vec(prop_oneof![5 => local(), 2 => traffic(), 2 => trouble], 1..50)
}
