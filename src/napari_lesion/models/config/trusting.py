"""The configuration of a trusted bundle, ready for MONAI's parser: devices, paths and files are the program's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, Final

from napari_lesion.models.config.allowed import FETCHING, FORCED, OUTDATED, OVERRIDDEN, component_place
from napari_lesion.models.config.assessment import ASKED_FOR, OVERRIDDEN_IDS, import_lines, module_aliases, modules_in
from napari_lesion.models.config.evaluators import bare_evaluator, has_own_evaluator
from napari_lesion.models.config.grammar import CUDA, HOSTILE_NAMES, Expression, parse
from napari_lesion.models.config.reading import BundleConfig

_PLACED: Final = re.compile(r"reference_(\d+)_")


def trusted_configuration(config: BundleConfig, device: str) -> dict[str, Any]:
    """A copy of the inference configuration whose readers, writers and devices are replaced.

    Parameters
    ----------
    config
        Configuration of a bundle that the user trusts.
    device
        ``cpu`` or ``cuda``.
    """
    aliases = module_aliases(config.inference)
    changed = {key: _changed(value, aliases, device) for key, value in config.inference.items()}
    changed["bundle_root"] = str(config.root)
    changed["device"] = f"$torch.device({device!r})"
    loader = config.inference.get("dataloader")
    for never in ("initialize", "run", "evaluator", *OVERRIDDEN_IDS - {"device", "bundle_root"}):
        changed.pop(never, None)
    changed.update({where: "" for where in ("output_dir", "dataset_dir") if where in config.inference})
    changed["imports"] = [f"${line}" for line in import_lines(config.inference) if _honest(line)]
    if has_own_evaluator(config):
        changed["evaluator"] = _changed(bare_evaluator(config.inference["evaluator"]), aliases, device)
        if isinstance(loader, Mapping) and "collate_fn" in loader:
            changed["dataloader"] = {"collate_fn": _changed(loader["collate_fn"], aliases, device)}
    return changed


def _changed(value: Any, aliases: Mapping[str, str], device: str) -> Any:
    if isinstance(value, Mapping):
        if str(value.get("_target_", "")).rpartition(".")[2] in OVERRIDDEN:
            return _silenced(value)
        made = {key: _changed(item, aliases, device) for key, item in value.items()}
        return _component(made, device) if "_target_" in made else made
    if isinstance(value, list):
        return [_changed(item, aliases, device) for item in value]
    if isinstance(value, str) and value.startswith("$"):
        if modules_in(value[1:].strip()):
            return None  # MONAI's parser runs import statements wherever they stand
        return "$" + _on_device(value[1:], aliases, device)
    if isinstance(value, str) and CUDA.fullmatch(value):
        return device
    return value


def _component(made: dict[str, Any], device: str) -> dict[str, Any]:
    """A component that fetches nothing, on the chosen device, without arguments that mean nothing any more."""
    target = str(made["_target_"])
    outdated = OUTDATED.get(component_place(target) or "", frozenset())
    kept = {key: FORCED.get(key, item) for key, item in made.items() if key not in outdated}
    if target.rpartition(".")[2] in FETCHING:
        kept["pretrained"] = False
    if "device" in kept:
        kept["device"] = f"$torch.device({device!r})"
    return kept


def _silenced(value: Mapping[str, Any]) -> dict[str, Any]:
    """A reader or writer: disabled. Only where its file lies and which keys it fills can still be asked for.

    The rest was not judged, and MONAI's parser evaluates the arguments of a disabled component too.
    """
    return {key: value[key] for key in ("_target_", *ASKED_FOR) if key in value} | {"_disabled_": True}


def _honest(line: str) -> bool:
    """Whether an import names only modules that a model may have a use for."""
    modules = modules_in(line)
    return bool(modules) and not any(HOSTILE_NAMES.intersection(module.split(".")) for module in modules)


class _Devices(ast.NodeTransformer):
    """Puts one device in the place of every ``torch.device(...)``, ``"cuda:0"`` and ``.cuda()``."""

    def __init__(self, expression: Expression, device: str) -> None:
        self._expression = expression
        self._device = device

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self._expression.dotted(node.func) == "torch.device":
            return ast.copy_location(ast.parse(f"torch.device({self._device!r})", mode="eval").body, node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
            node.func.attr, node.args, node.keywords = "to", [ast.Constant(self._device)], []
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        named = isinstance(node.value, str) and CUDA.fullmatch(node.value)
        return ast.copy_location(ast.Constant(self._device), node) if named else node


def _on_device(text: str, aliases: Mapping[str, str], device: str) -> str:
    try:
        expression = parse(text, aliases)
    except ValueError:
        return text
    if expression.tree is None or not ("torch.device" in text or "cuda" in text):
        return text
    tree = ast.fix_missing_locations(_Devices(expression, device).visit(expression.tree))
    return _PLACED.sub(lambda match: "@" + expression.references[int(match[1])], ast.unparse(tree))
