//! What is owed, in words: for `gistfs status` and `sync`, and for whoever ends the mount.
//!
//! Times are GitHub's form, in UTC. Whoever shows them to people may turn them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Syncer;
use super::conflicts::{Conflict, conflicts_of};
use super::due::due;
use super::hold::{self, HeldDeletions};
use super::owed::{self, Change, OwedFile};
use super::plan::{Class, Hold, LARGEST_BODY, Outside, Plan, Step, plan};
use super::standing::Standing;
use super::turn::Barrier;
use crate::api::pace::{A_MINUTE, AN_HOUR};
use crate::api::{GistApi, Quota};
use crate::error::Error;
use crate::model::Time;
use crate::store::Peek;
use crate::store::gist::{Gist, GistKey};

/// How an account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Gists there are.
    pub gists: usize,
    /// Gists that differ from GitHub, the most recently changed first.
    pub owing: Vec<Owing>,
    /// What was changed on both sides and waits for a person to decide.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// Editors' files, which live here only.
    pub scratch: Vec<Scratch>,
    /// Comments and edits of comments that were not sent, in memory only.
    #[serde(default)]
    pub comments: Vec<UnsentComment>,
    /// What is left of the rate limit, where the host has one and an answer told it.
    pub quota: Option<QuotaReport>,
    /// What the pace leaves, where the host has limits.
    pub pace: Option<PaceReport>,
    /// What holds changes back that are not asked for, if something does.
    pub waiting: Option<Waiting>,
    /// Why GitHub does not answer, if it does not.
    pub trouble: Option<String>,
    /// Deletions that wait, because many gists were removed at once.
    #[serde(default)]
    pub held: Option<HeldDeletions>,
}

/// The rate limit as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaReport {
    /// Requests an hour.
    pub limit: u64,
    /// Requests left.
    pub remaining: u64,
    /// When the limit starts anew.
    pub reset: String,
}

/// Changes sent, and how many more may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceReport {
    /// Sent in the last minute.
    pub minute: usize,
    /// Left of 80.
    pub minute_left: usize,
    /// Sent in the last hour.
    pub hour: usize,
    /// Left of 500.
    pub hour_left: usize,
    /// When the next change may go.
    pub next: String,
    /// When everything that is pending can have been sent.
    pub all: String,
}

/// What changes wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Until when.
    pub until: String,
    /// Why.
    pub why: String,
}

impl From<&Barrier> for Waiting {
    fn from(barrier: &Barrier) -> Self {
        Self { until: barrier.until.to_string(), why: barrier.why.to_string() }
    }
}

/// A file that is never sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// Its gist's title.
    pub title: String,
    /// Its name.
    pub name: String,
}

/// What was written in a gist's `.gist/comments` and not sent. It ends with the mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsentComment {
    /// The gist's title, or its id where that is not known.
    pub title: String,
    /// The gist's id.
    pub id: String,
    /// The name of the file.
    pub name: String,
}

/// A gist that differs from GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owing {
    /// The description, or the first file's name.
    pub title: String,
    /// GitHub's id; none while the gist is not there.
    pub id: Option<String>,
    /// What happened to it as a whole.
    pub change: Change,
    /// How it stands.
    pub state: Standing,
    /// Whether the description differs.
    pub description: bool,
    /// The files that differ.
    pub files: Vec<OwedFile>,
    /// Since when.
    pub since: String,
    /// Failed tries since the last success, in this mount.
    pub tries: u32,
    /// When it is tried next, if that is not the user's to say.
    pub next: Option<String>,
    /// What the user can do about it.
    pub advice: Option<String>,
}

impl Owing {
    /// Whether it will be sent without the user doing anything.
    pub fn is_pending(&self) -> bool {
        self.state.is_pending()
    }

    /// The same, or its last try failed and it is tried again without the user doing anything.
    pub fn goes_by_itself(&self) -> bool {
        let passes = matches!(self.state, Standing::Error(_)) && self.advice.is_none();
        self.is_pending() || passes
    }

    /// Whether GitHub is to have it and has not.
    pub fn is_missing(&self) -> bool {
        !matches!(self.state, Standing::Clean | Standing::Local(_))
    }
}

impl From<Quota> for QuotaReport {
    fn from(quota: Quota) -> Self {
        Self { limit: quota.limit, remaining: quota.remaining, reset: quota.reset.to_string() }
    }
}

/// What people call a gist.
pub(super) fn title_of(gist: &Gist) -> String {
    let named = Some(gist.description.clone()).filter(|text| !text.is_empty());
    let named = named.or_else(|| Some(gist.files.keys().next()?.to_string()));
    // Of a removed one GitHub still knows the files.
    let files = || gist.base.iter().flat_map(|base| base.files.keys());
    let named =
        named.or_else(|| Some(files().find(|name| !gist.is_placeholder(name))?.to_string()));
    named.unwrap_or_else(|| "(empty)".into())
}

/// Why a new gist without files stays here, and what can be done.
const EMPTY: (&str, &str) =
    ("empty: GitHub keeps no gist without files", "make a file in it, or remove it");

/// Whether a gist is told of: GitHub does not have it as it is here.
fn is_told(gist: &Gist) -> bool {
    gist.differs() || gist.is_new_and_empty()
}

/// How a gist stands, by its plan.
fn standing(gist: &Gist, plan: &Plan, uploading: bool) -> Standing {
    if gist.is_new_and_empty() {
        return Standing::Local(EMPTY.0.into());
    }
    if !gist.differs() {
        return Standing::Clean;
    }
    if uploading {
        return Standing::Uploading;
    }
    if let Some(error) = &gist.upload.error {
        return Standing::Error(error.clone());
    }
    match plan.step {
        Step::Nothing => {
            let stays = plan.held.values().find(|hold| !hold.passes());
            stays.map_or(Standing::Pending, |hold| Standing::Local(hold.to_string()))
        }
        Step::Fetch(_)
        | Step::Complete
        | Step::Create { .. }
        | Step::Update { .. }
        | Step::Push { .. }
        | Step::Withdraw(_)
        | Step::Delete(_) => Standing::Pending,
    }
}

fn owing(gist: &Gist, plan: &Plan, state: Standing, next: Option<Time>) -> Owing {
    let advice = match &state {
        Standing::Error(error) => owed::advice(error),
        Standing::Local(_) if gist.is_new_and_empty() => Some(EMPTY.1),
        Standing::Local(_) => {
            plan.held.values().find(|hold| !hold.passes()).copied().and_then(Hold::advice)
        }
        Standing::Clean | Standing::Pending | Standing::Uploading => None,
    };
    Owing {
        title: title_of(gist),
        id: gist.base.as_ref().map(|base| base.id.to_string()),
        change: match (&gist.base, gist.removed) {
            (None, _) => Change::Added,
            (Some(_), true) => Change::Deleted,
            (Some(_), false) => Change::Changed,
        },
        description: gist.base.as_ref().is_some_and(|base| base.description != gist.description),
        files: owed::files(gist, plan, &state),
        state,
        since: owed::first_change(gist).to_string(),
        tries: gist.upload.tries,
        next: next.map(|time| time.to_string()),
        advice: advice.map(str::to_owned),
    }
}

fn scratch_of(gist: &Gist, found: &mut Vec<Scratch>) {
    for name in gist.files.keys().filter(|name| gist.is_scratch(name)) {
        found.push(Scratch { title: title_of(gist), name: name.to_string() });
    }
}

impl Syncer {
    /// How things stand now. Asks nobody.
    pub fn report(&self) -> Report {
        let now = self.now();
        let mut report = Report::default();
        let mut differing = Vec::new();
        self.store.look_at_all(|gist| {
            report.gists += usize::from(gist.is_shown());
            scratch_of(gist, &mut report.scratch);
            if is_told(gist) {
                differing.push(gist.clone());
            }
        });
        let barrier = self.barrier(now, false);
        differing.sort_by_key(|gist| std::cmp::Reverse((owed::last_change(gist), gist.key)));
        let not_before = barrier.as_ref().map(|barrier| barrier.until).max(self.api.retry_at());
        report.held = self.held_deletions(now);
        let held = report.held.as_ref();
        report.owing = differing
            .iter()
            .map(|gist| self.owing(gist, not_before.unwrap_or(now), held))
            .collect();
        report.waiting = barrier.filter(|barrier| barrier.is_long(now)).as_ref().map(Waiting::from);
        report.conflicts = self.conflicts();
        report.quota = self.api.quota().map(QuotaReport::from);
        let pending = report.owing.iter().filter(|gist| gist.goes_by_itself()).count();
        report.pace = self.pace_report(now, not_before.unwrap_or(now), pending);
        report.trouble = self.api.trouble().or_else(|| self.shared().trouble.clone());
        report
    }

    /// What one gist owes, as [`Syncer::report`] tells it; `None` if nothing. Asks nobody.
    pub fn owing_of(&self, key: GistKey) -> Option<Owing> {
        let gist = self.store.get(key).filter(is_told)?;
        let now = self.now();
        let barrier = self.barrier(now, false).map(|barrier| barrier.until);
        let not_before = barrier.max(self.api.retry_at()).unwrap_or(now);
        Some(self.owing(&gist, not_before, self.held_deletions(now).as_ref()))
    }

    /// What people call a gist.
    pub fn title(&self, key: GistKey) -> Option<String> {
        self.store.look(key, title_of)
    }

    /// What keeps changes from going now, if something does.
    pub fn waiting(&self) -> Option<Waiting> {
        let now = self.now();
        self.barrier(now, true).filter(|barrier| barrier.is_long(now)).as_ref().map(Waiting::from)
    }

    fn owing(&self, gist: &Gist, not_before: Time, held: Option<&HeldDeletions>) -> Owing {
        let plan = self.plan(gist, false);
        let uploading = self.shared().uploading == Some(gist.key);
        let state = standing(gist, &plan, uploading);
        let sendable = !uploading && plan.step != Step::Nothing && !self.options.read_only;
        let next = due(gist, self.options.write_back).filter(|_| sendable);
        let next = next.map(|next| hold::not_before(gist, next, held));
        let mut owing = owing(gist, &plan, state, next.map(|next| next.max(not_before)));
        if self.options.read_only && owing.is_pending() {
            owing.advice = Some("mount it so that it can be written".into());
        }
        owing
    }

    fn pace_report(&self, now: Time, next: Time, pending: usize) -> Option<PaceReport> {
        let shared = self.shared();
        let (minute, hour) = shared.pace.used(now)?;
        Some(PaceReport {
            minute,
            minute_left: A_MINUTE.saturating_sub(minute),
            hour,
            hour_left: AN_HOUR.saturating_sub(hour),
            next: next.to_string(),
            all: shared.pace.last_of(pending, next).to_string(),
        })
    }
}

/// What the account whose state is in `directory` owes, read without changing anything there.
pub fn of_state(directory: &Path) -> Result<Report, Error> {
    let peek = Peek::open(directory)?;
    let class = |blob, size| match size {
        0..=LARGEST_BODY => peek.body(blob).map(|body| Class::of(&body)),
        _ => Some(Class::TooLarge),
    };
    // Whether a moved file arrived does not matter to what is told: it is pending either way. Nor is
    // it known what the next mount finds: with git it can send everything.
    let outside = Outside { class: &class, arrived: &|_, _| false, even_open: true, git: true };
    let mut report = Report::default();
    let mut differing = Vec::new();
    for gist in &peek.gists {
        report.gists += usize::from(gist.is_shown());
        scratch_of(gist, &mut report.scratch);
        if !gist.removed {
            report.conflicts.extend(conflicts_of(gist));
        }
        if is_told(gist) {
            differing.push(gist);
        }
    }
    differing.sort_by_key(|gist| std::cmp::Reverse((owed::last_change(gist), gist.key)));
    report.owing = differing
        .into_iter()
        .map(|gist| {
            let plan = plan(gist, &outside);
            let state = standing(gist, &plan, false);
            owing(gist, &plan, state, None)
        })
        .collect();
    Ok(report)
}
