"""An airport's day: v2 keeps UTC days, and must still answer for a day of New York's calendar."""

from dualgauge import Check, Comparator, Rounded

airport_days = Comparator(
    key=("origin", "day"),
    v1="SELECT origin, day, flights, departed, cancelled, mean_dep_delay FROM v1.airport_days",
    # A day in New York is its UTC day without what belongs to the day before, and the evening
    # that stands in the next UTC day. So v1's question is answered exactly: none may differ.
    v2="""
        WITH parts AS (
          SELECT
            origin, day,
            flights - flights_day_before AS flights,
            departed - departed_day_before AS departed,
            cancelled - cancelled_day_before AS cancelled,
            dep_delay_sum - dep_delay_sum_day_before AS dep_delay_sum
          FROM v2.airport_days
          UNION ALL
          SELECT
            origin, day - 1,
            flights_day_before, departed_day_before, cancelled_day_before, dep_delay_sum_day_before
          FROM v2.airport_days
        )
        SELECT
          origin,
          day,
          CAST(sum(flights) AS BIGINT) AS flights,
          CAST(sum(departed) AS BIGINT) AS departed,
          CAST(sum(cancelled) AS BIGINT) AS cancelled,
          CAST(sum(dep_delay_sum) AS DOUBLE) / nullif(sum(departed), 0) AS mean_dep_delay
        FROM parts
        GROUP BY origin, day
        HAVING sum(flights) > 0
    """,
    # v1 stores a mean, v2 divides a sum: they are the same number by two ways.
    rules={"mean_dep_delay": Rounded(digits=6)},
    affected_by={"origin": "origin", "day": "flight_date"},
    # What must hold of each side by itself, whatever the other says.
    checks=[
        Check("expect_column_values_to_be_in_set", column="origin", value_set=["EWR", "JFK", "LGA"]),
        Check("expect_column_values_to_be_between", column="cancelled", min_value=0),
        Check("expect_column_values_to_be_between", column="weather_hours", max_value=24, on="v2"),
    ],
)
