//! Behaviours of GitHub that come and go, or on which reports disagree.

use std::collections::BTreeSet;
use std::time::Duration;

/// What can be switched while the server runs. The default is GitHub on a good day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switches {
    /// For so long after a write, reads of the gist show what was before it.
    pub stale_for: Duration,
    /// While reads are stale, every other one is fresh: the first shows the new state, the
    /// second the old one again.
    pub stale_regresses: bool,
    /// For so long after its creation a gist is 404 and in no list.
    pub hidden_for: Duration,
    /// For so long after a write, the unpinned raw address serves what was before it.
    pub stale_raw_for: Duration,
    /// A `PATCH` that does nothing but null-delete a file whose content another file has too is
    /// 422, until the deletion comes with another change.
    pub sticky_duplicate_delete: bool,
    /// A `PATCH` that comes sooner than this after the gist's last write is 409, once a write.
    pub rapid_conflict: Option<Duration>,
    /// Overlapping `PATCH`es of one gist all get 200 and the last one wins, instead of 409.
    pub last_write_wins: bool,
    /// A `PATCH` with blank content leaves an empty file instead of deleting it.
    pub blank_keeps: bool,
    /// A `PATCH` that changes nothing moves `updated_at` all the same.
    pub identical_bumps: bool,
    /// Stars, forks and comments move `updated_at`. On by default.
    pub social_bumps: bool,
    /// File entries have no `encoding`, and bytes that are not text arrive mangled in `content`.
    pub old_enterprise: bool,
    /// No version of the API exists: a request that names one is 400.
    pub no_versions: bool,
    /// Names whose file entries are `null` in every answer.
    pub null_files: BTreeSet<String>,
    /// Logins whose accounts are gone: where they wrote a comment or made a commit the user is `null`.
    pub ghosts: BTreeSet<String>,
    /// The answer to a fork has no files, as in 2013.
    pub forks_without_files: bool,
    /// A `PATCH` body of more bytes is 409. 8 MiB by default.
    pub patch_ceiling: usize,
    /// A request body of more bytes is 502. 100 MiB by default.
    pub gateway_ceiling: usize,
    /// A request that takes longer, added delays included, is 502 at that moment.
    pub deadline: Option<Duration>,
    /// A write that ends in such a 502 is carried out nevertheless.
    pub gateway_applies: bool,
    /// HEAD of new gists: `main`, or `master` as in older ones.
    pub default_branch: String,
    /// Raw and git answers leave at so many bytes a second, and uncompressed.
    pub speed: Option<u64>,
    /// Raw addresses serve parts of a body (`Range`). On by default.
    pub ranges: bool,
    /// Git leaves out of a fetch what a filter names. On by default, as at GitHub.
    pub git_filters: bool,
    /// Git gives any object by its id. On by default. Off, it matters to protocol 0 alone: 2 never
    /// asks.
    pub git_any_object: bool,
    /// Git speaks protocol 2 to who asks for it. On by default; off is an older Enterprise Server.
    pub git_protocol_2: bool,
    /// Every push is declined with these words.
    pub refuse_push: Option<String>,
    /// A push with a longer file is declined. 100 MiB by default.
    pub push_ceiling: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            stale_for: Duration::ZERO,
            stale_regresses: false,
            hidden_for: Duration::ZERO,
            stale_raw_for: Duration::ZERO,
            sticky_duplicate_delete: false,
            rapid_conflict: None,
            last_write_wins: false,
            blank_keeps: false,
            identical_bumps: false,
            social_bumps: true,
            old_enterprise: false,
            no_versions: false,
            null_files: BTreeSet::new(),
            ghosts: BTreeSet::new(),
            forks_without_files: false,
            patch_ceiling: 8 << 20,
            gateway_ceiling: 100 << 20,
            deadline: None,
            gateway_applies: false,
            default_branch: "main".to_owned(),
            speed: None,
            ranges: true,
            git_filters: true,
            git_any_object: true,
            git_protocol_2: true,
            refuse_push: None,
            push_ceiling: 100 << 20,
        }
    }
}
