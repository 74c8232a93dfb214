"""A function that reads v1, decorated so that its calls go to the side that a router decides."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge_router.router import Router

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
        unit_of = _argument(v1, unit)

        def how(args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
            said = None
            if attrs is not None:
                # No read may fail for what cohorts are told by.
                with suppress(Exception):
                    said = attrs(*args, **given)
            calls = {"v1": partial(v1, *args, **given), "v2": partial(v2, *args, **given)}
            return {"unit": unit_of(args, given), "attrs": said, "timeout": timeout, **calls}

        if inspect.iscoroutinefunction(v1):

            @wraps(v1)
            async def asynchronous(*args: Any, **given: Any) -> Any:  # noqa: ANN401  (as the function's)
                return await router.aread(view, **how(args, given))

            return cast("F", asynchronous)

        @wraps(v1)
        def synchronous(*args: Any, **given: Any) -> Any:  # noqa: ANN401  (as the function's)
            return router.read(view, **how(args, given))

        return cast("F", synchronous)

    return decorated


def _argument(function: Callable[..., object], name: str) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """What gives the argument of a parameter; None where a call leaves it out, and it has no default."""
    parameters = list(inspect.signature(function).parameters.values())
    at = next((at for at, one in enumerate(parameters) if one.name == name), None)
    if at is None:
        message = f"{getattr(function, '__name__', function)!r} has no parameter {name!r} that could be the unit"
        raise ValueError(message)
    default = None if parameters[at].default is inspect.Parameter.empty else parameters[at].default

    def found(args: tuple[Any, ...], given: dict[str, Any]) -> Any:  # noqa: ANN401  (as the function's)
        return given[name] if name in given else args[at] if at < len(args) else default

    return found
