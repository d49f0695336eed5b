#!/bin/sh
# Incremental backups with hard links: every directory looks complete, unchanged files cost nothing.
# usage: backup.sh SOURCE DESTINATION
set -eu

source=${1:?source missing}
destination=${2:?destination missing}
today=$destination/$(date +%Y-%m-%d)
last=$(find "$destination" -maxdepth 1 -type d -name '20??-??-??' | sort | tail -n 1)

# Into a temporary name first: a backup that was cut off must not be the next one's base.
rsync -aH --delete --exclude-from="$(dirname "$0")/exclude.txt" \
    ${last:+--link-dest="$last"} "$source/" "$today.partial/"
mv "$today.partial" "$today"

# Thirty days, then only the first of each month.
find "$destination" -maxdepth 1 -type d -name '20??-??-??' ! -name '*-01' -mtime +30 \
    -exec rm -rf {} +
