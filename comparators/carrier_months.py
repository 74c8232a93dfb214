"""A carrier's month: v1 keeps it as a row, v2 rolls it up from the days of its routes."""

from datetime import date

from dualgauge import Check, Comparator, Expected, Rounded

# A month in v2 is a UTC month. What went `_in` was flown on the last evening of the month before by
# New York's calendar, what went `_out` on the last evening of this month: both are found on the
# first UTC day of a month.
V2 = """
WITH days AS (
  SELECT
    carrier, day,
    flights, departed, arrivals_timed AS arrivals, dep_delay_sum, arr_delay_sum, 0 AS cancelled,
    flights_day_before AS flights_before, departed_day_before AS departed_before,
    arrivals_timed_day_before AS arrivals_before, dep_delay_sum_day_before AS dep_delay_before,
    arr_delay_sum_day_before AS arr_delay_before, 0 AS cancelled_before
  FROM v2.route_days
  UNION ALL BY NAME
  SELECT carrier, day, cancelled, cancelled_day_before AS cancelled_before
  FROM v2.cancellations
),
months AS (
  SELECT
    carrier, strftime(day, '%Y-%m') AS month,
    flights, departed, arrivals, dep_delay_sum, arr_delay_sum, cancelled
  FROM days
  UNION ALL BY NAME
  SELECT
    carrier, strftime(day, '%Y-%m') AS month,
    flights_before AS flights_in, departed_before AS departed_in,
    arrivals_before AS arrivals_in, cancelled_before AS cancelled_in,
    dep_delay_before AS dep_delay_in, arr_delay_before AS arr_delay_in
  FROM days
  WHERE day(day) = 1
  UNION ALL BY NAME
  SELECT
    carrier, strftime(day - 1, '%Y-%m') AS month,
    flights_before AS flights_out, departed_before AS departed_out,
    arrivals_before AS arrivals_out, cancelled_before AS cancelled_out,
    dep_delay_before AS dep_delay_out, arr_delay_before AS arr_delay_out
  FROM days
  WHERE day(day) = 1 AND (flights_before > 0 OR cancelled_before > 0)
)
SELECT
  carrier,
  month,
  CAST(coalesce(sum(flights), 0) AS BIGINT) AS flights,
  CAST(coalesce(sum(departed), 0) AS BIGINT) AS departed,
  CAST(coalesce(sum(cancelled), 0) AS BIGINT) AS cancelled,
  CAST(coalesce(sum(arrivals), 0) AS BIGINT) AS arrivals,
  CAST(sum(dep_delay_sum) AS DOUBLE) / nullif(sum(departed), 0) AS mean_dep_delay,
  CAST(sum(arr_delay_sum) AS DOUBLE) / nullif(sum(arrivals), 0) AS mean_arr_delay,
  CAST(coalesce(sum(flights_in), 0) AS BIGINT) AS _flights_in,
  CAST(coalesce(sum(flights_out), 0) AS BIGINT) AS _flights_out,
  CAST(sum(coalesce(departed_in, 0) - coalesce(departed_out, 0)) AS BIGINT) AS _departed_moved,
  CAST(sum(coalesce(cancelled_in, 0) - coalesce(cancelled_out, 0)) AS BIGINT) AS _cancelled_moved,
  CAST(sum(coalesce(arrivals_in, 0) - coalesce(arrivals_out, 0)) AS BIGINT) AS _arrivals_moved,
  CAST(sum(coalesce(dep_delay_in, 0) - coalesce(dep_delay_out, 0)) AS BIGINT) AS _dep_delay_moved,
  CAST(sum(coalesce(arr_delay_in, 0) - coalesce(arr_delay_out, 0)) AS BIGINT) AS _arr_delay_moved
FROM months
GROUP BY carrier, month
"""

carrier_months = Comparator(
    key=("carrier", "month"),
    v1="""
        SELECT
          carrier, month,
          flights, departed, cancelled, arrivals, mean_dep_delay, mean_arr_delay
        FROM v1.carrier_months
    """,
    v2=V2,
    # v1 stores a mean, v2 divides a sum: they are the same number by two ways.
    rules={"mean_dep_delay": Rounded(digits=6), "mean_arr_delay": Rounded(digits=6)},
    expected=[
        Expected(
            when="v2._flights_in <> 0 OR v2._flights_out <> 0",
            # In the last UTC month nothing but the last evening may be known: v1 has no such row.
            v2_equals={
                "flights": "coalesce(v1.flights, 0) + v2._flights_in - v2._flights_out",
                "departed": "coalesce(v1.departed, 0) + v2._departed_moved",
                "cancelled": "coalesce(v1.cancelled, 0) + v2._cancelled_moved",
                "arrivals": "coalesce(v1.arrivals, 0) + v2._arrivals_moved",
                "mean_dep_delay": (
                    "(coalesce(v1.mean_dep_delay * v1.departed, 0) + v2._dep_delay_moved) / nullif(v2.departed, 0)"
                ),
                "mean_arr_delay": (
                    "(coalesce(v1.mean_arr_delay * v1.arrivals, 0) + v2._arr_delay_moved) / nullif(v2.arrivals, 0)"
                ),
            },
            reason=("v1 counts by New York's calendar, v2 by UTC: a month's last evening is in the next month"),
            owner="flight-data",
            until=date(2027, 12, 31),
        ),
    ],
    # An event of a month's last evening also touches the next month in v2; v1's month is told here.
    affected_by={"carrier": "carrier", "month": "strftime(flight_date, '%Y-%m')"},
    checks=[
        Check("expect_column_values_to_match_regex", column="month", regex=r"^2013-(0[1-9]|1[0-2])$", on="v1"),
        Check(
            "expect_column_pair_values_a_to_be_greater_than_b",
            column_A="departed",
            column_B="arrived",
            or_equal=True,
            on="v2",
            view="route_days",
        ),
        Check("expect_column_values_to_be_between", column="cancelled", min_value=1, on="v2", view="cancellations"),
    ],
)
