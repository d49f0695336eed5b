//! `gistfs demo` and `gistfs serve`: what somebody without an account sees.

use nix::sys::signal::Signal;

use crate::mounted::{Mount, is_mounted, wait_unmounted};
use crate::world::{World, wait_until};

/// A demo on the world's mount point, ready to be looked at.
fn demo(world: &mut World) -> Mount {
    let mut command = world.gistfs(&["demo", "--data"]);
    command.env_remove("GH_TOKEN").arg(world.home().join("data")).arg(world.point());
    let log = world.next_log();
    let demo = Mount::begin(&mut command, &world.point(), log);
    wait_until("the demo is ready", || demo.log().contains("Ctrl-C"));
    demo
}

/// It says where it is mounted and four things to try, which can be tried, and Ctrl-C ends it.
#[test]
fn the_demo_shows_its_gists_keeps_what_is_changed_and_ends_with_ctrl_c() {
    let mut world = World::empty();
    let mut first = demo(&mut world);
    let said = first.log();
    assert!(said.contains(&world.point().display().to_string()), "{said}");
    let tries: Vec<String> =
        said.lines().filter(|line| line.starts_with("  ")).map(|line| line.trim().into()).collect();
    assert_eq!(tries.len(), 4, "{said}");
    for line in &tries {
        let out = world.program("sh").args(["-ec", line]).output().expect("sh runs");
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }
    assert!(world.list(".").len() > 5);
    assert!(world.list(".").contains(&"Hello".to_owned()));
    first.signal(Signal::SIGINT);
    assert!(first.ended().success());
    wait_unmounted(&world.point());
    drop(first);

    let mut second = demo(&mut world);
    assert!(world.read("TODO/todo.md").ends_with("one more thing\n"));
    assert!(world.list("Hello").contains(&"hostname".to_owned()));
    second.signal(Signal::SIGTERM);
    assert!(second.ended().success());
    assert!(!is_mounted(&world.point()));
}

/// The server alone: it says how to mount it, and keeps what it is given.
#[test]
fn the_server_alone_serves_a_mount_and_ends_with_ctrl_c() {
    let mut world = World::empty();
    let mut command = world.gistfs(&["serve", "--samples", "--port", "0", "--data"]);
    command.arg(world.home().join("gists"));
    let log = world.next_log();
    let nothing = world.work();
    let mut server = Mount::begin(&mut command, &nothing, log);
    wait_until("the server is ready", || server.log().contains("mount it:"));
    let said = server.log();
    let url = said.lines().find_map(|line| line.strip_prefix("API:")).expect("an address").trim();
    let mut command = world.gistfs(&["mount", "--foreground", "--api-url", url, "--state-dir"]);
    command.arg(world.home().join("other")).arg(world.point());
    let log = world.next_log();
    let mut mount = Mount::start(&mut command, &world.point(), log);
    assert!(world.read("TODO/todo.md").contains("TODO"));
    mount.signal(Signal::SIGTERM);
    assert!(mount.ended().success());
    server.signal(Signal::SIGINT);
    assert!(server.ended().success());
}
