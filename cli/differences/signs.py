"""Signs in the code that one machine and a cluster may differ: what the table must account for.

A sign is a short text, as `setting GATEWAY_BACKEND` or `branch records/engine.py: postgresql`. Each kind
finds one way in which this house tells places apart:

    setting   one of few values, a switch, or unset by default: not how much, but which
    branch    a comparison with the name of an engine or a place
    module    a file or folder that is named after an engine or a place
    variable  an environment variable that code reads without settings, or sets for another process
    image     a setting that an image sets
    kfp       what the pipeline asks Kubeflow Pipelines for
    program   a process that `sluice up` starts
"""

import ast
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from cli.reference import settings_classes
from kit.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = tuple(
    "contracts kit records feature_repo training serving gateway monitoring pipelines cli".split()  # noqa: SIM905
)

_PLACES: Final = frozenset(
    (
        "cluster", "embedded", "kserve", "kubeflow", "kubernetes", "lambda", "linux", "local", "machine",
        "oip", "onnxruntime", "postgresql", "python", "redis", "sqlite", "win32", "x86_64",
    )
)  # fmt: skip
_PLACE_IN_NAME: Final = re.compile(
    r"cluster|embedded|kserve|kubernetes|kubeflow|lambda|local|postgres|redis|wheel"
)
_VARIABLE: Final = re.compile(r"(?:[A-Z][A-Z0-9]*_)+[A-Z0-9]+|KUBECONFIG")
_MEASURES: Final = re.compile(
    r"(^|/)(\w*benchmarks?|peers|comparison|differences)(/|\.py)|migrations/versions/"
)
"""Code that only measures builds places of its own, and a migration is of its day."""
_CONSTANT: Final = re.compile(
    r'^(_?[A-Z][A-Z_]*)(?:: Final)? = "((?:[A-Z][A-Z0-9]*_)+[A-Z0-9]+)"', re.MULTILINE
)
_KFP: Final = frozenset({"dsl", "kubernetes", "task"})
_IMAGE_VARIABLE: Final = re.compile(r"^(?:ENV)?\s+([A-Z][A-Z_]+)=(\S*)", re.MULTILINE)


def found() -> set[str]:
    """Returns every sign of this repository."""
    classes = settings_classes()
    signs = set(of_settings(classes))
    known = {variable for each in classes for variable in each.variables().values()}
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sources()}
    names = {name: value for text in texts.values() for name, value in _CONSTANT.findall(text)}
    for name, text in texts.items():
        signs |= set(of_module(name)) | set(of_source(name, text, known, names))
    for path in sorted((ROOT / "docker").glob("*.Dockerfile")):
        signs |= set(of_image(path.name, path.read_text(encoding="utf-8"), known))
    return signs


def sources() -> list[Path]:
    """Returns the modules of the house, but for those that only measure."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [path for path in paths if not _MEASURES.search(path.relative_to(ROOT).as_posix())]


def of_settings(classes: Iterable[type[Settings]]) -> Iterator[str]:
    """Yields the settings that choose; a number says how much, which is the same kind everywhere."""
    for settings in classes:
        for name, field in settings.model_fields.items():
            if _chooses(field.annotation, field.default):
                yield f"setting {settings.variables()[name]}"


def of_module(name: str) -> Iterator[str]:
    """Yields the file itself, or its folder, if an engine or a place gave it its name."""
    *folders, file = name.split("/")
    for depth, folder in enumerate(folders):
        if _PLACE_IN_NAME.search(folder):
            yield f"module {'/'.join(folders[: depth + 1])}/"
            return
    if _PLACE_IN_NAME.search(file):
        yield f"module {name}"


def of_source(name: str, source: str, known: set[str], names: Mapping[str, str]) -> Iterator[str]:
    """Yields comparisons with places, variables of other processes, what is asked of kfp, and programs.

    `known` are the variables of settings, `names` the constants that hold a variable's name.
    """
    tree = ast.parse(source)
    asks_kfp = name.startswith("pipelines/") and re.search(r"^\s*from kfp", source, re.MULTILINE) is not None
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.match_case):
            tested = node if isinstance(node, ast.Compare) else node.pattern
            yield from (f"branch {name}: {place}" for place in _places(tested))
        if isinstance(node, ast.Dict):
            keys = (key.value for key in node.keys if isinstance(key, ast.Constant))
            yield from (
                f"variable {key}" for key in keys if isinstance(key, str) and _is_variable(key, known)
            )
        elif (read := _read_variable(node, names)) is not None:
            yield f"variable {read}"
        elif asks_kfp and isinstance(node, ast.Attribute) and _first_name(node) in _KFP:
            yield f"kfp {node.attr}"
        elif name.endswith("local/programs.py") and isinstance(node, ast.FunctionDef) and _starts(node):
            yield f"program {node.name}"


def of_image(name: str, text: str, known: set[str]) -> Iterator[str]:
    """Yields the settings that an image sets, with their values: there they differ from the defaults."""
    for variable, value in _IMAGE_VARIABLE.findall(text):
        if variable in known:
            yield f"image {name}: {variable}={value}"


def _chooses(annotation: Any, default: Any) -> bool:
    if isinstance(default, str):
        # A name or a duration is no choice, an address or a path on this machine is.
        return (
            default == ""
            or default.startswith((".", "/", "127.", "localhost", "docs/"))
            or typing.get_origin(annotation) is typing.Literal
            or isinstance(default, Enum)
        )
    return (
        annotation is bool or default is None or isinstance(default, SecretStr | Path | tuple | dict | Enum)
    )


def _places(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value in _PLACES:
            yield each.value
        elif isinstance(each, ast.Attribute) and each.attr.isupper() and each.attr.lower() in _PLACES:
            yield each.attr.lower()


def _is_variable(text: str, known: set[str]) -> bool:
    ours = tuple({variable.partition("_")[0] + "_" for variable in known})
    return bool(_VARIABLE.fullmatch(text)) and (text in known or text.startswith((*ours, "MLFLOW_", "KUBE")))


def _read_variable(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """Returns the variable that an expression reads or sets by `os.environ` or `os.getenv`."""
    named: ast.expr | None = None
    if isinstance(node, ast.Subscript) and _is_environ(node.value):
        named = node.slice
    elif isinstance(node, ast.Compare) and any(_is_environ(each) for each in node.comparators):
        named = node.left
    elif isinstance(node, ast.Call) and node.args and _reads(node.func):
        named = node.args[0]
    if isinstance(named, ast.Constant) and isinstance(named.value, str):
        return named.value
    return names.get(ast.unparse(named).rpartition(".")[2]) if named is not None else None


def _starts(node: ast.FunctionDef) -> bool:
    return node.returns is not None and ast.unparse(node.returns) == "Program"


def _reads(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and (
        _is_environ(function.value) or ast.unparse(function) == "os.getenv"
    )


def _is_environ(node: ast.expr) -> bool:
    return ast.unparse(node) in {"os.environ", "environ"}


def _first_name(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""
