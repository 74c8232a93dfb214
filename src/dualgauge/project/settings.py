"""
Validation of `[tool.dualgauge]`: each room brings a pydantic model, this module turns mistakes into sentences.

A sentence names the key as it stands in the file and, where it can, what is allowed there.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dualgauge.model import listed, nearest
from dualgauge.project.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)

TABLE = "tool.dualgauge"


EVIDENCE: Final[dict[str, Any]] = {"evidence": True}
"""Marks a setting that evidence depends on, by `json_schema_extra`: changed, it asks for new evidence."""


def evidence_settings(section: BaseModel) -> dict[str, object]:
    """The values of the settings that evidence depends on, by name, with those of the parts below."""
    found: dict[str, object] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if field.json_schema_extra == EVIDENCE:
            found[name] = value
        elif isinstance(value, BaseModel) and (inner := evidence_settings(value)):
            found[name] = inner
    return found


class Section(BaseModel):
    """A part of the settings: frozen, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paths(Section):
    """`[tool.dualgauge.paths]`: where content and evidence lie, relative to the project."""

    migrations: str = Field(default="migrations", description="the Alembic environment and its revisions")
    views_v1: str = Field(default="views_v1", description="v1's view files")
    views_v2: str = Field(default="views_v2", description="v2's view files")
    comparators: str = Field(default="comparators", description="Python files with comparators")
    reports: str = Field(default="reports", description="one folder for each run, written by the tool")


def validate(model: type[Model], raw: Mapping[str, Any], file: Path) -> Model:
    """
    Check raw settings against a room's model.

    Raises:
        BadSettings: naming the file and, for each mistake, the key, what is wrong and what is allowed.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as fault:
        raise BadSettings(file, [_mistake(model, error) for error in fault.errors()]) from None


def _mistake(model: type[BaseModel], error: ErrorDetails) -> str:  # noqa: PLR0911  (one row a mistake reads best)
    place, name = error["loc"][:-1], error["loc"][-1] if error["loc"] else ""
    key = ".".join(str(part) for part in (TABLE, *error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            known = _fields(model, place)
            where = ".".join(str(part) for part in (TABLE, *place))
            offered = f"{nearest(str(name), known)}; known keys: {listed(sorted(known), 20)}"
            return f"unknown key {str(name)!r} in [{where}]{offered}"
        case "missing":
            return f"{key} is missing"
        case "value_error":
            reason = str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
            return f"{key}: {reason}"
        case "literal_error":
            return f"{key} = {error['input']!r} is not allowed; allowed: {error['ctx']['expected']}"
        case "model_type" | "dict_type":
            return f"{key} = {error['input']!r}: should be a table"
        case "list_type":
            return f"{key} = {error['input']!r}: should be a list (an array of tables is written [[{key}]])"
        case _:
            return f"{key} = {error['input']!r}: {error['msg'].removeprefix('Input ')}"


def _fields(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys that the model allows at a place inside it."""
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
        elif get_origin(current) in (list, tuple, dict):
            current = get_args(current)[-1] if get_origin(current) is dict else get_args(current)[0]
        if get_origin(current) in (Union, types.UnionType):
            current = next(
                (arg for arg in get_args(current) if isinstance(arg, type) and issubclass(arg, BaseModel)), None
            )
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
