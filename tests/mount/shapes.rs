//! What matters most, on a server of every shape.

use gistfs::demo::{Origin, Seed, ServerOptions};

use crate::shape::Shape;
use crate::world::{WITHOUT_GIT, World, wait_until};

const BYTES: &[u8] = b"\x89PNG\r\n\x1a\n\0\xff\xfe not text \x80";

/// Lists, reads, saves, creates, meets a conflict and deletes.
fn works(shape: Shape) {
    let mut world = World::shaped(ServerOptions::default(), shape);
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b c.txt", "beta\n")]);
    let files = vec![("p.png".to_owned(), BYTES.to_vec())];
    let picture = Seed { description: Some("Picture".into()), files, ..Seed::default() };
    world.server.seed("octo", picture);
    world.mount(&["--refresh", "0.5", "--read-lag", "0"]);
    assert_eq!(world.list(""), ["Notes", "Picture"], "{shape:?}");
    assert_eq!(world.read("Notes/a.txt") + &world.read("Notes/b c.txt"), "alpha\nbeta\n");
    assert_eq!(std::fs::read(world.path("Picture/p.png")).expect("it reads"), BYTES, "{shape:?}");

    world.sh("echo omega > Notes/a.txt; mkdir New; echo n > New/n.txt; rm 'Notes/b c.txt'");
    world.saved();
    assert_eq!(world.server.files(&id).expect("the gist").len(), 1, "{shape:?}");
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");

    world.server.commit(&id, &[("a.txt", Some(b"theirs\n"))]);
    world.write("Notes/a.txt", "ours\n");
    world.saved();
    wait_until("both versions are on both sides", || {
        let here = world.list("Notes");
        here.len() == 2 && world.server.files(&id).expect("the gist").len() == 2
    });
    world.same_on_both_sides(&id, "Notes");

    world.sh("rm -r Notes Picture");
    world.saved();
    wait_until("they are gone", || world.server.files(&id).is_none());
    let requests = world.server.requests();
    for request in requests.iter().filter(|request| request.origin == Origin::Raw) {
        assert!(!request.has_token(), "{shape:?}: a token at a raw address");
    }
    let quota = &world.status()["quota"];
    assert_eq!(quota.is_null(), shape != Shape::GitHub, "{shape:?}: {quota}");
    world.unmount();
}

#[test]
fn gists_work_on_github() {
    works(Shape::GitHub);
}

#[test]
fn gists_work_on_an_enterprise_server_with_subdomain_isolation() {
    works(Shape::Isolated);
}

#[test]
fn gists_work_on_an_enterprise_server_that_has_raw_bodies_at_the_api_s_origin() {
    works(Shape::Path);
}

#[test]
fn gists_work_on_a_private_enterprise_server() {
    works(Shape::Private);
}

#[test]
fn gists_work_on_a_private_enterprise_server_whose_raw_addresses_bring_what_opens_them() {
    works(Shape::Tokens);
}

#[test]
fn gists_work_on_an_old_enterprise_server_that_mangles_what_is_no_text() {
    works(Shape::Old);
}

/// On a private server every body costs a request of the API; those that come along are kept.
#[test]
fn what_a_private_server_tells_of_a_gist_is_asked_for_once() {
    for shape in [Shape::Private, Shape::Old] {
        let mut world = World::shaped(ServerOptions::default(), shape);
        let id = world.seed("Notes", &[("a", "alpha\n"), ("b", "beta\n"), ("c", "gamma\n")]);
        let files = vec![("p".to_owned(), BYTES.to_vec()), ("q".to_owned(), b"\xff".to_vec())];
        let picture = world.server.seed("octo", Seed { files, ..Seed::default() });
        world.mount(&[]);
        world.sh("cat Notes/a Notes/b Notes/c p/p p/q > /dev/null");
        let asked = |id: &str| {
            let path = format!("/gists/{id}");
            world.server.requests().iter().filter(|request| request.path == path).count()
        };
        // What is no text takes a second question where the first answer mangles it.
        let twice = if shape == Shape::Old { 2 } else { 1 };
        assert_eq!((asked(&id), asked(&picture)), (1, twice), "{shape:?}");
    }
}

/// Of more than a megabyte an answer has the beginning, by name.
#[test]
fn what_a_private_server_cuts_off_comes_from_another_revision_or_is_known_to_come_from_none() {
    for (shape, git) in [(Shape::Private, false), (Shape::Old, false), (Shape::Old, true)] {
        let options: &[&str] = if git { &[] } else { &WITHOUT_GIT };
        let mut world = World::shaped(ServerOptions::default(), shape);
        let files = vec![("y".to_owned(), BYTES.to_vec()), ("z".to_owned(), b"omega\n".to_vec())];
        let notes = Seed { description: Some("Notes".into()), files, ..Seed::default() };
        let id = world.server.seed("octo", notes);
        let large = vec![b'x'; 1_500_000];
        world.server.commit(&id, &[("a", Some(&large)), ("w", Some(b"made with it\n"))]);
        world.mount(options);
        assert_eq!(std::fs::read(world.path("Notes/y")).expect("it reads"), BYTES, "{shape:?}");
        assert_eq!(world.read("Notes/z"), "omega\n", "{shape:?}");
        if git {
            assert_eq!(world.read("Notes/w"), "made with it\n");
            assert!(std::fs::read(world.path("Notes/a")).expect("it reads") == large);
            continue;
        }
        let fails =
            || world.fails("cat Notes/a; cat Notes/w").matches("Input/output error").count();
        assert_eq!(fails(), 2, "{shape:?}");
        assert!(world.log().contains("cut off at 1 MB"), "{}", world.log());
        world.server.forget_requests();
        assert_eq!(fails(), 2, "{shape:?}");
        let requests = world.server.requests();
        assert!(!requests.iter().any(|r| r.path.contains(&id) && r.origin == Origin::Api));
        // A revision without the large file has all of it.
        world.server.commit(&id, &[("a", None), ("new", Some(b"new\n"))]);
        world.mount_again(options);
        wait_until("it is told of", || world.path("Notes/new").exists());
        assert_eq!(world.read("Notes/new") + &world.read("Notes/w"), "new\nmade with it\n");
    }
}

/// Lines cannot be compared that cannot be read.
#[test]
fn a_file_out_of_reach_that_is_changed_on_both_sides_is_kept_twice() {
    let mut world = World::shaped(ServerOptions::default(), Shape::Private);
    let files = vec![("a".to_owned(), vec![b'x'; 1_500_000]), ("z".to_owned(), b"omega\n".into())];
    let notes = Seed { description: Some("Notes".into()), files, ..Seed::default() };
    let id = world.server.seed("octo", notes);
    let options = ["--write-back", "600", "--refresh", "600", "--read-lag", "0"];
    world.mount(&[&options[..], &WITHOUT_GIT].concat());
    world.sh("echo ours > Notes/z");
    world.server.commit(&id, &[("z", Some(b"theirs\n"))]);
    assert!(world.gistfs(&["sync"]).arg(world.point()).status().expect("it runs").success());
    let texts = world.server.files(&id).expect("the gist");
    let aside: Vec<_> = texts.iter().filter(|(name, _)| name.starts_with("z.conflict-")).collect();
    assert_eq!((texts.len(), &texts["z"][..]), (3, &b"theirs\n"[..]));
    assert_eq!(aside[0].1, b"ours\n");
}

#[test]
fn a_body_over_ten_megabytes_is_git_s_alone() {
    let mut world = World::open(ServerOptions::default());
    let files = vec![("large".to_owned(), vec![b'x'; (10 << 20) + 1])];
    world.server.seed("octo", Seed { description: Some("Notes".into()), files, ..Seed::default() });
    world.mount(&WITHOUT_GIT);
    assert!(world.fails("cat Notes/large").contains("Input/output error"));
    assert!(world.log().contains("out of reach"), "{}", world.log());
    world.mount_again(&[]);
    assert_eq!(world.sh("tr -d x < Notes/large | wc -c; wc -c < Notes/large"), "0\n10485761\n");
}

/// A request that names a version of the API costs one more, once.
#[test]
fn a_server_that_knows_no_versions_is_asked_without() {
    let mut world = World::empty();
    world.server.with_switches(|switches| switches.no_versions = true);
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&[]);
    world.sh("echo omega > Notes/a.txt; mkdir New; echo n > New/n.txt");
    world.saved();
    let refused: Vec<_> =
        world.server.requests().into_iter().filter(|request| request.status == 400).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(world.log().contains("does not know the API's version"), "{}", world.log());
}
