//! For tests of what a process needs: each in a process of its own, where no other test needs any.

use std::process::Command;

/// Tells the child that it is one.
const CHILD: &str = "GISTFS_MEASURED";

/// Runs `work`, which is all of the test called `name` (with its modules and the crate), in a process of
/// its own; what it prints is shown.
pub(crate) fn alone(name: &str, work: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return work();
    }
    let name = name.split_once("::").expect("a path in a crate").1;
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    let output = command.output().expect("this program can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{name} failed in its process");
}

/// The most memory this process ever had, in bytes.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}
