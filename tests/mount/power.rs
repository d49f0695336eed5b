//! What the mount asks of the system, seen by strace: what it syncs, and what it must not touch.

use std::io::Write as _;
use std::process::Command;

use crate::mounted::Mount;
use crate::world::{World, wait_until};

/// A mount under strace, and the calls so far that `trace` names, a line each.
fn traced(world: &mut World, trace: &str) -> (Mount, impl Fn() -> Vec<String> + use<>) {
    let mount = world.mount_command(&["--write-back", "600"]);
    let file = world.work().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-e", &format!("trace={trace}"), "-o"]).arg(&file).arg("--");
    command.arg(mount.get_program()).args(mount.get_args()).env_clear();
    command.envs(mount.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let log = world.next_log();
    let mount = Mount::start(&mut command, &world.point(), log);
    let calls = move || {
        let text = std::fs::read_to_string(&file).expect("a trace");
        text.lines().map(ToOwned::to_owned).collect()
    };
    (mount, calls)
}

fn end(world: &World, mut mount: Mount) {
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success());
    mount.ended();
}

#[test]
fn fsync_makes_the_body_the_log_and_the_second_copy_last_with_their_directories() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    let (mount, calls) = traced(&mut world, "fsync,fdatasync");
    let mut file = std::fs::File::create(world.path("Notes/new.txt")).expect("it opens");
    file.write_all(b"synced\n").expect("it writes");
    file.sync_all().expect("it syncs");
    let state = world.state().join("127.0.0.1");
    let of_account = |path: &str| path.starts_with(state.to_str().expect("text"));
    // Other threads sync too, the one that tidies up among them.
    let calls = calls();
    let thread = |call: &str| call.split(' ').next().map(ToOwned::to_owned);
    let ours = calls.iter().rfind(|call| call.contains("/blobs/")).expect("a body is synced");
    let ours: Vec<&String> = calls.iter().filter(|call| thread(call) == thread(ours)).collect();
    assert!(!ours.iter().any(|call| call.contains("= -1")), "{ours:?}");
    // A call that others came between is told in two lines, the first with its file.
    let synced: Vec<String> = ours
        .iter()
        .filter(|call| call.contains("sync("))
        .filter_map(|call| Some(call.split_once('<')?.1.split_once('>')?.0.to_owned()))
        .collect();
    let short: Vec<String> = synced
        .iter()
        // What the same thread did before it was asked.
        .filter_map(|path| path.rsplit_once("octo"))
        .map(|(_, path)| path.to_owned())
        .skip_while(|path| !path.starts_with("/blobs/"))
        .collect();
    let id = gistfs::model::BlobId::of(b"synced\n").to_string();
    let body = format!("/blobs/{}/{}", &id[..2], &id[2..]);
    let wanted = [
        body.as_str(),
        &format!("/blobs/{}", &id[..2]),
        "/blobs",
        "/state.db",
        "/state.db-wal",
        "",
        "/owed/1.json",
        "/owed",
    ];
    assert_eq!(short, wanted, "{synced:?} {}", synced.iter().all(|path| of_account(path)));
    drop(file);
    end(&world, mount);
}

/// A process that is killed while it waits for an answer of its own never ends: the thread that
/// would answer is gone, and the kernel waits for the answer before it lets the other one go.
#[test]
fn who_mounts_asks_nothing_of_the_mount() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    let (mount, calls) = traced(&mut world, "%file,umount2");
    let point = world.point();
    let point = point.to_str().expect("text");
    wait_until("the trace shows the mount", || calls().iter().any(|call| call.contains("mount(")));
    let calls = calls();
    let mounted = calls.iter().rposition(|call| call.contains("mount(\"")).expect("a mount");
    let asked: Vec<&String> =
        calls[mounted + 1..].iter().filter(|call| call.contains(point)).collect();
    assert!(asked.is_empty(), "{asked:#?}");
    end(&world, mount);
}
