"""Which of three classes a bundle belongs to, and why: safe, needs trust, refused.

Only what would be built for a detection is judged: the network, the pre- and post-processing, the inferer. What a
configuration says of its datasets, handlers, devices and runs is replaced by the program's own and never built.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from napari_lesion.core.errors import ModelError
from napari_lesion.models.config.allowed import FORCED, OVERRIDDEN, component_place
from napari_lesion.models.config.evaluators import EVALUATOR, bare_evaluator, has_own_evaluator
from napari_lesion.models.config.files import file_problems
from napari_lesion.models.config.grammar import HONEST_MODULES, Trust, judge, parse
from napari_lesion.models.config.limits import MAX_DEPTH
from napari_lesion.models.config.reading import REFERENCE, SEPARATOR, BundleConfig, printable
from napari_lesion.models.config.weights import SCRIPT, weights_id
from napari_lesion.models.safety import lookup

OVERRIDDEN_IDS: Final = frozenset({"device", "bundle_root", "output_dir", "dataset_dir", "dataset", "dataloader"})
"""Ids that the program answers itself."""
ROOTS: Final = ("network_def", "network", "preprocessing", "inferer", "postprocessing", "detector", "detector_ops")
MOST_CHARACTERS: Final = 160
ASKED_FOR: Final = frozenset({"keys", "load_path"})
"""What a reader or a checkpoint loader states and the program asks for, though the component is not built."""
KEYWORDS: Final = frozenset({"_target_", "_requires_", "_disabled_", "_mode_", "_desc_"})
MODES: Final = ("default", "callable", "partial")


@dataclass(frozen=True)
class Reason:
    """One thing in a bundle that is not safe.

    Parameters
    ----------
    where
        Id in the configuration, or a file.
    what
        What stands there, in words.
    trust
        How far it may be trusted.
    """

    where: str
    what: str
    trust: Trust

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.what}")


@dataclass(frozen=True)
class Assessment:
    """The class of a bundle.

    Parameters
    ----------
    trust
        The worst of the reasons; safe without one.
    reasons
        What is not safe.
    replaced
        Components that read, write or report, and are not built.
    """

    trust: Trust
    reasons: tuple[Reason, ...] = ()
    replaced: tuple[str, ...] = ()

    def named(self, trust: Trust, most: int) -> str:
        """The first reasons of a class, in words and not at full length, and how many more there are."""
        found = [_shortened(str(reason)) for reason in self.reasons if reason.trust is trust]
        more = f" and {len(found) - most} more" if len(found) > most else ""
        return "; ".join(found[:most]) + more


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."


def assess(config: BundleConfig) -> Assessment:
    """Class of a bundle; nothing of it is built or run.

    Parameters
    ----------
    config
        From `reading.read_configuration`.
    """
    walk = _Walk(config)
    reasons = [*(Reason(where, what, Trust.REFUSED) for where, what in file_problems(config.root))]
    for root in ROOTS:
        if config.has(root):
            reasons.extend(walk.visit_id(root))
    reasons.extend(walk.evaluator())
    reasons.extend(walk.weights())
    worst = max((reason.trust for reason in reasons), default=Trust.SAFE)
    if worst is Trust.NEEDS_TRUST:
        reasons.extend(walk.imports())
    return Assessment(worst, tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys(walk.replaced)))


def module_aliases(config: Mapping[str, Any]) -> dict[str, str]:
    """Short names that ``imports`` gives to modules (``$import numpy as np``); the imports themselves are not run."""
    aliases: dict[str, str] = {"np": "numpy"}
    for line in import_lines(config):
        for node in _import_nodes(line):
            if isinstance(node, ast.Import):
                aliases.update({name.asname: name.name for name in node.names if name.asname})
            elif node.module:
                aliases.update({name.asname or name.name: f"{node.module}.{name.name}" for name in node.names})
    return aliases


def import_lines(config: Mapping[str, Any]) -> list[str]:
    """The texts of ``imports``, without their ``$``."""
    stated = config.get("imports", [])
    lines = stated if isinstance(stated, list) else [stated]
    return [line[1:].strip() for line in lines if isinstance(line, str) and line.startswith("$")]


def modules_in(line: str) -> list[str]:
    """Modules that an import statement names; none for what is no import."""
    found: list[str] = []
    for node in _import_nodes(line):
        found += [name.name for name in node.names] if isinstance(node, ast.Import) else [node.module or "."]
    return found


def _import_nodes(line: str) -> list[ast.Import | ast.ImportFrom]:
    try:
        body = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]


@dataclass
class _Walk:
    """Visits everything that would be built, once."""

    config: BundleConfig
    replaced: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._aliases = module_aliases(self.config.inference)

    def visit_id(self, identity: str, depth: int = 0) -> Iterator[Reason]:
        """Reasons below an id."""
        first = identity.partition(SEPARATOR)[0]
        if identity in self._seen or first in OVERRIDDEN_IDS:
            return
        self._seen.add(identity)
        try:
            value = lookup(self.config.inference, identity)
        except KeyError:
            yield Reason(identity, "nothing of this name is in the configuration", Trust.REFUSED)
            return
        yield from self.visit(identity, value, depth)

    def visit(self, where: str, value: Any, depth: int = 0) -> Iterator[Reason]:
        """Reasons in a value."""
        if depth > MAX_DEPTH:
            yield Reason(where, "references are nested too deep", Trust.REFUSED)
        elif isinstance(value, Mapping):
            yield from self._mapping(where, value, depth)
        elif isinstance(value, list):
            for place, item in enumerate(value):
                yield from self.visit(f"{where}{SEPARATOR}{place}", item, depth + 1)
        elif isinstance(value, str):
            yield from self._text(where, value, depth)

    def _mapping(self, where: str, value: Mapping[str, Any], depth: int) -> Iterator[Reason]:
        special = [str(key) for key in value if str(key).startswith("_") and str(key).endswith("_")]
        if "_target_" in value:
            if _last(value["_target_"]) in OVERRIDDEN:
                self.replaced.append(f"{where}: {value['_target_']}")
                for key in ASKED_FOR & value.keys():
                    yield from self.visit(f"{where}{SEPARATOR}{key}", value[key], depth + 1)
                return
            yield from self._target(where, value["_target_"])
            unknown = [key for key in special if key not in KEYWORDS]
            if unknown:
                yield Reason(where, f"{unknown[0]} is no keyword of a component", Trust.REFUSED)
            if value.get("_mode_", "default") not in MODES:
                yield Reason(where, f"the mode {value['_mode_']!r} starts a debugger", Trust.REFUSED)
        given = (*FORCED, "device") if "_target_" in value else ()
        for key, item in value.items():
            if key not in ("_target_", "_mode_", "_desc_", *given):
                yield from self.visit(f"{where}{SEPARATOR}{key}", item, depth + 1)

    def _target(self, where: str, target: object) -> Iterator[Reason]:
        if not isinstance(target, str):
            yield Reason(where, "its _target_ is no text", Trust.REFUSED)
        elif target.startswith(("$", "@", "%")):
            yield Reason(where, f"its _target_ {target[:60]!r} is computed", Trust.REFUSED)
        elif component_place(target) is None:
            yield Reason(where, *_unlisted_target(self.config.root, target))

    def _text(self, where: str, value: str, depth: int) -> Iterator[Reason]:
        if value.startswith("$"):
            try:
                expression = parse(value[1:], self._aliases)
            except ValueError as error:
                yield Reason(where, f"{value[:60]!r}: {error}", Trust.REFUSED)
                return
            verdict = judge(expression)
            if verdict.trust is not Trust.SAFE:
                yield Reason(where, f"{value!r}: {verdict.why}", verdict.trust)
            for identity in expression.references:
                yield from self.visit_id(identity, depth + 1)
        elif match := REFERENCE.fullmatch(value):
            yield from self.visit_id(match[1].replace("#", SEPARATOR), depth + 1)

    def evaluator(self) -> Iterator[Reason]:
        """A workflow of the bundle's own in place of MONAI's."""
        if has_own_evaluator(self.config):
            yield from self.visit(EVALUATOR, bare_evaluator(self.config.inference[EVALUATOR]))

    def imports(self) -> Iterator[Reason]:
        """Code of the bundle that an import would run; a safe bundle's imports are not run."""
        heads = {
            module.partition(".")[0] for line in import_lines(self.config.inference) for module in modules_in(line)
        }
        for head in sorted(heads):
            if _is_bundled(self.config.root, head):
                yield Reason("imports", f"{head} is code that comes with the bundle", Trust.NEEDS_TRUST)

    def weights(self) -> Iterator[Reason]:
        """Weights that are code, or whose place is told by code."""
        root, identity = self.config.root, weights_id(self.config)
        if identity is not None:
            yield from self.visit(identity, self.config.find(identity))
        if (root / SCRIPT).is_file() and not any((root / "models").glob("*.pt")):
            yield Reason(SCRIPT, "TorchScript, whose archive is code", Trust.NEEDS_TRUST)


def _last(target: object) -> str:
    return target.rpartition(".")[2] if isinstance(target, str) else ""


def _unlisted_target(root: Path, target: str) -> tuple[str, Trust]:
    """Words and class of a ``_target_`` that is not on the list."""
    head = target.partition(".")[0]
    if "__" in target or not all(part.isidentifier() for part in target.split(".")):
        return f"{target[:60]!r} reaches into Python's internals", Trust.REFUSED
    if "." not in target:
        return f"{target} is not on the list of safe components", Trust.NEEDS_TRUST
    if head in ("monai", "ignite", "torchvision") or target.startswith("torch.nn."):
        return f"{target} is not on the list of safe components", Trust.NEEDS_TRUST
    if head in HONEST_MODULES - {"os", "glob", "pathlib", "json", "copy", "numpy", "torch"} or _is_bundled(
        root, head
    ):
        return f"{target} is code that comes with the bundle", Trust.NEEDS_TRUST
    return f"{target} cannot be classed", Trust.REFUSED


def _is_bundled(root: Path, head: str) -> bool:
    return (root / head).is_dir() or (root / f"{head}.py").is_file()


def require_usable(config: BundleConfig, assessment: Assessment) -> None:
    """Stop for a bundle that is refused.

    Raises
    ------
    ModelError
        With the first reasons.
    """
    if assessment.trust is Trust.REFUSED:
        raise ModelError(
            f"The model {config.root.name} was refused; nothing of it was run",
            assessment.named(Trust.REFUSED, 2),
            "Ask its author for a bundle without such parts",
        )
