-- key: carrier, origin, dest, day
-- index: day
-- description: Flights that did not leave, for each carrier, route and UTC day

-- Apart from route_days, which is read by those who plan for the flights that do leave.
SELECT
  carrier,
  origin,
  dest,
  CAST(sched_dep AT TIME ZONE 'UTC' AS DATE) AS day,
  count(*) AS cancelled,
  count(*) FILTER (WHERE tailnum IS NULL) AS cancelled_without_plane,
  count(*) FILTER (WHERE flight_date < CAST(sched_dep AT TIME ZONE 'UTC' AS DATE)) AS cancelled_day_before
FROM events
WHERE type = 'cancelled' AND carrier IS NOT NULL AND origin IS NOT NULL AND dest IS NOT NULL AND sched_dep IS NOT NULL
GROUP BY carrier, origin, dest, CAST(sched_dep AT TIME ZONE 'UTC' AS DATE)
