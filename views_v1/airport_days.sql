-- key: origin, day
-- description: How each airport did on each day, by New York's calendar

SELECT
  origin,
  flight_date AS day,
  count(*) FILTER (WHERE type = 'scheduled') AS flights,
  count(*) FILTER (WHERE type = 'departed') AS departed,
  count(*) FILTER (WHERE type = 'cancelled') AS cancelled,
  avg(dep_delay) AS mean_dep_delay
FROM events
WHERE type IN ('scheduled', 'departed', 'cancelled') AND origin IS NOT NULL AND flight_date IS NOT NULL
GROUP BY origin, flight_date
