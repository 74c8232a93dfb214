"""Two Parquet files of one view's versions that are almost the same, with every difference planted and known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

CHANGED, MISSING, EXTRA = 1000, 300, 200
"""Rows of the pair that differ, are only in v1, and are only in v2."""

COLUMNS = ("region", "qty", "price", "rate", "updated_at", "name", "note")
"""The columns beside the key `id`."""

V1 = """
CREATE TABLE v1 AS
SELECT i * 3 AS id,
       (hash(i, 1) % 50)::INTEGER AS region,
       CASE WHEN hash(i, 2) % 20 = 0 THEN NULL ELSE (hash(i, 3) % 1000)::INTEGER END AS qty,
       ((hash(i, 4) % 100000000)::BIGINT / 10000)::DECIMAL(18, 4) AS price,
       CASE WHEN hash(i, 5) % 10 = 0 THEN NULL ELSE (hash(i, 6) % 1000000007)::DOUBLE / 997.0 END AS rate,
       TIMESTAMP '2024-01-01' + to_microseconds((hash(i, 7) % 63072000000000)::BIGINT) AS updated_at,
       'customer-' || (hash(i, 8) % 1000000)::VARCHAR AS name,
       CASE WHEN hash(i, 9) % 10 < 3 THEN NULL ELSE md5((hash(i, 10) % 500000)::VARCHAR)[:20] END AS note
FROM range(1, {rows} + 1) t(i) ORDER BY i
"""

PICKED = """
CREATE TABLE picked AS
SELECT id, row_number() OVER (ORDER BY hash(id, 99)) AS place FROM v1 ORDER BY place LIMIT {picked}
"""

V2 = """
CREATE TABLE v2 AS
WITH changed AS (SELECT id, place % 7 AS c FROM picked WHERE place <= {changed}),
base AS (
  SELECT v1.id,
         CASE WHEN c = 0 THEN region + 1 ELSE region END AS region,
         CASE WHEN c = 1 THEN (CASE WHEN qty IS NULL THEN 7 END) ELSE qty END AS qty,
         (CASE WHEN c = 2 THEN price + 0.0001 ELSE price END)::DECIMAL(18, 4) AS price,
         CASE WHEN c = 3 THEN coalesce(rate, 0) + 0.001 ELSE rate END AS rate,
         CASE WHEN c = 4 THEN updated_at + INTERVAL 1 MICROSECOND ELSE updated_at END AS updated_at,
         CASE WHEN c = 5 THEN name || ' ' ELSE name END AS name,
         CASE WHEN c = 6 THEN (CASE WHEN note IS NULL THEN '' END) ELSE note END AS note
  FROM v1 LEFT JOIN changed USING (id) WHERE v1.id NOT IN (SELECT id FROM picked WHERE place > {changed})
  UNION ALL
  SELECT id + 1, region, qty, price, rate, updated_at, name, note
  FROM (SELECT * FROM v1 ORDER BY hash(id, 77) LIMIT {extra})
)
SELECT * FROM base ORDER BY hash(id)
"""


def write_pair(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write v1, in the order of its key, and v2, in the order that a GROUP BY leaves behind."""
    files = (folder / "v1.parquet", folder / "v2.parquet")
    with duckdb.connect() as con:
        con.execute("SET enable_progress_bar = false")
        con.execute(V1.format(rows=rows))
        con.execute(PICKED.format(picked=CHANGED + MISSING))
        con.execute(V2.format(changed=CHANGED, extra=EXTRA))
        for name, file in zip(("v1", "v2"), files, strict=True):
            con.execute(f"COPY {name} TO '{file}' (COMPRESSION zstd)")
    return files
