-- key: carrier, month
-- index: month
-- description: How each carrier did in each month, by New York's calendar

SELECT
  carrier,
  strftime(flight_date, '%Y-%m') AS month,
  count(*) FILTER (WHERE type = 'scheduled') AS flights,
  count(*) FILTER (WHERE type = 'departed') AS departed,
  count(*) FILTER (WHERE type = 'cancelled') AS cancelled,
  count(arr_delay) AS arrivals,
  avg(dep_delay) AS mean_dep_delay,
  avg(arr_delay) AS mean_arr_delay
FROM events
WHERE type IN ('scheduled', 'departed', 'cancelled', 'arrived') AND carrier IS NOT NULL AND flight_date IS NOT NULL
GROUP BY carrier, strftime(flight_date, '%Y-%m')
