-- key: Größe
WITH late AS (FROM events WHERE delay > 0)
SELECT carrier AS "Größe", CAST(occurred_at AT TIME ZONE 'UTC' AS DATE) AS day FROM late
