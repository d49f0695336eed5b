//! Changes and questions around a gist's files keep to pace and limits.

use std::cell::Cell;

use super::super::social::SocialError;
use super::*;
use crate::api::pace::{A_MINUTE, AN_HOUR};

/// A host that has limits.
fn paced() -> World {
    let world = World::new();
    let quota = Quota { limit: 5000, remaining: 4000, reset: world.syncer.now() };
    *world.api.quota.lock().unwrap() = Some(quota);
    world
}

/// Sends a change that goes well.
fn change(world: &World) -> Result<(), SocialError> {
    world.syncer.social_change(&|_| Ok(()))
}

fn lost() -> ApiError {
    ApiError::Lost { host: "h".into(), detail: "cut off".into() }
}

#[test]
fn changes_go_at_githubs_pace_and_count_in_it() {
    let world = paced();
    let began = world.syncer.now();
    for _ in 0..A_MINUTE {
        change(&world).unwrap();
    }
    let took = world.syncer.now().since(began).as_secs();
    assert_eq!(took, A_MINUTE as u64 - 1);
    let counted = world.syncer.shared().pace.used(world.syncer.now());
    assert_eq!(counted, Some((60, A_MINUTE)));
    assert!(world.syncer.barrier(world.syncer.now(), true).is_some(), "uploads must wait too");
}

#[test]
fn who_would_wait_for_more_than_a_minute_is_told_so_at_once() {
    let world = paced();
    for _ in 0..AN_HOUR {
        change(&world).unwrap();
    }
    let before = world.syncer.now();
    let refused = change(&world).unwrap_err();
    assert!(matches!(&refused, SocialError::NotSent(Error::Limited(_))), "{refused}");
    assert_eq!(world.syncer.now(), before);
}

#[test]
fn a_limit_met_by_one_holds_all_back_and_nothing_is_sent_meanwhile() {
    let world = World::new();
    let sent = Cell::new(0);
    let limit = || ApiError::Limited {
        message: "slow down".into(),
        wait: Some(Duration::from_secs(30)),
        secondary: true,
    };
    let asked: Result<(), _> = world.syncer.social_read(&|_| Err(limit()));
    assert!(matches!(asked, Err(SocialError::Sent(ApiError::Limited { .. }))));
    let count = || {
        sent.set(sent.get() + 1);
        Ok(())
    };
    let refused = [
        world.syncer.social_change(&|_| count()),
        world.syncer.social_read(&|_| count()),
        world.syncer.gist_read(&|_| count()),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(SocialError::NotSent(Error::Limited(_)))), "{refused:?}");
    }
    assert_eq!(sent.get(), 0);
    world.passes(60);
    world.syncer.social_change(&|_| count()).unwrap();
    world.syncer.social_read(&|_| count()).unwrap();
    assert_eq!(sent.get(), 2);
}

#[test]
fn a_change_without_an_answer_is_not_sent_again() {
    let world = World::new();
    let sent = Cell::new(0);
    let doubtful = world.syncer.social_change::<()>(&|_| {
        sent.set(sent.get() + 1);
        Err(lost())
    });
    let error = doubtful.unwrap_err();
    assert!(error.outcome_unknown() && !error.is_not_found());
    assert!(matches!(Error::from(error), Error::Unreachable(_)));
    assert_eq!(sent.get(), 1);
    let gone = world.syncer.social_change::<()>(&|_| Err(ApiError::NotFound)).unwrap_err();
    assert!(gone.is_not_found() && !gone.outcome_unknown());
}

#[test]
fn in_a_network_that_is_silent_a_change_is_not_even_sent() {
    let world = World::new();
    let unreachable = || ApiError::Unreachable { host: "h".into(), detail: "no route".into() };
    world.fails([unreachable()]);
    assert!(!world.round());
    *world.api.account.lock().unwrap() = Some(unreachable());
    let sent = Cell::new(false);
    let send = || {
        world.syncer.social_change(&|_| {
            sent.set(true);
            Ok(())
        })
    };
    let refused = send().unwrap_err();
    assert!(matches!(&refused, SocialError::NotSent(Error::Unreachable(_))), "{refused}");
    assert!(!sent.get() && !refused.outcome_unknown());
    *world.api.account.lock().unwrap() = None;
    send().unwrap();
    assert!(sent.get());
}

#[test]
fn who_asked_in_vain_spares_others_the_wait() {
    let world = World::new();
    let asked = Cell::new(0);
    let ask = || {
        world.syncer.gist_read(&|api| {
            asked.set(asked.get() + 1);
            api.list(&PageRequest { from: PageAddress::Starred { since: None }, etag: None })
        })
    };
    let late = || ApiError::TimedOut { host: "h".into() };
    world.fails([late(), late()]);
    assert!(ask().is_err() && ask().is_err());
    assert!(matches!(ask(), Err(SocialError::NotSent(Error::TimedOut(_)))));
    assert_eq!(asked.get(), 2);
    world.passes(2);
    ask().unwrap();
    assert_eq!(asked.get(), 3);
}

#[test]
fn a_mount_that_sends_nothing_changes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(state.path(), "/mnt", 1 << 20).unwrap());
    let options = Options { read_only: true, ..Options::default() };
    let syncer = Syncer::new(store, Arc::new(Absent), options);
    let refused = syncer.social_change(&|api| api.star(&GistId::parse("1").unwrap(), true));
    assert!(matches!(refused, Err(SocialError::NotSent(Error::ReadOnly(_)))));
    let asked = syncer.social_read(&|api| api.is_starred(&GistId::parse("1").unwrap()));
    assert!(matches!(asked, Err(SocialError::Sent(ApiError::Unreachable { .. }))));
}
