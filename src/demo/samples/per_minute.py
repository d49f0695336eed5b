"""Counts log lines per minute and draws a bar for each: where was the peak?

    python3 per_minute.py < access.log
"""

import re
import sys
from collections import Counter

STAMP = re.compile(r"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d):\d\d ")


def per_minute(lines):
    """Returns how many lines each minute has; lines without a time are passed over."""
    return Counter(match[1] for line in lines if (match := STAMP.search(line)))


def main():
    counts = per_minute(sys.stdin)
    if not counts:
        sys.exit("no line with a time in it")
    most = max(counts.values())
    for minute, count in sorted(counts.items()):
        print(f"{minute} {count:6} {'#' * round(50 * count / most)}")


if __name__ == "__main__":
    main()
