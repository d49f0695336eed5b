//! When the next change may go: GitHub's pace, the waits it asked for, and what is left to the user.

use std::fmt;
use std::time::Duration;

use super::{Options, Shared, Syncer};
use crate::api::pace::Pace;
use crate::api::retry::{self, Repeatable};
use crate::api::{ApiError, GistApi, Quota};
use crate::error::Error;
use crate::model::Time;
use crate::store::Store;

/// The setting that holds when changes were sent: a restart must not double the pace.
const PACE: &str = "pace";

/// The setting that holds the wait GitHub asked for.
const LIMITED: &str = "limited";

/// A pause shorter than this is not worth telling.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// A limit that returns within this time is the same one, still.
const SAME_LIMIT: Duration = Duration::from_secs(600);

/// No limit of GitHub lasts longer; what says so is damaged.
const LONGEST_LIMIT: Duration = Duration::from_secs(25 * 3600);

/// A quota is full again after this time, whatever two clocks say.
const QUOTA_RENEWS: Duration = Duration::from_secs(3600);

/// Why no change may go now, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Not before.
    pub until: Time,
    /// Why.
    pub why: Why,
}

/// What holds changes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Our own pace, kept below GitHub's limits on changes.
    Pace,
    /// GitHub said so, in these words.
    Limit(String),
    /// The last tenth of the quota is left for what the user asks for.
    Reserve,
}

impl Barrier {
    /// Whether it is worth telling of.
    pub(super) fn is_long(&self, now: Time) -> bool {
        self.until.since(now) >= WORTH_TELLING
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pace => f.write_str("GitHub takes 80 changes a minute and 500 an hour"),
            Self::Limit(words) => write!(f, "GitHub's rate limit: {words}"),
            Self::Reserve => f.write_str(
                "the last tenth of the quota is left for what you ask for; gistfs sync uses it",
            ),
        }
    }
}

/// A wait that GitHub asked for.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    since: Time,
    until: Time,
    words: String,
    /// How often in a row.
    times: u32,
}

/// How long whoever asked for a change waits for its turn.
pub(super) struct Patience<'a> {
    /// Not longer.
    pub(super) until: Time,
    /// Also while GitHub's own limit is in force, not only for our pace.
    pub(super) limits: bool,
    /// Hears of waits.
    pub(super) tell: &'a dyn Fn(&Barrier),
}

/// What an earlier process knew of pace and limit.
pub(super) fn remembered(store: &Store, options: &Options) -> Shared {
    let setting = |name| match store.setting(name) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            log::warn!("{error}");
            String::new()
        }
    };
    let mut pace = Pace::new(options.write_interval);
    pace.remember(&setting(PACE));
    Shared { pace, limit: Limit::parse(&setting(LIMITED)), ..Shared::default() }
}

impl Limit {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let mut time = || Some(Time(parts.next()?.parse().ok()?));
        let (since, until) = (time()?, time()?);
        let until = until.min(since.after(LONGEST_LIMIT));
        Some(Self { since, until, words: parts.next()?.to_owned(), times: 1 })
    }

    fn to_text(&self) -> String {
        format!("{} {} {}", self.since.0, self.until.0, self.words)
    }

    /// The end of the wait. A clock that was set back does not make it longer.
    fn until(&mut self, now: Time) -> Time {
        if now < self.since {
            (self.since, self.until) = (now, now.after(self.until.since(self.since)));
        }
        self.until
    }
}

impl Syncer {
    /// What keeps a change from going at `now`; `asked` if the user waits for it.
    pub(super) fn barrier(&self, now: Time, asked: bool) -> Option<Barrier> {
        self.room_for(1, now, asked)
    }

    /// What keeps so many changes from going one after the other from `now` on.
    pub(super) fn room_for(&self, changes: usize, now: Time, asked: bool) -> Option<Barrier> {
        let more = changes.saturating_sub(1);
        let quota = self.api.quota().map(|quota| {
            // Each has a look before it.
            let spent = u64::try_from(more).unwrap_or(u64::MAX).saturating_mul(2);
            Quota { remaining: quota.remaining.saturating_sub(spent), ..quota }
        });
        let mut shared = self.shared();
        if quota.is_some() {
            shared.pace.limit();
        }
        let pace = now.after(shared.pace.wait_for_room(changes.max(1), now));
        let mut all = vec![Barrier { until: pace, why: Why::Pace }];
        let known = shared.reserve;
        if !asked && let Some(until) = shared.reserve(quota, now) {
            all.push(Barrier { until, why: Why::Reserve });
        }
        if more > 0 {
            // The quota is not so low yet.
            shared.reserve = known;
        }
        if let Some(limit) = &mut shared.limit {
            let until = limit.until(now);
            all.push(Barrier { until, why: Why::Limit(limit.words.clone()) });
        }
        all.into_iter().max_by_key(|barrier| barrier.until).filter(|barrier| barrier.until > now)
    }

    /// Until when GitHub wants to hear nothing that can wait, if a limit said so.
    pub(super) fn limit_ends(&self, now: Time) -> Option<Time> {
        let mut shared = self.shared();
        shared.limit.as_mut().map(|limit| limit.until(now)).filter(|until| *until > now)
    }

    /// What whoever wants something of GitHub now is told while a limit is in force.
    pub(super) fn limited(&self, now: Time) -> Option<Error> {
        let mut shared = self.shared();
        let limit = shared.limit.as_mut()?;
        let until = limit.until(now);
        (until > now).then(|| Error::Limited(format!("{}; until {until}", limit.words)))
    }

    /// Whether background requests must leave the last tenth of the quota to the user.
    pub(super) fn spares_quota(&self, now: Time) -> bool {
        let quota = self.api.quota();
        self.shared().reserve(quota, now).is_some()
    }

    /// Counts a change that is about to be sent, over a restart too.
    pub(super) fn count_change(&self) {
        let now = self.now();
        let text = {
            let mut shared = self.shared();
            shared.pace.sent(now);
            shared.pace.to_text(now)
        };
        if let Some(text) = text {
            self.keep(PACE, &text);
        }
    }

    /// The error as everybody else knows it. If it is a limit, nothing is asked for until it ends.
    pub(super) fn heard(&self, error: ApiError) -> Error {
        if let ApiError::Limited { message, .. } = &error {
            self.note_limit(&error, message);
        }
        error.into()
    }

    fn note_limit(&self, error: &ApiError, words: &str) {
        let (now, seed) = (self.now(), self.seed());
        let (kept, told) = {
            let mut shared = self.shared();
            let before = shared.limit.as_mut().map(|limit| (limit.until(now), limit.times));
            // Requests that were under way meet the limit that is known already.
            let in_force = before.filter(|(until, _)| now < *until);
            let earlier = match (in_force, before) {
                (Some((_, times)), _) => times.saturating_sub(1),
                (None, Some((until, times))) if now.since(until) < SAME_LIMIT => times,
                (None, Some(_) | None) => 0,
            };
            // An answer that says "now" must not make us hammer.
            let floor = Duration::from_secs(1 << earlier.min(6));
            let wait = retry::wait(earlier, Repeatable::Yes, error, seed).unwrap_or_default();
            let until = now.after(wait.max(floor)).max(in_force.map_or(now, |(until, _)| until));
            let known = earlier > 0 || in_force.is_some();
            let level = if known { log::Level::Debug } else { log::Level::Warn };
            let told = format!("GitHub's rate limit: {words}; nothing is sent before {until}");
            log::log!(level, "{told}");
            let (words, times) = (words.to_owned(), earlier.saturating_add(1));
            let limit = Limit { since: now, until, words, times };
            (shared.limit.insert(limit).to_text(), Some(told).filter(|_| !known))
        };
        if let Some(told) = told {
            self.tell_trouble(&told);
        }
        self.keep(LIMITED, &kept);
    }

    /// A change that `left` then went through: no limit noted before that is in force.
    pub(super) fn limit_is_over(&self, left: Time) {
        if self.shared().limit.take_if(|limit| limit.since < left).is_some() {
            log::info!("GitHub takes changes again");
            self.keep(LIMITED, "");
        }
    }

    /// Keeps what is good to know after a restart, and no loss if it is not.
    fn keep(&self, name: &str, text: &str) {
        if let Err(error) = self.store.set_setting(name, text) {
            log::debug!("{error}");
        }
    }

    /// Waits until so many changes may go; false if that is later than `patience` allows. What a mount
    /// sends at its end waits too, so nothing but time ends it.
    pub(super) fn wait_for_turn(&self, patience: &Patience<'_>, changes: usize) -> bool {
        let mut told = None;
        while let Some(barrier) = self.room_for(changes, self.now(), true) {
            let limited = matches!(barrier.why, Why::Limit(_));
            let hopeless = barrier.until > patience.until || (limited && !patience.limits);
            if hopeless || self.shared().gives_way {
                return false;
            }
            if barrier.is_long(self.now()) && told.as_ref() != Some(&barrier) {
                (patience.tell)(&barrier);
                told = Some(barrier.clone());
            }
            // In pieces: the barrier may fall earlier, and a suspended machine's clock runs on.
            (self.sleep)(barrier.until.since(self.now()).min(Duration::from_secs(1)));
        }
        true
    }
}

impl Shared {
    /// Until when the last tenth of the quota is left to the user, if it has begun.
    fn reserve(&mut self, quota: Option<Quota>, now: Time) -> Option<Time> {
        let quota = quota.filter(|quota| quota.remaining < quota.limit / 10 && now < quota.reset);
        let Some(quota) = quota else {
            self.reserve = None;
            return None;
        };
        let (reset, since) = *self.reserve.get_or_insert((quota.reset, now));
        if reset != quota.reset || now < since {
            self.reserve = Some((quota.reset, now));
            return Some(quota.reset.min(now.after(QUOTA_RENEWS)));
        }
        // A clock that is wrong must not stop us for longer than the quota needs to renew.
        Some(reset.min(since.after(QUOTA_RENEWS))).filter(|until| *until > now)
    }
}
