"""How large anything of a configuration may be before it is refused."""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 4 * 2**20
MAX_NODES: Final = 100_000
"""Values in a configuration, and steps of one expression."""
MAX_DEPTH: Final = 32
MAX_ITEMS: Final = 100_000
"""Items of one list, and characters of one text, that an expression may make."""
MAX_WORK: Final = 2_000_000
"""Items and characters that all steps of one expression may make together."""
MAX_DIGITS: Final = 64
"""Digits to which a number may be rounded."""
MAX_NUMBER: Final = 2**63
MAX_EXPRESSION: Final = 4000
"""Characters of one expression."""
