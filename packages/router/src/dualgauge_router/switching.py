"""A function that reads v1, decorated so that its calls go to the side that a router decides."""

from __future__ import annotations

import inspect
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge_router.router import Router


class _Unknown(dict[str, object]):
    """Attributes that could not be had."""

    def get(self, *_: object) -> Any:  # noqa: ANN401  (it gives nothing)
        raise LookupError


_UNKNOWN: Final = _Unknown()

F = TypeVar("F", bound="Callable[..., Any]")


def switched(
    router: Router,
    view: str,
    *,
    unit: str,
    v2: Callable[..., Any],
    attrs: Callable[..., Mapping[str, object]] | None,
    timeout: float | None,
) -> Callable[[F], F]:
    """See `Router.switched`."""

    def decorated(v1: F) -> F:
        awaits = _awaits(v1)
        if awaits is not _awaits(v2):
            message = "v1 and v2 are both awaited, or neither is"
            raise ValueError(message)
        unit_of, signature = _argument(v1, unit), inspect.signature(v1)

        def how(args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
            said: Mapping[str, object] | None = None
            if attrs is not None:
                # No read may fail for what cohorts are told by; where they are asked for, it reads v1.
                try:
                    said = attrs(*args, **given)
                except Exception:  # noqa: BLE001  (the application's own)
                    said = _UNKNOWN
            calls = {"v1": partial(_called, v1), "v2": partial(_called, v2), "args": (args, given)}
            return {
                "unit": unit_of(args, given),
                "attrs": said,
                "timeout": timeout,
                "named": partial(_bound, signature),
                **calls,
            }

        if awaits:

            @wraps(v1)
            async def asynchronous(*args: Any, **given: Any) -> Any:  # noqa: ANN401  (as the function's)
                return await router.aread(view, **how(args, given))

            return cast("F", asynchronous)

        @wraps(v1)
        def synchronous(*args: Any, **given: Any) -> Any:  # noqa: ANN401  (as the function's)
            return router.read(view, **how(args, given))

        return cast("F", synchronous)

    return decorated


def _bound(signature: inspect.Signature, args: tuple[Any, ...], given: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a call gives each parameter, in whatever way, defaults too: so calls that are one are one read."""
    found = signature.bind(*args, **given)
    found.apply_defaults()
    return list(found.arguments.items())


def _called(function: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Any:  # noqa: ANN401  (its own)
    # With its arguments apart, which mismatches are shown with.
    return function(*args, **given)


def _awaits(function: Callable[..., object]) -> bool:
    """Whether what a function gives is awaited, be it decorated or an object with `__call__`. Raises ValueError."""
    if isinstance(function, staticmethod | classmethod):
        message = "switched stands beneath staticmethod or classmethod, and not above"
        raise ValueError(message)  # noqa: TRY004  (a mistake of the calling code, as the others)
    inner = inspect.unwrap(function)
    inner = inner if inspect.isroutine(inner) or isinstance(inner, partial) else getattr(inner, "__call__", inner)  # noqa: B004
    inner = inner.func if isinstance(inner, partial) else inner
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        message = "a function that yields reads after it was called: give a list instead"
        raise ValueError(message)
    return inspect.iscoroutinefunction(inner)


def _argument(function: Callable[..., object], name: str) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """What gives the argument of a parameter; its default, else None, where a call leaves it out. Raises ValueError."""
    parameters = list(inspect.signature(function).parameters.values())
    at = next((at for at, one in enumerate(parameters) if one.name == name), None)
    if at is None or parameters[at].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        message = f"{getattr(function, '__name__', function)!r} has no parameter {name!r} that could be the unit"
        raise ValueError(message)
    kind = parameters[at].kind
    default = None if parameters[at].default is inspect.Parameter.empty else parameters[at].default

    def found(args: tuple[Any, ...], given: dict[str, Any]) -> Any:  # noqa: ANN401  (as the function's)
        if kind is not inspect.Parameter.KEYWORD_ONLY and at < len(args):
            return args[at]
        # A name of ** may be that of a parameter that is given by its place alone.
        return default if kind is inspect.Parameter.POSITIONAL_ONLY else given.get(name, default)

    return found
