//! What is said where GitHub has no list.

use super::super::others::{Belief, View};
use super::*;

fn user() -> View {
    View::User("nobody".into())
}

/// What comes of a look at the beginning of a list, and how many questions there have been.
fn looked(world: &World, view: &View) -> (Option<Error>, i64) {
    let shelf = world.syncer.ask_view(view, 0, Belief::Recent);
    (shelf.err(), world.api.lists.load(Ordering::Relaxed))
}

#[test]
fn a_user_who_is_not_there_is_asked_for_again_when_that_is_no_longer_believed() {
    for (scarce, believed) in [(false, 5), (true, 60)] {
        let world = World::with(Options { scarce, ..Options::default() });
        world.fails([ApiError::NotFound, ApiError::NotFound]);
        assert!(matches!(looked(&world, &user()), (Some(Error::NotFound), 1)));
        // To remember that another one is not there either forgets nothing that is believed.
        world.passes(believed - 1);
        let other = View::User("other".into());
        assert!(matches!(looked(&world, &other), (Some(Error::NotFound), 2)));
        assert!(matches!(looked(&world, &user()), (Some(Error::NotFound), 2)));
        world.passes(1);
        assert!(matches!(looked(&world, &user()), (None, 3)));
    }
}

#[test]
fn an_id_that_stands_for_nothing_is_asked_for_again_when_that_is_no_longer_believed() {
    let id = GistId::parse("deadbeef").unwrap();
    for (scarce, believed) in [(false, 5), (true, 60)] {
        let world = World::with(Options { scarce, ..Options::default() });
        let asked = || {
            assert!(matches!(world.syncer.ask_other(&id), Err(Error::NotFound)));
            world.api.gets.load(Ordering::Relaxed)
        };
        assert_eq!(asked(), 1);
        world.passes(believed - 1);
        assert_eq!(asked(), 1);
        world.passes(1);
        assert_eq!(asked(), 2);
    }
}

#[test]
fn a_list_that_is_not_told_is_refused_and_not_empty_and_what_is_known_of_it_stays() {
    for view in [View::Starred, View::Public] {
        let world = World::new();
        world.fails([ApiError::NotFound]);
        let (refused, _) = looked(&world, &view);
        assert!(matches!(refused, Some(Error::Denied(_))), "{view:?}: {refused:?}");
        assert!(matches!(looked(&world, &view), (None, 2)), "{view:?}");
        world.passes(60);
        world.fails([ApiError::NotFound]);
        assert!(matches!(looked(&world, &view), (None, 3)), "{view:?}");
    }
}
