-- key: origin, day
-- description: Each airport's flights and weather on each UTC day

-- The columns ending in day_before say how much of a row is on the day before by New York's calendar.
SELECT
  origin,
  CAST(coalesce(sched_dep, occurred_at) AT TIME ZONE 'UTC' AS DATE) AS day,
  count(*) FILTER (WHERE type = 'scheduled') AS flights,
  count(*) FILTER (WHERE type = 'departed') AS departed,
  count(*) FILTER (WHERE type = 'cancelled') AS cancelled,
  sum(coalesce(dep_delay, 0)) AS dep_delay_sum,
  count(*) FILTER (WHERE type = 'weather_observed') AS weather_hours,
  sum(coalesce(precip, 0)) AS precip_sum,
  min(visib) AS lowest_visib,
  max(wind_speed) AS highest_wind_speed,
  count(*) FILTER (
    WHERE type = 'scheduled' AND flight_date < CAST(sched_dep AT TIME ZONE 'UTC' AS DATE)
  ) AS flights_day_before,
  count(*) FILTER (
    WHERE type = 'departed' AND flight_date < CAST(sched_dep AT TIME ZONE 'UTC' AS DATE)
  ) AS departed_day_before,
  count(*) FILTER (
    WHERE type = 'cancelled' AND flight_date < CAST(sched_dep AT TIME ZONE 'UTC' AS DATE)
  ) AS cancelled_day_before,
  sum(
    CASE WHEN flight_date < CAST(sched_dep AT TIME ZONE 'UTC' AS DATE) THEN coalesce(dep_delay, 0) ELSE 0 END
  ) AS dep_delay_sum_day_before
FROM events
WHERE type IN ('scheduled', 'departed', 'cancelled', 'weather_observed') AND origin IS NOT NULL
GROUP BY origin, CAST(coalesce(sched_dep, occurred_at) AT TIME ZONE 'UTC' AS DATE)
