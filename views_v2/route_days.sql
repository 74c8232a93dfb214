-- key: carrier, origin, dest, day
-- index: day
-- affected_by: carrier, origin, dest, CAST(sched_dep AT TIME ZONE 'UTC' AS DATE)
-- description: Each carrier's flights on each route and UTC day, with the weather known at departure

-- Sums and counts only, so that months, routes and carriers can be rolled up without error.
-- New York is behind UTC: an evening flight is on the next UTC day. The columns ending in
-- day_before say how much of a row is on the day before by New York's calendar.
-- A weather observation older than three hours says nothing about a departure.
SELECT
  e.carrier,
  e.origin,
  e.dest,
  CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE) AS day,
  count(*) FILTER (WHERE e.type = 'scheduled') AS flights,
  count(*) FILTER (WHERE e.type = 'departed') AS departed,
  count(*) FILTER (WHERE e.type = 'arrived') AS arrived,
  count(e.arr_delay) AS arrivals_timed,
  sum(coalesce(e.dep_delay, 0)) AS dep_delay_sum,
  sum(coalesce(e.arr_delay, 0)) AS arr_delay_sum,
  sum(coalesce(e.air_time, 0)) AS air_time_sum,
  count(*) FILTER (
    WHERE e.type = 'departed' AND w.precip > 0 AND w.occurred_at >= e.occurred_at - INTERVAL 3 HOUR
  ) AS departed_in_rain,
  count(*) FILTER (
    WHERE e.type = 'departed' AND w.visib < 3 AND w.occurred_at >= e.occurred_at - INTERVAL 3 HOUR
  ) AS departed_in_low_visibility,
  count(*) FILTER (
    WHERE e.type = 'departed' AND w.wind_speed >= 25 AND w.occurred_at >= e.occurred_at - INTERVAL 3 HOUR
  ) AS departed_in_strong_wind,
  count(*) FILTER (
    WHERE e.type = 'departed' AND (w.position IS NULL OR w.occurred_at < e.occurred_at - INTERVAL 3 HOUR)
  ) AS departed_weather_unknown,
  count(*) FILTER (
    WHERE e.type = 'scheduled' AND e.flight_date < CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE)
  ) AS flights_day_before,
  count(*) FILTER (
    WHERE e.type = 'departed' AND e.flight_date < CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE)
  ) AS departed_day_before,
  count(e.arr_delay) FILTER (
    WHERE e.flight_date < CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE)
  ) AS arrivals_timed_day_before,
  sum(
    CASE WHEN e.flight_date < CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE) THEN coalesce(e.dep_delay, 0) ELSE 0 END
  ) AS dep_delay_sum_day_before,
  sum(
    CASE WHEN e.flight_date < CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE) THEN coalesce(e.arr_delay, 0) ELSE 0 END
  ) AS arr_delay_sum_day_before
FROM events AS e
ASOF LEFT JOIN (
  SELECT position, occurred_at, origin, precip, visib, wind_speed
  FROM events
  WHERE type = 'weather_observed'
) AS w
  ON e.origin = w.origin AND e.position >= w.position
WHERE
  e.type IN ('scheduled', 'departed', 'arrived')
  AND e.carrier IS NOT NULL AND e.origin IS NOT NULL AND e.dest IS NOT NULL AND e.sched_dep IS NOT NULL
GROUP BY e.carrier, e.origin, e.dest, CAST(e.sched_dep AT TIME ZONE 'UTC' AS DATE)
