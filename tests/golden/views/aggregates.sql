-- key: carrier, origin
-- index: mean_delay
-- affected_by: carrier, coalesce(origin, 'none')
-- description: not part of the hash

SELECT
  carrier, origin, count(*) AS flights, AVG(delay) AS mean_delay, -- a comment
  sum(fare) FILTER (WHERE type = 'sold') AS "Fare",
  /* another
     /* nested */ */ max(occurred_at) AS last
FROM events
WHERE type IN ('sold', 'it''s', e'it\'s', $$dollar$$) AND delay BETWEEN -1_000 AND 1.5e3
GROUP BY carrier, origin;
