//! A full disk: the writer hears of it, nothing is damaged, and it goes on when there is room.

use nix::unistd::geteuid;

use crate::mounted::GISTFS;
use crate::world::{World, said};

/// Runs in a mount namespace of its own, with the state on a disk of 3 MiB.
const SCRIPT: &str = r#"
set -u
fail() { echo "FAILED: $*"; cat "$W/log"; fusermount3 -uz "$M"; exit 1; }
mkdir -p "$S" && mount -t tmpfs -o size=3m none "$S" || exit 9
begin() {
    "$@" > "$W/log" 2>&1 &
    for _ in $(seq 400); do grep -q 'mounted on' "$W/log" && return; sleep 0.05; done
    fail "no mount"
}
# What a command says when it must hear that the disk is full.
full() {
    if said=$(bash -c "$1" 2>&1); then fail "it had room: $1"; fi
    case $said in *"No space left on device"*) ;; *) fail "$1: $said";; esac
}
begin MOUNT
cd "$M"
echo before > Notes/before.txt
dd if=/dev/zero of="$S/filler" bs=4k 2> /dev/null
full 'head -c 200000 /dev/urandom | base64 > Notes/large.txt'
rm -f Notes/large.txt
# The log of the database has no room for a page either.
for n in 1 2 3; do full "echo changed $n > Notes/b.txt"; done
full 'mkdir New'
full 'mv Notes/before.txt Notes/after.txt'
full "python3 -c 'import os; f = os.open(\"Notes/s.txt\", os.O_WRONLY | os.O_CREAT); os.write(f, b\"s\"); os.fsync(f)'"
[ "$(cat Notes/a.txt)" = alpha ] || fail "a.txt cannot be read"
[ "$(cat Notes/before.txt)" = before ] || fail "before.txt cannot be read"
rm "$S/filler"
echo after > Notes/after.txt && mkdir New && echo new > New/n.txt || fail "it does not go on"
head -c 200000 /dev/urandom | base64 > Notes/large.txt || fail "no room for large.txt"
sum=$(sha1sum < Notes/large.txt)
echo beta > Notes/b.txt
cd /
"$GISTFS" sync "$M" || fail "it is not sent"
kill -9 $(jobs -p); wait
begin MOUNT
cd "$M"
for f in a.txt:alpha b.txt:beta before.txt:before after.txt:after; do
    [ "$(cat "Notes/${f%%:*}")" = "${f##*:}" ] || fail "$f is not as it was closed"
done
[ "$(sha1sum < Notes/large.txt)" = "$sum" ] || fail "large.txt is not as it was closed"
[ "$(cat New/n.txt)" = new ] || fail "New/n.txt"
ls -d "$S"/*/*/damaged* 2> /dev/null && fail "something was damaged"
cd /
"$GISTFS" unmount "$M" || fail "it does not end"
echo WELL
"#;

#[test]
fn a_full_disk_is_told_to_the_writer_and_damages_nothing() {
    let world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    let mount = world.mount_command(&["--write-back", "600"]);
    let arguments = mount.get_args().map(|argument| argument.to_str().expect("text"));
    let quoted: Vec<String> = arguments.map(|argument| format!("'{argument}'")).collect();
    let script = SCRIPT.replace("begin MOUNT", &format!("begin {GISTFS} {}", quoted.join(" ")));
    let mut command = world.program("unshare");
    command.arg(if geteuid().is_root() { "-m" } else { "-rm" });
    command.args(["bash", "-c", &script]).env("GH_TOKEN", "demo-token").env("GISTFS", GISTFS);
    command.env("W", world.work()).env("S", world.state()).env("M", world.point());
    let out = command.output().expect("unshare runs");
    assert!(said(&out).contains("WELL"), "{}", said(&out));
    let texts = world.texts(&id);
    let short: Vec<_> = texts.iter().filter(|(name, _)| *name != "large.txt").collect();
    let names: Vec<&str> = short.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a.txt", "after.txt", "b.txt", "before.txt"]);
    assert_eq!(texts["after.txt"], "after\n");
    assert!(texts["large.txt"].len() > 200_000);
}
