"""Build the parts of a safe bundle: listed classes with evaluated arguments, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from napari_lesion.core.errors import ModelError
from napari_lesion.models.config.allowed import FORCED, OUTDATED, OVERRIDDEN, component_place
from napari_lesion.models.config.assessment import KEYWORDS, module_aliases
from napari_lesion.models.config.evaluate import Evaluator, ExpressionError, call_without_fetching, located
from napari_lesion.models.config.grammar import CUDA, parse
from napari_lesion.models.config.limits import MAX_DEPTH
from napari_lesion.models.config.reading import REFERENCE, SEPARATOR, BundleConfig
from napari_lesion.models.safety import lookup

ABSENT = object()
"""What a disabled or overridden component leaves behind; it is taken out of lists."""


@dataclass
class Builder:
    """Gives the objects behind the ids of a configuration; each is built once.

    Parameters
    ----------
    config
        Configuration of a bundle whose assessment is safe.
    device
        ``cpu`` or ``cuda``: what every device in the configuration becomes.
    """

    config: BundleConfig
    device: str = "cpu"
    _built: dict[str, Any] = field(default_factory=dict)
    _pending: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._aliases = module_aliases(self.config.inference)

    def get(self, identity: str) -> Any:
        """Object of an id.

        Raises
        ------
        ModelError
            When there is none, its references run in circles, it is not safe, or its class refuses its arguments.
        """
        if identity in self._built:
            return self._built[identity]
        if identity == "device":
            import torch

            return torch.device(self.device)
        if identity == "bundle_root":
            return str(self.config.root)
        if identity in self._pending or len(self._pending) > MAX_DEPTH:
            raise self._wrong(identity, "its references run in circles or are nested too deep")
        self._pending.add(identity)
        try:
            self._built[identity] = self.build(identity, lookup(self.config.inference, identity))
        except KeyError as error:
            raise self._wrong(identity, "nothing of this name is in the configuration") from error
        finally:
            self._pending.discard(identity)
        return self._built[identity]

    def build(self, where: str, value: Any) -> Any:
        """Object of a value of the configuration."""
        if isinstance(value, Mapping):
            return self._component(where, value) if "_target_" in value else self._mapping(where, value)
        if isinstance(value, list):
            items = [self.build(f"{where}{SEPARATOR}{place}", item) for place, item in enumerate(value)]
            return [item for item in items if item is not ABSENT]
        if isinstance(value, str):
            return self._text(where, value)
        return value

    def _mapping(self, where: str, value: Mapping[str, Any]) -> dict[str, Any]:
        built = {key: self.build(f"{where}{SEPARATOR}{key}", item) for key, item in value.items()}
        return {key: item for key, item in built.items() if item is not ABSENT}

    def _text(self, where: str, value: str) -> Any:
        if value.startswith("$"):
            try:
                return Evaluator(parse(value[1:], self._aliases), self.get, self.device).value()
            except (ExpressionError, ValueError) as error:
                raise self._wrong(where, f"{value[:80]!r}: {error}") from error
        if CUDA.fullmatch(value):
            return self.device
        match = REFERENCE.fullmatch(value)
        return self.get(match[1].replace("#", SEPARATOR)) if match else value

    def _component(self, where: str, value: Mapping[str, Any]) -> Any:
        if self.build(f"{where}{SEPARATOR}_disabled_", value.get("_disabled_", False)):
            return ABSENT
        target = str(value["_target_"])
        last = target.rpartition(".")[2]
        place = component_place(target)
        outdated = OUTDATED.get(place or "", frozenset())
        plain = {key: item for key, item in value.items() if key not in KEYWORDS and key not in outdated}
        if last in OVERRIDDEN:
            return ABSENT
        if place is None:
            raise self._wrong(where, f"{target} is not on the list of safe components")
        self.build(f"{where}{SEPARATOR}_requires_", value.get("_requires_"))
        return self._made(where, located(place), self._arguments(where, plain), value)

    def _arguments(self, where: str, plain: Mapping[str, Any]) -> dict[str, Any]:
        arguments = self._mapping(where, {key: item for key, item in plain.items() if key not in FORCED})
        arguments.update({key: FORCED[key] for key in plain if key in FORCED})
        if "device" in plain:
            arguments["device"] = self.get("device")
        return arguments

    def _made(self, where: str, factory: Any, arguments: dict[str, Any], value: Mapping[str, Any]) -> Any:
        mode = value.get("_mode_", "default")
        if mode == "callable" and not arguments:
            return factory
        if mode in ("callable", "partial"):
            return partial(factory, **arguments)
        if mode != "default":
            raise self._wrong(where, f"the mode {mode!r} is not known")
        try:
            return call_without_fetching(factory, (), arguments)
        except (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError) as error:
            raise self._refused(where, value, error) from error
        except (MemoryError, RuntimeError, TypeError, ValueError) as error:
            raise self._refused(where, value, error) from error

    def _refused(self, where: str, value: Mapping[str, Any], error: BaseException) -> ModelError:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        return self._wrong(where, f"{value['_target_']} refuses its arguments: {reason}")

    def _wrong(self, where: str, why: str) -> ModelError:
        return ModelError(f"The model {self.config.root.name} cannot be built", f"{where}: {why}")
