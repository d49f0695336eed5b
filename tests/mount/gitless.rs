//! Mounts without git, and with a lower limit for files.

use crate::world::World;

const LINE: &str = "without git, because ";

#[test]
fn a_mount_without_git_says_so_in_one_line() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    assert!(!world.log().contains(LINE), "{}", world.log());
    for (program, why) in [
        ("none", "--git none says so"),
        ("/nowhere/git", "there is no program /nowhere/git"),
        ("true", "true is no git"),
    ] {
        world.mount_again(&["--git", program]);
        let log = world.log();
        assert_eq!(log.matches(LINE).count(), 1, "{log}");
        assert!(log.contains(&format!("{LINE}{why}: files that are not text")), "{log}");
        assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    }
}

#[test]
fn a_file_grows_to_the_limit_and_no_byte_further() {
    let mut world = World::empty();
    world.mount(&["--max-file-size", "4K", "--write-back", "600"]);
    world.sh("mkdir Gist; head -c 4096 /dev/zero > Gist/full");
    assert!(world.fails("head -c 4097 /dev/zero > Gist/more").contains("File too large"));
    assert!(world.fails("echo >> Gist/full").contains("File too large"));
    assert!(world.fails("truncate -s 5000 Gist/full").contains("File too large"));
    assert_eq!(world.sh("stat -c %s Gist/full"), "4096\n");
}
