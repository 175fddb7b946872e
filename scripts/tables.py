"""Run the commands behind the tables of a page and put their output in.

    python scripts/tables.py docs/validation.md [WORD ...]

A table stands between ``<!-- table: benchmarks/coverage.py --markdown -->`` and ``<!-- /table -->``; the comment
names the script and its options. With words, only tables whose command holds one of them are made again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"(<!-- table: (?P<command>[^\n]+?) -->\n).*?(<!-- /table -->)", re.DOTALL)
ROOT = Path(__file__).parents[1]


def refreshed(match: re.Match[str], words: list[str]) -> str:
    """The block with what its command prints now."""
    command = match["command"]
    if words and not any(word in command for word in words):
        return match[0]
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return f"{match[1]}\n{done.stdout.strip()}\n\n{match[3]}"


def main() -> None:
    """Refresh the page named first."""
    path, *words = sys.argv[1:]
    page = Path(path)
    page.write_text(
        BLOCK.sub(lambda match: refreshed(match, words), page.read_text(encoding="utf-8")), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
