"""Judge the ``$`` expressions of a configuration by their syntax tree; nothing is evaluated here.

The grammar of what is safe::

    expression = literal | reference | name | call | attribute | subscript | operation | choice | display
    literal    = number, text, True, False, None
    reference  = @id, with keys or indices behind :: or #
    name       = a dotted name of `allowed.FUNCTIONS`, or a variable of a comprehension around it
    call       = name(...), a builtin of `allowed.BUILTINS`, or a method of `allowed.METHODS` of a reference
    attribute  = only as part of a dotted name or of a method that is called
    subscript  = expression[index or slice]
    operation  = arithmetic, comparison, and, or, not
    choice     = expression if expression else expression
    display    = list, tuple, set, dict, and their comprehensions over one or more expressions
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from napari_lesion.models.config.allowed import BUILTINS, DEVICE_FUNCTIONS, FUNCTIONS, METHOD_NAMES
from napari_lesion.models.config.limits import MAX_EXPRESSION
from napari_lesion.models.config.reading import REFERENCE, SEPARATOR

CUDA: Final = re.compile(r"cuda(:\d+)?")
"""Texts that name a device: the one that the program chose takes their place."""
PLACEHOLDER: Final = "reference_{}_"
_PLACEHOLDER: Final = re.compile(r"reference_(\d+)_")
_DUNDER: Final = re.compile(r"__\w*__|\bfunc_globals\b|\bgi_frame\b|\bf_globals\b|\bmro\b")


class Trust(IntEnum):
    """What may be done with a bundle, or with one thing in it."""

    SAFE = 0
    NEEDS_TRUST = 1
    REFUSED = 2

    @property
    def words(self) -> str:
        """For people."""
        return ("safe", "needs trust", "refused")[self]


HONEST_MODULES: Final = frozenset(
    {"copy", "glob", "ignite", "json", "math", "monai", "np", "numpy", "os", "pathlib", "scipy", "scripts", "skimage",
     "torch", "torchvision"}
)  # fmt: skip
"""Modules whose functions honest bundles call: with trust, since they are not on the list one by one."""

HOSTILE_NAMES: Final = frozenset(
    {"__import__", "breakpoint", "builtins", "compile", "ctypes", "delattr", "eval", "exec", "exit", "getattr",
     "globals", "help", "importlib", "input", "locals", "marshal", "memoryview", "multiprocessing", "object",
     "pickle", "pty", "quit", "requests", "runpy", "shutil", "signal", "socket", "subprocess", "super", "sys",
     "threading", "type", "urllib", "vars", "webbrowser"}
)  # fmt: skip
"""Names that no configuration of a model has a use for."""

HOSTILE_ATTRIBUTES: Final = frozenset(
    {"Popen", "chmod", "chown", "environ", "execl", "execv", "execve", "fork", "kill", "makedirs", "mkdir", "popen",
     "putenv", "remove", "removedirs", "rename", "replace", "rmdir", "rmtree", "spawnl", "spawnv", "startfile",
     "symlink", "system", "tofile", "touch", "unlink", "write", "write_bytes", "write_text"}
)  # fmt: skip
"""Attributes that start programs or change files."""


@dataclass(frozen=True)
class Verdict:
    """How far an expression may be trusted, and why it is not safe."""

    trust: Trust
    why: str = ""


SAFE: Final = Verdict(Trust.SAFE)


@dataclass(frozen=True)
class Expression:
    """A ``$`` expression: its syntax tree, and what its placeholders refer to.

    Parameters
    ----------
    text
        As it stands in the configuration, without the ``$``.
    tree
        Body of the expression; None when it is an import statement.
    references
        Ids, in the order of the placeholders.
    aliases
        Names that ``imports`` of the configuration give to modules: ``np`` for ``numpy``.
    """

    text: str
    tree: ast.expr | None
    references: tuple[str, ...]
    aliases: Mapping[str, str]

    def reference(self, name: str) -> str | None:
        """Id behind a placeholder; None for another name."""
        match = _PLACEHOLDER.fullmatch(name)
        return self.references[int(match[1])] if match and int(match[1]) < len(self.references) else None

    def dotted(self, node: ast.expr) -> str | None:
        """Dotted name of a chain of attributes, aliases put in; None for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or self.reference(node.id) is not None:
            return None
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])


def parse(text: str, aliases: Mapping[str, str]) -> Expression:
    """Parse the text behind a ``$``.

    Raises
    ------
    ValueError
        When it is no Python expression, or too long.
    """
    if len(text) > MAX_EXPRESSION:
        raise ValueError("the expression is too long")
    references: list[str] = []

    def placed(match: re.Match[str]) -> str:
        references.append(match[1].replace("#", SEPARATOR))
        return PLACEHOLDER.format(len(references) - 1)

    if _PLACEHOLDER.search(text):
        raise ValueError("the expression uses a reserved name")
    try:
        module = ast.parse(REFERENCE.sub(placed, text.strip()))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError("the expression is not Python") from error
    if len(module.body) == 1 and isinstance(module.body[0], (ast.Import, ast.ImportFrom)):
        return Expression(text, None, (), aliases)
    if len(module.body) != 1 or not isinstance(module.body[0], ast.Expr):
        raise ValueError("the expression holds statements")
    return Expression(text, module.body[0].value, tuple(references), aliases)


def judge(expression: Expression) -> Verdict:
    """Whether an expression fits the grammar; the worst that was found in it."""
    # Python reads identifiers in their compatible form: full-width underscores are underscores
    if _DUNDER.search(unicodedata.normalize("NFKC", expression.text)):
        return Verdict(Trust.REFUSED, "it reaches into Python's internals")
    if expression.tree is None:
        return Verdict(Trust.NEEDS_TRUST, "it imports a module")
    try:
        verdicts = list(_judged(expression, expression.tree, frozenset()))
    except RecursionError:
        return Verdict(Trust.REFUSED, "it is nested too deep")
    return max(verdicts, key=lambda verdict: verdict.trust, default=SAFE)


_PLAIN: Final = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Subscript,
    ast.Slice, ast.Constant, ast.Starred, ast.keyword,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _judged(expression: Expression, node: ast.AST, local: frozenset[str]) -> Iterator[Verdict]:
    if isinstance(node, _COMPREHENSIONS):
        yield from _looped(expression, node, local)
    elif isinstance(node, ast.Call):
        yield _called(expression, node, local)
        for part in (*node.args, *(keyword.value for keyword in node.keywords)):
            yield from _judged(expression, part, local)
        if isinstance(node.func, ast.Attribute) and expression.dotted(node.func) is None:
            yield from _judged(expression, node.func.value, local)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield _named(expression, node, local)
    elif isinstance(node, ast.Lambda):
        yield Verdict(Trust.NEEDS_TRUST, "it is a lambda: code")
        yield from _hostile_parts(expression, node)
    elif isinstance(node, _PLAIN):
        for child in ast.iter_child_nodes(node):
            yield from _judged(expression, child, local)
    else:
        yield Verdict(Trust.REFUSED, f"it holds {type(node).__name__}, which is not part of the grammar")


def _looped(expression: Expression, node: _Comprehension, local: frozenset[str]) -> Iterator[Verdict]:
    """A comprehension: its variables are names inside it."""
    inner = local | _targets(node)
    if any(generator.is_async for generator in node.generators):
        yield Verdict(Trust.REFUSED, "it is asynchronous")
    for part in ast.iter_child_nodes(node):
        parts = list(ast.iter_child_nodes(part)) if isinstance(part, ast.comprehension) else [part]
        for child in parts:
            yield from _judged(expression, child, inner)


def _targets(node: _Comprehension) -> frozenset[str]:
    stored = (name for part in node.generators for name in ast.walk(part.target) if isinstance(name, ast.Name))
    return frozenset(name.id for name in stored)


def _called(expression: Expression, node: ast.Call, local: frozenset[str]) -> Verdict:
    """The function of a call."""
    name = expression.dotted(node.func)
    if name is not None and name.partition(".")[0] not in local:
        if name in BUILTINS or name in FUNCTIONS or name in DEVICE_FUNCTIONS:
            return SAFE
        return _unlisted(name)
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHOD_NAMES:
        return SAFE
    if isinstance(node.func, ast.Attribute):
        return _unlisted_method(node.func.attr)
    return Verdict(Trust.REFUSED, "it calls the result of an expression")


def _named(expression: Expression, node: ast.Name | ast.Attribute, local: frozenset[str]) -> Verdict:
    """A name that is not called."""
    name = expression.dotted(node)
    if name is None:
        if isinstance(node, ast.Name):
            return SAFE  # a reference
        return _unlisted_method(node.attr)
    head, _, rest = name.partition(".")
    if head in local:
        return _unlisted_method(rest) if rest else SAFE
    if name in FUNCTIONS:
        return SAFE
    return _unlisted(name)


def _unlisted(name: str) -> Verdict:
    head, _, _ = name.partition(".")
    parts = name.split(".")
    if head in HOSTILE_NAMES or HOSTILE_ATTRIBUTES.intersection(parts) or any(part.startswith("_") for part in parts):
        return Verdict(Trust.REFUSED, f"{name} is nothing that a model needs")
    if head in HONEST_MODULES:
        return Verdict(Trust.NEEDS_TRUST, f"{name} is not on the list of safe functions")
    return Verdict(Trust.REFUSED, f"{name} cannot be classed")


def _unlisted_method(name: str) -> Verdict:
    if name.startswith("_") or HOSTILE_ATTRIBUTES.intersection(name.split(".")):
        return Verdict(Trust.REFUSED, f".{name} is nothing that a model needs")
    return Verdict(Trust.NEEDS_TRUST, f".{name} is not on the list of safe methods")


def _hostile_parts(expression: Expression, node: ast.Lambda) -> Iterator[Verdict]:
    """What in a lambda is refused even with trust."""
    local = frozenset(argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg))
    for part in ast.walk(node.body):
        if isinstance(part, ast.Attribute | ast.Name):
            verdict = _named(expression, part, local | BUILTINS | _inner_names(node))
            if verdict.trust is Trust.REFUSED:
                yield verdict


def _inner_names(node: ast.AST) -> frozenset[str]:
    return frozenset(
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    )
