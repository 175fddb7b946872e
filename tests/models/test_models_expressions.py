"""Expressions: what is safe gives its value, what is code asks for trust, what is hostile is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.models.config.evaluate import Evaluator, ExpressionError
from napari_lesion.models.config.grammar import Trust, judge, parse

VALUES: dict[str, Any] = {
    "root": "/bundle",
    "flag": False,
    "size": [96, 64, 32],
    "options::overlap": 0.25,
    "labels": {"0": "background", "1": "lesion"},
}
ALIASES = {"np": "numpy"}


def _value(text: str) -> Any:
    return Evaluator(parse(text, ALIASES), VALUES.__getitem__).value()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@root + '/models/model.pt'", "/bundle/models/model.pt"),
        ("[1.5] * 3 if @flag else [3.0] * 3", [3.0] * 3),
        ("not @flag and @options#overlap < 0.5", True),
        ("@size[0]//4", 24),
        ("@size[::-1]", [32, 64, 96]),
        ("len(@labels) + 1", 3),
        ("list(set([i+1 for i in range(5)]) - set([2, 4]))", [1, 3, 5]),
        ("[{'label': l, **i} for i, l in zip([{'image': 1}], [2])]", [{"label": 2, "image": 1}]),
        ("{k: v for k, v in zip('ab', [1, 2]) if v > 1}", {"b": 2}),
        ("sum(x * y for x in range(3) for y in @size[:2])", 480),
        ("-2 ** 3 + abs(-1)", -7),
        ("np.float32", np.float32),
        ("numpy.prod(@size)", 96 * 64 * 32),
        ("1 < 2 < 3 != 4", True),
        ("'a' in @labels or '1' in @labels", True),
        ("[*@size, 1]", [96, 64, 32, 1]),
        ("[int(k) for k in @labels.keys()] + list(@labels.values())", [0, 1, "background", "lesion"]),
        ("{v: int(k) for k, v in @labels.items()}", {"background": 0, "lesion": 1}),
        ("@labels.get('7', 'none')", "none"),
        ("[i * n for i, n in enumerate(reversed(@size))]", [0, 64, 192]),
        ("any(n > 90 for n in @size) and not all(n > 90 for n in @size)", True),
        ("math.ceil(@size[0] / 7)", 14),
        ("str(pathlib.Path(@root) / 'models' / 'model.pt')", "/bundle/models/model.pt"),
        ("torch.cuda.device_count() + int(torch.backends.mps.is_available())", 0),
    ],
)
def test_safe_values(text: str, expected: Any) -> None:
    assert judge(parse(text, ALIASES)).trust is Trust.SAFE
    assert _value(text) == expected


def test_device_is_that_of_the_program() -> None:
    import torch

    text = "torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
    assert Evaluator(parse(text, {}), VALUES.__getitem__, "cpu").value() == torch.device("cpu")
    assert Evaluator(parse("torch.device('cuda')", {}), VALUES.__getitem__, "cpu").value() == torch.device("cpu")


@pytest.mark.parametrize(
    "text",
    [
        "lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, 0))",
        "torch.load(@root, map_location='cpu')",
        "torch.from_numpy(@size)",
        "monai.data.load_decathlon_datalist(@root)",
        "scripts.sample.check_input(@root)",
        "list(sorted(glob.glob(@root + '/*.nii.gz')))",
        "os.path.abspath(@root)",
        "json.loads(@root)",
        "pathlib.Path(@root).read_text()",
        "@labels.pop('0')",
        "@network.load_state_dict(@root)",
        "import scripts",
    ],
)
def test_code_needs_trust(text: str) -> None:
    assert judge(parse(text, ALIASES)).trust is Trust.NEEDS_TRUST
    with pytest.raises(ExpressionError):
        _value(text)


HOSTILE = [
    "__import__('os').system('touch ran')",
    "().__class__.__base__.__subclasses__()",
    "@size.__class__.__mro__",
    "torch.float32.__class__",
    "numpy.array.__globals__['sys']",
    "getattr(@root, 'upper')()",
    "eval('1')",
    "exec('import os')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd').read()",
    "globals()['x']",
    "vars(@root)",
    "setattr(@root, 'a', 1)",
    "os.system('touch ran')",
    "os.remove(@root)",
    "os.environ['HOME']",
    "subprocess.run(['touch', 'ran'])",
    "sys.modules['os']",
    "shutil.rmtree('/')",
    "socket.socket()",
    "pickle.loads(@root)",
    "importlib.import_module('os')",
    "pathlib.Path('ran').write_text('x')",
    "pathlib.Path('ran').unlink()",
    "lambda x: __import__('os')",
    "lambda x: os.system('touch ran')",
    "lambda x: open('ran', 'w')",
    "(lambda: 1)()()",
    "[f for f in [1]][0]()",
    "(x := 1)",
    "f'{@root}'",
    "breakpoint()",
    "builtins.eval('1')",
    "unknown_module.run()",
    "type('X', (), {})",
    "await @root",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_is_refused(text: str) -> None:
    try:
        expression = parse(text, ALIASES)
    except ValueError:
        return
    assert judge(expression).trust is Trust.REFUSED
    with pytest.raises(ExpressionError):
        _value(text)


@pytest.mark.parametrize("text", ["x = 1", "1; 2", "def f(): pass", "1 +", "reference_0_", "(" * 3000, "9" * 5000])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match=r"expression|limit|parser"):
        _value(text)


@pytest.mark.parametrize(
    "text",
    [
        "9 ** 9 ** 9",
        "2 ** 65",
        "10 ** 60 * 10 ** 60",
        "'a' * 10 ** 9",
        "[0] * 10 ** 9",
        "range(10 ** 12)",
        "[x for x in range(10 ** 5) for y in range(10 ** 5)]",
        "sum([[x] * 1000 for x in range(1000)], [])",
        "'%s' % @root",
        "1 / 0",
        "@size[7]",
        "@labels['9']",
        "int('x')",
        "@root.upper",
    ],
)
def test_what_grows_or_fails_ends_in_words(text: str) -> None:
    with pytest.raises(ExpressionError):
        _value(text)


def test_methods_belong_to_their_class() -> None:
    import torch

    network = torch.nn.Linear(2, 2)
    text = "@network.to(@device)"
    objects = {"network": network, "device": torch.device("cpu")}
    assert Evaluator(parse(text, {}), objects.__getitem__).value() is network
    with pytest.raises(ExpressionError, match="not a safe method"):
        Evaluator(parse("@network.to('x')", {}), {"network": "text"}.__getitem__).value()
    with pytest.raises(ExpressionError, match="not a safe method"):
        Evaluator(parse("@network.get('x')", {}), objects.__getitem__).value()


arithmetic = st.recursive(
    st.integers(0, 50).map(str),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "<", "==", " and ", " or "]), inner).map(
        lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"
    ),
    max_leaves=12,
)


@given(arithmetic)
def test_arithmetic_is_python_s(text: str) -> None:
    expected = eval(text, {"__builtins__": {}})
    if abs(expected) <= 2**63:
        assert _value(text) == expected
