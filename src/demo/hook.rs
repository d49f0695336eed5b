//! What a push has to pass: the rules of gists and of GitHub, in a hook that git runs.

use std::path::Path;
use std::{fs, io};

use tokio::process::Command;

use super::switches::Switches;

/// Gists are flat, but only the pushed tip is looked at: older commits may hold directories. A file
/// that is too long counts in every commit, as it would be stored with any; half as long is worth
/// a warning.
const PRE_RECEIVE: &str = r#"#!/bin/sh
refuse() {
    echo "$1"
    status=1
}
megabytes() {
    hundredths=$((($1 * 100 + 524288) / 1048576))
    printf '%d.%02d MB' $((hundredths / 100)) $((hundredths % 100))
}
status=0
if [ -n "$GIST_REFUSAL" ]; then
    refuse "$GIST_REFUSAL"
fi
while read -r old new ref; do
    case $new in *[!0]*) ;; *) continue ;; esac
    directories=$(git ls-tree -d --name-only "$new")
    if [ -n "$directories" ]; then
        echo "Gist does not support directories."
        echo "These are the directories that are causing problems:"
        refuse "$directories"
    fi
    half=$((GIST_FILE_LIMIT / 2))
    long=$(git rev-list --objects "$new" --not --all |
        git cat-file --batch-check='%(objectsize) %(objecttype) %(rest)' |
        while read -r size type name; do
            if [ "$type" != blob ] || [ "$size" -le $half ]; then
                continue
            elif [ "$size" -gt "$GIST_FILE_LIMIT" ]; then
                echo "error: File $name is $(megabytes "$size"); this exceeds GitHub's file size limit of $(megabytes "$GIST_FILE_LIMIT")"
            else
                echo "warning: File $name is $(megabytes "$size"); this is larger than GitHub's recommended maximum file size of $(megabytes $half)"
            fi
        done)
    word=warning
    case "
$long" in *"
error: "*) word=error status=1 ;; esac
    if [ -n "$long" ]; then
        echo "$word: See https://gh.io/lfs for more information."
        echo "$long"
        echo "$word: GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com."
    fi
done
exit $status
"#;

/// Puts the hook where git is told to look for it.
pub(super) fn install(hooks: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(hooks)?;
    let hook = hooks.join("pre-receive");
    fs::write(&hook, PRE_RECEIVE)?;
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))
}

/// Tells the hook what the switches say.
pub(super) fn instruct(command: &mut Command, switches: &Switches) {
    command
        .env("GIST_REFUSAL", switches.refuse_push.as_deref().unwrap_or_default())
        .env("GIST_FILE_LIMIT", switches.push_ceiling.to_string());
}
