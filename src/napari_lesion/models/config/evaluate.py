"""Evaluate a safe expression by walking its syntax tree; Python's ``eval`` is never called."""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, Final

from napari_lesion.models.config.allowed import BUILTINS, DEVICE_FUNCTIONS, FORCED, FUNCTIONS, METHODS
from napari_lesion.models.config.grammar import CUDA, Expression, Trust, judge
from napari_lesion.models.config.limits import MAX_DIGITS, MAX_ITEMS, MAX_NODES, MAX_NUMBER, MAX_WORK

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_PYTHON: Final[Mapping[str, Any]] = {
    "abs": abs, "all": all, "any": any, "bool": bool, "dict": dict, "enumerate": enumerate, "float": float,
    "int": int, "len": len, "list": list, "max": max, "min": min, "range": range, "reversed": reversed,
    "round": round, "set": set, "sorted": sorted, "str": str, "sum": sum, "tuple": tuple, "zip": zip,
}  # fmt: skip
assert frozenset(_PYTHON) == BUILTINS
_FILLING: Final = frozenset({"numpy.ones", "numpy.zeros", "numpy.arange", "numpy.linspace"})
"""Functions that make as much as a number says."""


class ExpressionError(ValueError):
    """An expression that is not safe, grows without end, or fails."""


@dataclass
class Evaluator:
    """Evaluates one expression.

    Parameters
    ----------
    expression
        What to evaluate.
    resolve
        Gives the object behind an id.
    device
        Device that the program chose: what ``torch.device(...)`` gives.
    """

    expression: Expression
    resolve: Callable[[str], Any]
    device: str = "cpu"
    _steps: int = 0
    _work: int = 0
    _local: dict[str, Any] = field(default_factory=dict)

    def value(self) -> Any:
        """Value of the expression.

        Raises
        ------
        ExpressionError
            When it is not safe, grows beyond the limits, or fails.
        """
        verdict = judge(self.expression)
        if verdict.trust is not Trust.SAFE or self.expression.tree is None:
            raise ExpressionError(verdict.why or "it is a statement")
        try:
            return self._visit(self.expression.tree)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise ExpressionError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error

    def _visit(self, node: ast.AST) -> Any:
        self._steps += 1
        if self._steps > MAX_NODES:
            raise ExpressionError("it takes too many steps")
        visit = getattr(self, f"_visit_{type(node).__name__.lower()}", None)
        if visit is None:
            raise ExpressionError(f"{type(node).__name__} is not part of the grammar")
        value = _bounded(visit(node))
        # what is made counts too: a loop over long lists is many steps, however short its text
        self._work += len(value) if isinstance(value, str | bytes | list | tuple | set | dict | range) else 0
        if self._work > MAX_WORK:
            raise ExpressionError("it makes too much")
        return value

    def _visit_constant(self, node: ast.Constant) -> Any:
        return self.device if isinstance(node.value, str) and CUDA.fullmatch(node.value) else node.value

    def _visit_name(self, node: ast.Name) -> Any:
        identity = self.expression.reference(node.id)
        if identity is not None:
            return self.resolve(identity)
        if node.id in self._local:
            return self._local[node.id]
        return self._listed(self.expression.dotted(node))

    def _visit_attribute(self, node: ast.Attribute) -> Any:
        return self._listed(self.expression.dotted(node))

    def _listed(self, name: str | None) -> Any:
        if name is None or name not in FUNCTIONS:
            raise ExpressionError(f"{name} is not on the list of safe functions")
        return located(FUNCTIONS[name])

    def _visit_call(self, node: ast.Call) -> Any:
        function = self._function(node.func)
        arguments = [item for part in node.args for item in self._spread(part)]
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self._visit(keyword.value)
            named.update(value if keyword.arg is None else {keyword.arg: value})
        return call_without_fetching(function, arguments, named)

    def _function(self, node: ast.expr) -> Callable[..., Any]:
        name = self.expression.dotted(node)
        if name in DEVICE_FUNCTIONS:
            return self._answer(name)
        if name in BUILTINS and name not in self._local:
            python: Callable[..., Any] = _PYTHON[name]
            return _CAREFUL.get(name, python)
        if name is not None:
            listed: Callable[..., Any] = self._listed(name)
            return partial(_sized, name, listed) if name in _FILLING else listed
        assert isinstance(node, ast.Attribute)
        if node.attr == "cuda":
            move = _method(self._visit(node.value), "to")
            return lambda *_, **__: move(self.device)
        return _method(self._visit(node.value), node.attr)

    def _answer(self, name: str | None) -> Callable[..., Any]:
        def device(*_: Any, **__: Any) -> Any:
            return import_module("torch").device(self.device)

        cuda = self.device.startswith("cuda")
        answers: dict[str | None, Callable[..., Any]] = {
            "torch.device": device,
            "torch.cuda.is_available": lambda: cuda,
            "torch.cuda.device_count": lambda: int(cuda),
            "torch.backends.mps.is_available": lambda: False,
        }
        return answers[name]

    def _spread(self, node: ast.expr) -> list[Any]:
        return list(self._visit(node.value)) if isinstance(node, ast.Starred) else [self._visit(node)]

    def _visit_binop(self, node: ast.BinOp) -> Any:
        left, right = self._visit(node.left), self._visit(node.right)
        kind = type(node.op)
        if kind not in _BINARY:
            raise ExpressionError(f"{kind.__name__} is not part of the grammar")
        _require_small(kind, left, right)
        return _BINARY[kind](left, right)

    def _visit_unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self._visit(node.operand))

    def _visit_boolop(self, node: ast.BoolOp) -> Any:
        stop_at = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self._visit(part)
            if bool(value) is stop_at:
                break
        return value

    def _visit_compare(self, node: ast.Compare) -> Any:
        left = self._visit(node.left)
        for kind, part in zip(node.ops, node.comparators, strict=True):
            right = self._visit(part)
            if not _COMPARE[type(kind)](left, right):
                return False
            left = right
        return True

    def _visit_ifexp(self, node: ast.IfExp) -> Any:
        return self._visit(node.body if self._visit(node.test) else node.orelse)

    def _visit_subscript(self, node: ast.Subscript) -> Any:
        return self._visit(node.value)[self._visit(node.slice)]

    def _visit_slice(self, node: ast.Slice) -> slice:
        return slice(*(None if part is None else self._visit(part) for part in (node.lower, node.upper, node.step)))

    def _visit_list(self, node: ast.List) -> list[Any]:
        return [item for part in node.elts for item in self._spread(part)]

    def _visit_tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(item for part in node.elts for item in self._spread(part))

    def _visit_set(self, node: ast.Set) -> set[Any]:
        return {item for part in node.elts for item in self._spread(part)}

    def _visit_dict(self, node: ast.Dict) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, part in zip(node.keys, node.values, strict=True):
            value = self._visit(part)
            made.update(value if key is None else {self._visit(key): value})
        return made

    def _visit_listcomp(self, node: ast.ListComp) -> list[Any]:
        return [self._visit(node.elt) for _ in self._rounds(node.generators)]

    def _visit_generatorexp(self, node: ast.GeneratorExp) -> list[Any]:
        return [self._visit(node.elt) for _ in self._rounds(node.generators)]

    def _visit_setcomp(self, node: ast.SetComp) -> set[Any]:
        return {self._visit(node.elt) for _ in self._rounds(node.generators)}

    def _visit_dictcomp(self, node: ast.DictComp) -> dict[Any, Any]:
        return {self._visit(node.key): self._visit(node.value) for _ in self._rounds(node.generators)}

    def _rounds(self, generators: list[ast.comprehension]) -> Iterator[None]:
        """One step for each round of the loops of a comprehension, its variables set."""
        if not generators:
            yield
            return
        first, rest = generators[0], generators[1:]
        for item in self._visit(first.iter):
            self._assign(first.target, item)
            if all(self._visit(condition) for condition in first.ifs):
                yield from self._rounds(rest)

    def _assign(self, target: ast.expr, item: Any) -> None:
        if isinstance(target, ast.Name):
            self._local[target.id] = item
        elif isinstance(target, ast.Tuple | ast.List):
            for part, value in zip(target.elts, item, strict=True):
                self._assign(part, value)
        else:
            raise ExpressionError("a loop fills something else than names")


def located(place: str) -> Any:
    """The object at a listed place; a class may stand before its last part."""
    module, _, last = place.rpartition(".")
    owner, _, inner = module.rpartition(".")
    return getattr(getattr(import_module(owner), inner) if inner[:1].isupper() else import_module(module), last)


def _method(owner: Any, name: str) -> Callable[..., Any]:
    """A listed method of an object whose class has it."""
    for place, names in METHODS.items():
        if name in names and isinstance(owner, located(place)):
            method: Callable[..., Any] = getattr(owner, name)
            return method
    raise ExpressionError(f".{name} is not a safe method of {type(owner).__name__}")


def call_without_fetching(function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Call a listed function; one that could fetch weights from the network is told not to."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function(*arguments, **named)
    forced = {key: value for key, value in FORCED.items() if key in signature.parameters and key != "num_workers"}
    if not forced:
        return function(*arguments, **named)
    bound = signature.bind(*arguments, **named)
    bound.arguments.update(forced)
    return function(*bound.args, **bound.kwargs)


def _sized(name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a function of NumPy that makes an array, unless that would be large."""
    bound = [*arguments, *named.values()]
    if name == "numpy.arange":
        numbers = [abs(float(value)) for value in bound if isinstance(value, int | float) and value]
        count = max(numbers, default=0.0) / min(1.0, *numbers) if numbers else 0.0
    elif name == "numpy.linspace":
        count = float(named.get("num", arguments[2] if len(arguments) > 2 else 50))
    else:
        shape = named.get("shape", arguments[0] if arguments else 0)
        count = math.prod(float(n) for n in (shape if isinstance(shape, list | tuple) else [shape]))
    if not count <= MAX_ITEMS:
        raise ExpressionError("an array is too large")
    return function(*arguments, **named)


def _round(number: Any, digits: int | None = None) -> Any:
    if digits is not None and abs(digits) > MAX_DIGITS:
        raise ExpressionError("a number is rounded too far")
    return round(number, digits)


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_ITEMS:
        raise ExpressionError("a range is too long")
    return made


def _require_small(kind: type[ast.operator], left: Any, right: Any) -> None:
    """Refuse numbers and texts that would fill the memory before they are made."""
    if kind is ast.Pow and (abs(left) > 1e6 or abs(right) > 64):
        raise ExpressionError("a power is too large")
    if kind is ast.Mod and isinstance(left, str | bytes):
        raise ExpressionError("texts are not formatted")
    if kind is ast.Mult:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, str | bytes | list | tuple) and len(sequence) * int(times) > MAX_ITEMS:
                raise ExpressionError("a repetition is too long")


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_NUMBER:
        raise ExpressionError("a number is too large")
    if isinstance(value, str | bytes | list | tuple | set | dict) and len(value) > MAX_ITEMS:
        raise ExpressionError("a value is too long")
    return value


_CAREFUL: Final[Mapping[str, Callable[..., Any]]] = {"range": _range, "round": _round}
"""Functions of Python that are bounded before they work."""
