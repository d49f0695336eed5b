//! The primary limit counts requests, the secondary one their pace.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::options::Limits;
use super::reply::Reply;
use super::store::locked;
use crate::model::Time;

/// Counts everybody's requests.
pub(super) struct Meter {
    limits: Limits,
    /// By login; all who have none share one entry.
    usage: Mutex<HashMap<Option<String>, Usage>>,
}

struct Usage {
    began: Instant,
    reset: Time,
    used: u32,
    content: VecDeque<Instant>,
    points: VecDeque<(Instant, u32)>,
}

/// What the `x-ratelimit-*` headers say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) limit: u32,
    pub(super) used: u32,
    pub(super) reset: Time,
}

impl Standing {
    /// Requests left.
    pub(super) fn remaining(self) -> u32 {
        self.limit.saturating_sub(self.used)
    }
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, usage: Mutex::default() }
    }

    fn allowance(&self, login: Option<&str>) -> Option<u32> {
        if login.is_some() { self.limits.primary } else { self.limits.anonymous }
    }

    /// Lets a request pass or says what refuses it. `free` ones do not need the primary limit.
    pub(super) fn admit(&self, login: Option<&str>, method: &str, free: bool) -> Result<(), Reply> {
        let allowance = self.allowance(login);
        let mut everybody = locked(&self.usage);
        let usage = self.usage_of(&mut everybody, login);
        if !free && allowance.is_some_and(|allowance| usage.used >= allowance) {
            return Err(self.primary_refusal(login));
        }
        let now = Instant::now();
        let reading = matches!(method, "GET" | "HEAD" | "OPTIONS");
        let cost = if reading { 1 } else { 5 };
        let content = matches!(method, "POST" | "PATCH" | "PUT");
        if let Some(wait) = self.too_fast(usage, now, cost, content) {
            let wait = self.limits.retry_after.then_some(wait);
            return Err(secondary_refusal(self.limits.status, content, wait));
        }
        usage.points.push_back((now, cost));
        if content {
            usage.content.push_back(now);
        }
        Ok(())
    }

    /// How long the pace has to slow down, if it must.
    fn too_fast(
        &self,
        usage: &mut Usage,
        now: Instant,
        cost: u32,
        content: bool,
    ) -> Option<Duration> {
        let (hour, minute) = (self.limits.hour, self.limits.minute);
        while usage.content.front().is_some_and(|&then| now.duration_since(then) >= hour) {
            usage.content.pop_front();
        }
        while usage.points.front().is_some_and(|&(then, _)| now.duration_since(then) >= minute) {
            usage.points.pop_front();
        }
        let until = |then: Option<Instant>, window: Duration| {
            then.map_or(Duration::ZERO, |then| window.saturating_sub(now.duration_since(then)))
        };
        if content {
            let in_hour = usage.content.len();
            if reached(self.limits.content_per_hour, in_hour) {
                return Some(until(usage.content.front().copied(), hour));
            }
            let recent = usage.content.iter().filter(|&&then| now.duration_since(then) < minute);
            let oldest = recent.clone().next().copied();
            if reached(self.limits.content_per_minute, recent.count()) {
                return Some(until(oldest, minute));
            }
        }
        let spent: u32 = usage.points.iter().map(|(_, cost)| cost).sum();
        let over = self.limits.points_per_minute.is_some_and(|most| spent + cost > most);
        over.then(|| until(usage.points.front().map(|&(then, _)| then), minute))
    }

    /// Charges one request to the primary limit.
    pub(super) fn charge(&self, login: Option<&str>) {
        let mut everybody = locked(&self.usage);
        let usage = self.usage_of(&mut everybody, login);
        usage.used = usage.used.saturating_add(1);
    }

    /// Where somebody stands, unless there is no limit.
    pub(super) fn standing(&self, login: Option<&str>) -> Option<Standing> {
        let limit = self.allowance(login)?;
        let mut everybody = locked(&self.usage);
        let usage = self.usage_of(&mut everybody, login);
        Some(Standing { limit, used: usage.used.min(limit), reset: usage.reset })
    }

    fn usage_of<'a>(
        &self,
        everybody: &'a mut HashMap<Option<String>, Usage>,
        login: Option<&str>,
    ) -> &'a mut Usage {
        let now = Instant::now();
        let usage = everybody.entry(login.map(str::to_owned)).or_insert_with(|| Usage {
            began: now,
            reset: Time::now().after(self.limits.hour),
            used: 0,
            content: VecDeque::new(),
            points: VecDeque::new(),
        });
        if now.duration_since(usage.began) >= self.limits.hour {
            usage.began = now;
            usage.reset = Time::now().after(self.limits.hour);
            usage.used = 0;
        }
        usage
    }

    /// The refusal of somebody whose hour is used up.
    pub(super) fn primary_refusal(&self, login: Option<&str>) -> Reply {
        let message = match login {
            Some(login) => format!("API rate limit exceeded for user {login}."),
            None => "API rate limit exceeded for 127.0.0.1. (But here's the good news: \
                     Authenticated requests get a higher rate limit. Check out the documentation \
                     for more details.)"
                .to_owned(),
        };
        Reply::error(self.limits.status, &message)
    }
}

fn reached(limit: Option<u32>, count: usize) -> bool {
    limit.is_some_and(|limit| count >= limit as usize)
}

/// The refusal of somebody too fast; the wording differs for writes.
pub(super) fn secondary_refusal(status: u16, content: bool, wait: Option<Duration>) -> Reply {
    let message = if content {
        "You have exceeded a secondary rate limit and have been temporarily blocked from content \
         creation. Please retry your request again later."
    } else {
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    };
    let reply = Reply::error(status, message);
    match wait {
        // Rounded up: who waits as long as told must not be refused again.
        Some(wait) => reply.with("retry-after", wait.as_secs().saturating_add(1).to_string()),
        None => reply,
    }
}
