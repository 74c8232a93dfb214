---- Every merge class, with NULLs in what is aggregated.

-- view: counts, merge
-- key: type
SELECT type, count(*) AS a, count(n) AS b, count_if(flag) AS c FROM events GROUP BY type

-- view: sums, merge
-- key: type
SELECT type, sum(n) AS a, sum(price) AS b, sum(n * 3) + 1 AS c FROM events GROUP BY ALL

-- view: bounds, merge
-- key: type
SELECT type, min(n) AS a, max(price) AS b, min(note) AS c, max(occurred_at) AS d FROM events GROUP BY 1

-- view: means, merge
-- key: type
SELECT type, avg(n) AS a, avg(price) AS b, mean(n + 1) AS c FROM events GROUP BY type

-- view: truths, merge
-- key: type
SELECT type, bool_and(flag) AS a, bool_or(flag) AS b FROM events GROUP BY type

-- view: bits, merge
-- key: type
SELECT type, bit_and(n) AS a, bit_or(n) AS b, bit_xor(n) AS c FROM events GROUP BY type

-- view: last_known, merge
-- key: type
SELECT type, arg_max(note, position) AS a, arg_min(note, position) AS b, max_by(n, position) AS c FROM events GROUP
BY type

-- view: last_told, merge
-- key: type
SELECT type, arg_max_null(note, position) AS a, arg_min_null(n, position) AS b FROM events GROUP BY type

-- view: by_time, merge
-- key: type
SELECT type, arg_max(note, (occurred_at, position)) AS a, arg_min(n, (occurred_at, position)) AS b FROM events GROUP
BY type

-- view: filtered, merge
-- key: type
SELECT type, count(*) FILTER (WHERE n > 2) AS a, sum(price) FILTER (WHERE flag) AS b, avg(n) FILTER (WHERE note IS
NOT NULL) AS c, arg_max(note, position) FILTER (WHERE n > 1) AS d FROM events GROUP BY type

---- Ordered by what the view says to be unique, alone, in a tuple, together with what it groups by.

-- view: by_seq, merge
-- key: type
-- unique: seq
SELECT type, max(seq) AS t, arg_max(note, seq) AS a, arg_min(n, seq) AS b, arg_max_null(who, seq) AS c,
max_by(price, seq) FILTER (WHERE n > 0) AS d, sum(n) AS s FROM events e GROUP BY type

-- view: by_seq_and_time, merge
-- key: type
-- unique: seq
SELECT type, count(*) AS n, arg_min_null(note, (occurred_at, e.seq)) AS a, arg_max(n, (n, seq)) AS b FROM events AS e
WHERE n > 0 GROUP BY type HAVING count(*) > 1

-- view: by_seq_of_group, merge
-- key: flag, k
-- unique: type, seq
SELECT coalesce(type, '') AS k, flag, arg_max(note, (seq, type)) AS a FROM events WHERE flag IS NOT NULL GROUP BY 1, flag

-- view: by_seq_within, merge
-- key: type
-- unique: type, seq
SELECT type, arg_max_null(note, seq) AS a, arg_min(note, seq) AS b FROM events GROUP BY type

-- view: by_seq_looked_up, merge
-- key: type
-- unique: seq
SELECT e.type, arg_max(o.n, e.seq) AS a FROM events e
ASOF LEFT JOIN (SELECT position, who, n FROM events WHERE n > 0) o ON e.who = o.who AND e.position > o.position
GROUP BY e.type

-- view: each_by_seq, append
-- key: seq
-- unique: seq
SELECT coalesce(seq, 0) AS seq, note FROM events

-- view: seq_of_another, replay
-- key: type
-- unique: seq
SELECT type, arg_max(note, other) AS a FROM (SELECT *, seq AS other FROM events) GROUP BY type

---- HAVING, which a group crosses both ways, and groups that empty and come back.

-- view: having, merge
-- key: type
SELECT type, sum(n) AS a FROM events GROUP BY type HAVING sum(n) BETWEEN 2 AND 6

-- view: balance, merge
-- key: who
SELECT who, sum(CASE WHEN type = 'out' THEN -n ELSE n END) AS left_over FROM events WHERE who IS NOT NULL GROUP BY
who HAVING sum(CASE WHEN type = 'out' THEN -n ELSE n END) <> 0

-- view: having_alias, merge
-- key: type
SELECT type, count(*) AS many FROM events GROUP BY type HAVING many % 2 = 1

-- view: having_null, merge
-- key: type
SELECT type, max(n) AS a FROM events GROUP BY type HAVING max(n) > 2

---- Keys: expressions, composite, with NULLs named, empty and beyond ASCII.

-- view: named, merge
-- key: who
SELECT coalesce(who, '?') AS who, count(*) AS a FROM events GROUP BY coalesce(who, '?')

-- view: upper, merge
-- key: k
SELECT upper(who) AS k, sum(n) AS a FROM events WHERE who IS NOT NULL GROUP BY k

-- view: two_keys, merge
-- key: type, who
SELECT who, type, count(*) AS a, max(n) AS b FROM events e WHERE e.who IS NOT NULL GROUP BY who, e.type

-- view: number_key, merge
-- key: n
SELECT n, count(*) AS a, sum(price) AS b FROM events WHERE n IS NOT NULL GROUP BY n

-- view: price_key, merge
-- key: price
SELECT price, count(*) AS a FROM events WHERE price IS NOT NULL GROUP BY price

-- view: flag_key, merge
-- key: flag
SELECT flag, count(*) AS a FROM events WHERE flag IS NOT NULL GROUP BY flag

-- view: compared_key, merge
-- key: early, type
SELECT position < 3 AND type <> '' AS early, type, count(*) AS a FROM events GROUP BY ALL

---- Windows of event time are keys: a late event corrects its old one.

-- view: hours, merge
-- key: hour
SELECT date_trunc('hour', occurred_at) AS hour, count(*) AS a, sum(price) AS b FROM events GROUP BY ALL

-- view: days, merge
-- key: day, type
SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS DATE) AS day, type, avg(n) AS a FROM events GROUP BY day, type

---- What the columns make of aggregates and keys.

-- view: made, merge
-- key: type
SELECT type, type || '!' AS loud, sum(n) * 1.5 - count(*) AS a, CASE WHEN max(n) > 3 THEN 'many' ELSE 'few' END AS
b, sum(n) AS s, s / 2 AS half, round(avg(price), 1) AS r FROM events GROUP BY ALL

-- view: listed, merge
-- key: type
SELECT type, list_transform([max(n), min(n)], lambda x: x + 1) AS a, {'low': min(price), 'n': count(*)} AS b FROM
events GROUP BY type

-- view: comments, merge
-- key: type
SELECT type, -- the kind
  sum(n /* all */ ) AS "söme", 'FROM' AS word, type IS DISTINCT FROM 'in' AS other
FROM events -- all
GROUP BY ALL

---- Without GROUP BY there is one row, whatever came.

-- view: one_row, merge
-- key: id
SELECT 'all' AS id, count(*) AS a, sum(n) AS b, avg(n) AS c FROM events WHERE n > 2

---- Each event gives rows of its own.

-- view: each, append
-- key: event_id
SELECT event_id, who, n * 2 AS twice, note FROM events WHERE n IS NOT NULL

-- view: places, append
-- key: position
SELECT position, occurred_at, flag, price FROM events

-- view: parts, append
-- key: event_id, part
SELECT event_id, unnest(['a', 'b']) AS part, n FROM events

---- What needs more than the batch is left to a replay.

-- view: distinct, replay
-- key: type
SELECT type, count(DISTINCT who) AS a FROM events GROUP BY type

-- view: medians, replay
-- key: type
SELECT type, median(n) AS a FROM events GROUP BY type

-- view: listed_in_order, replay
-- key: type
SELECT type, list(note ORDER BY occurred_at, position) AS a FROM events GROUP BY type

-- view: null_key, replay
-- key: who
SELECT who, count(*) AS a FROM events WHERE CASE WHEN who IS NULL THEN false ELSE true END GROUP BY ALL

-- view: ranked, replay
-- key: event_id
SELECT event_id, row_number() OVER (ORDER BY position) AS a FROM events

-- view: latest_three, replay
-- key: event_id
SELECT event_id, n FROM events ORDER BY position DESC LIMIT 3

-- view: itself, replay
-- key: event_id
SELECT e.event_id, max(o.n) AS a FROM events e JOIN events o ON o.type = e.type GROUP BY e.event_id

-- view: beside_key, replay
-- key: type
SELECT type, count(*) AS a FROM events GROUP BY type, position < 0

---- As-of look-ups: of the last earlier row, in the batch or before it; a later one changes nothing.

-- view: looked_up, append
-- key: position
SELECT e.position, e.who, o.n AS last_out, o.position AS out_at
FROM events AS e
ASOF LEFT JOIN (SELECT position, who, n FROM events WHERE type = 'out') AS o ON e.who = o.who AND e.position >= o.position

-- view: looked_up_twice, append
-- key: position
SELECT e.position, before.note AS "note before", o.price, o.flag
FROM events e
ASOF LEFT JOIN events AS before ON before.type = e.type AND before.position < e.position
ASOF LEFT JOIN (SELECT * FROM events WHERE price IS NOT NULL) o ON o.who = e.who AND e.position > o.position

-- view: looked_up_sums, merge
-- key: type
SELECT e.type, count(*) AS a, sum(o.n * e.n) AS b, max(o.price) AS c, count(o.position) AS d
FROM events AS e
ASOF LEFT JOIN (SELECT position, n, who, price FROM events WHERE n > 0) AS o
  ON e.who = o.who AND e.position > o.position
GROUP BY e.type
HAVING count(*) <> 2

-- view: looked_up_inner, merge
-- key: who
SELECT e.who, count(*) AS a, arg_max(o.note, e.position) AS b
FROM events e ASOF JOIN (SELECT position, who, note FROM events WHERE note <> 'z') o USING (who, position)
WHERE e.who IS NOT NULL
GROUP BY e.who

-- view: looked_up_by_time, replay
-- key: position
SELECT e.position, o.n
FROM events AS e
ASOF LEFT JOIN (SELECT occurred_at, who, max(n) AS n FROM events GROUP BY ALL) AS o
  ON e.who = o.who AND e.occurred_at >= o.occurred_at

-- view: looked_up_key, replay
-- key: who
SELECT o.who, count(*) AS a
FROM events AS e
ASOF LEFT JOIN (SELECT position, who FROM events WHERE who > '') AS o ON e.who = o.who AND e.position >= o.position
WHERE CASE WHEN o.who IS NULL THEN false ELSE true END
GROUP BY o.who

---- What would be another view, taken apart: left to a replay.

-- view: collated, replay
-- key: who
SELECT who, count(*) AS a FROM events WHERE who = 'ADA' COLLATE NOCASE GROUP BY ALL

-- view: by_place, replay
-- key: type
SELECT type, #3 AS t, count(*) AS c, max(note) AS g FROM events GROUP BY type, t

-- view: constants, replay
-- key: one
SELECT 'x' AS one, count(*) AS c FROM events WHERE n = 77 GROUP BY ALL

-- view: captured, replay
-- key: type
SELECT type, list_transform([10::BIGINT, 20::BIGINT], lambda _s0: _s0 + count(*)) AS l FROM events GROUP BY type

-- view: variants, replay
-- key: type
SELECT type, variant_typeof(arg_max(n::VARIANT, position)) AS t FROM events GROUP BY type

-- view: unions, replay
-- key: type
SELECT type, union_tag(arg_max(union_value(s := note), position))::VARCHAR AS t FROM events GROUP BY type

-- view: renamed, replay
-- key: position
SELECT position, count(*) AS c FROM events AS e(position, a, b) GROUP BY position

-- view: list_key, replay
-- key: l
SELECT [coalesce(n, 0)] AS l, count(*) AS c FROM events GROUP BY ALL

---- HAVING keeps a column from what it would fail on.

-- view: guarded, merge
-- key: type
SELECT type, 1000 // sum(n) AS a, CAST(ln(max(price)) AS DECIMAL(9,3)) AS b FROM events GROUP BY type HAVING sum(n) <> 0 AND max(price) > 0

-- view: lambdas, merge
-- key: type
SELECT type, list_transform([1, 2], lambda y: y + 1) AS l, list_filter([min(n), max(n)], lambda x: x > 1) AS m
FROM events GROUP BY type
