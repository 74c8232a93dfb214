---- Bad: the answer hangs on an order that nothing makes unique.
-- no: any_value(n)
SELECT type, any_value(n) AS a FROM events GROUP BY type
-- no: first(n)
SELECT type, first(n) AS a FROM events GROUP BY type
-- no: last(n ORDER BY occurred_at)
SELECT type, last(n ORDER BY occurred_at) AS a FROM events GROUP BY type
-- no: arbitrary(who)
SELECT type, arbitrary(who) AS a FROM events GROUP BY type
-- no: mode(n)
SELECT type, mode(n) AS a FROM events GROUP BY type
-- no: mode(n) OVER (PARTITION BY type)
SELECT event_id, mode(n) OVER (PARTITION BY type) AS a FROM events
-- no: list(n)
SELECT type, list(n) AS a FROM events GROUP BY type
-- no: array_agg(n ORDER BY occurred_at)
SELECT type, array_agg(n ORDER BY occurred_at) AS a FROM events GROUP BY type
-- no: string_agg(who, ',')
SELECT type, string_agg(who, ',') AS a FROM events GROUP BY type
-- no: string_agg(DISTINCT who, ',')
SELECT type, string_agg(DISTINCT who, ',') AS a FROM events GROUP BY type
-- no: list(lower(note) ORDER BY lower(who))
SELECT type, list(lower(note) ORDER BY lower(who)) AS a FROM events GROUP BY type
-- no: arg_max(note, occurred_at)
SELECT type, arg_max(note, occurred_at) AS a FROM events GROUP BY type
-- no: max_by(note, n)
SELECT type, max_by(note, n) AS a FROM events GROUP BY type
-- no: arg_min_null(note, (occurred_at, n))
SELECT type, arg_min_null(note, (occurred_at, n)) AS a FROM events GROUP BY type
-- no: arg_max(note, occurred_at) FILTER (WHERE n > 1)
SELECT type, arg_max(note, occurred_at) FILTER (WHERE n > 1) AS a FROM events GROUP BY type
-- no: arg_max(note, -position)
SELECT type, arg_max(note, -position) AS a FROM events GROUP BY type
-- no: LIMIT without a unique ORDER BY
SELECT event_id, n FROM events LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT event_id, n FROM events ORDER BY occurred_at DESC LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT type, count(*) AS n FROM events GROUP BY type ORDER BY n DESC LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT event_id FROM (SELECT event_id, n FROM events ORDER BY n LIMIT 5)
-- no: LIMIT without a unique ORDER BY
WITH top AS (SELECT who, count(*) AS n FROM events GROUP BY who ORDER BY n DESC LIMIT 5) SELECT who FROM top
-- no: LIMIT without a unique ORDER BY
SELECT who FROM events UNION SELECT note FROM events ORDER BY length(who) LIMIT 2
-- no: DISTINCT ON without a unique ORDER BY
SELECT DISTINCT ON (type) type, n FROM events
-- no: DISTINCT ON without a unique ORDER BY
SELECT DISTINCT ON (type) type, n FROM events ORDER BY type, occurred_at DESC
-- no: row_number() OVER ()
SELECT event_id, row_number() OVER () AS a FROM events
-- no: row_number() OVER (ORDER BY occurred_at)
SELECT event_id, row_number() OVER (ORDER BY occurred_at) AS a FROM events
-- no: row_number() OVER (PARTITION BY type ORDER BY n DESC)
SELECT event_id FROM events QUALIFY row_number() OVER (PARTITION BY type ORDER BY n DESC) = 1
-- no: lag(n) OVER (PARTITION BY who ORDER BY occurred_at)
SELECT event_id, lag(n) OVER (PARTITION BY who ORDER BY occurred_at) AS a FROM events
-- no: lead(n) OVER (ORDER BY n)
SELECT event_id, lead(n) OVER (ORDER BY n) AS a FROM events
-- no: first_value(note) OVER (PARTITION BY who ORDER BY occurred_at)
SELECT event_id, first_value(note) OVER (PARTITION BY who ORDER BY occurred_at) AS a FROM events
-- no: ntile(4) OVER (ORDER BY n)
SELECT event_id, ntile(4) OVER (ORDER BY n) AS a FROM events
-- no: sum(n) OVER (ORDER BY occurred_at ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
SELECT event_id, sum(n) OVER (ORDER BY occurred_at ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS a FROM events
-- no: count(*) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
SELECT event_id, count(*) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS a FROM events
-- no: list(n) OVER (PARTITION BY type)
SELECT event_id, list(n) OVER (PARTITION BY type) AS a FROM events
-- no: row_number() OVER (ORDER BY total DESC)
SELECT who, row_number() OVER (ORDER BY total DESC) AS a FROM (SELECT who, sum(n) AS total FROM events GROUP BY who)
-- no: an ASOF JOIN by something that is not unique
SELECT e.event_id, o.n FROM events e ASOF LEFT JOIN events o ON e.who = o.who AND e.occurred_at >= o.occurred_at
-- no: approx_count_distinct(who)
SELECT type, approx_count_distinct(who) AS a FROM events GROUP BY type
-- no: approx_quantile(n, 0.5)
SELECT type, approx_quantile(n, 0.5) AS a FROM events GROUP BY type
-- no: hash(who)
SELECT event_id, hash(who) AS a FROM events
-- no: list(o.n)
SELECT e.event_id, list(o.n) AS a FROM events e JOIN events o ON o.who = e.who GROUP BY e.event_id
-- no: arg_max(o.note, e.position)
SELECT e.type, arg_max(o.note, e.position) AS a FROM events e JOIN events o ON o.who = e.who GROUP BY e.type
-- no: row_number() OVER (ORDER BY position)
SELECT e.event_id, row_number() OVER (ORDER BY position) AS a FROM (SELECT e.position, e.event_id FROM events e JOIN events o ON o.who = e.who) e
-- no: LIMIT without a unique ORDER BY
SELECT DISTINCT * FROM (SELECT type, who FROM events) LIMIT 2
-- no: LIMIT without a unique ORDER BY
SELECT position, part FROM (SELECT position, unnest(['a', 'b']) AS part FROM events) ORDER BY position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT position, unnest(['a', 'b']) AS part FROM events ORDER BY position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT position, event_id FROM (SELECT * REPLACE (n AS position) FROM events) ORDER BY position LIMIT 3
-- no: LIMIT without a unique ORDER BY
WITH a(position, e) AS (SELECT n, event_id FROM events) SELECT position, e FROM a ORDER BY position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT type, sum(n) AS a FROM (SELECT coalesce(type, '?') AS type, who, n FROM events) GROUP BY GROUPING SETS (type, type) ORDER BY type LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT type, a FROM (SELECT type, sum(n) AS a FROM events GROUP BY ROLLUP (type)) ORDER BY type LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT r, part FROM (SELECT row_number() OVER (ORDER BY position) AS r, unnest(['a', 'b']) AS part FROM events) ORDER BY r LIMIT 3
---- Bad: the branches of a UNION are not told apart.
-- no: LIMIT without a unique ORDER BY
SELECT position, event_id FROM events UNION ALL SELECT position, note FROM events ORDER BY position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL SELECT 1, position, note FROM events ORDER BY src, position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL SELECT 1 + 0, position, note FROM events ORDER BY src, position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL SELECT '1', position, note FROM events ORDER BY src, position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL SELECT 2, n, note FROM events ORDER BY src, position LIMIT 2003
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL SELECT 2, position, note FROM events ORDER BY position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL (SELECT 2, position, note FROM events UNION ALL SELECT 1, position, note FROM events) ORDER BY src, position LIMIT 3
-- no: LIMIT without a unique ORDER BY
SELECT 1 AS src, position, event_id FROM events UNION ALL BY NAME SELECT position AS src, 1 AS position, note AS event_id FROM events ORDER BY src, position LIMIT 3
-- no: n.first()
SELECT type, n.first() AS a FROM events GROUP BY type
-- no: n.any_value()
SELECT type, n.any_value() AS a FROM events GROUP BY type
-- no: n.list()
SELECT type, n.list() AS a FROM events GROUP BY type
-- no: events.note.array_agg()
SELECT type, events.note.array_agg() AS a FROM events GROUP BY type
-- no: who.string_agg(',')
SELECT type, who.string_agg(',') AS a FROM events GROUP BY type
-- no: note.arg_max(occurred_at)
SELECT type, note.arg_max(occurred_at) AS a FROM events GROUP BY type
-- no: note.min_by(n)
SELECT type, note.min_by(n) AS a FROM events GROUP BY type
-- no: main.first(note)
SELECT type, main.first(note) AS a FROM events GROUP BY type
-- no: json_group_array(n)
SELECT type, json_group_array(n) AS a FROM events GROUP BY type
-- no: json_group_object(event_id, n)
SELECT type, json_group_object(event_id, n) AS a FROM events GROUP BY type
-- no: ARRAY(SELECT ...)
SELECT type, ARRAY(SELECT n FROM events) AS a FROM events WHERE position = 1
-- no: a POSITIONAL JOIN
SELECT e.position, o.n FROM events AS e POSITIONAL JOIN (SELECT n FROM events WHERE n = 3) AS o WHERE e.position IS NOT NULL
-- no: bitstring_agg(n)
SELECT type, bitstring_agg(n) AS a FROM events GROUP BY type
-- no: a COLLATE, which makes several texts one
SELECT (CASE WHEN n > 2 THEN 'a' ELSE 'A' END) COLLATE NOCASE AS note, count(*) AS a FROM events GROUP BY ALL
-- no: a COLLATE, which makes several texts one
SELECT type, max((CASE WHEN n > 2 THEN 'a' ELSE 'A' END) COLLATE NOCASE) AS a FROM events GROUP BY type
-- no: DISTINCT ON without a unique ORDER BY
SELECT DISTINCT ON (type) type, n, n % 2 AS position FROM events ORDER BY type, position
-- no: LIMIT without a unique ORDER BY
SELECT who AS position, n FROM events ORDER BY position LIMIT 5
-- no: LIMIT without a unique ORDER BY
SELECT sum(n) AS s, n % 3 AS n FROM events GROUP BY events.n ORDER BY n LIMIT 1
-- no: any_value(note)
SELECT type, length(any_value(note)) AS a FROM events GROUP BY type
-- no: last(n)
SELECT type, list_sort([last(n)]) AS a FROM events GROUP BY type
-- no: LIMIT without a unique ORDER BY
SELECT e.type, o.note FROM (SELECT DISTINCT type FROM events) AS e JOIN events AS o ON o.position < 999 ORDER BY e.type LIMIT 1
-- no: LIMIT without a unique ORDER BY
SELECT e.type, o.note FROM (SELECT DISTINCT type FROM events) AS e JOIN events AS o ON o.position <> 1 ORDER BY e.type LIMIT 1
-- no: LIMIT without a unique ORDER BY
SELECT e.type, o.note FROM (SELECT DISTINCT type FROM events) AS e JOIN events AS o ON o.position = 1 OR o.n = 2 ORDER BY e.type LIMIT 1
-- no: LIMIT without a unique ORDER BY
SELECT o.note FROM (SELECT position FROM events WHERE n = 1) AS e RIGHT JOIN events AS o ON o.position = e.position ORDER BY e.position DESC NULLS FIRST LIMIT 1
-- no: any_value(type)
SELECT type, n, any_value(type) AS a FROM events GROUP BY ROLLUP (type, n)
-- no: any_value(n)
SELECT type, count(*) AS c FROM events GROUP BY type ORDER BY any_value(n), type LIMIT 1
-- no: row_number() OVER (ORDER BY n)
SELECT note FROM events ORDER BY row_number() OVER (ORDER BY n), position LIMIT 1
-- no: any_value(n)
SELECT position FROM events ORDER BY position LIMIT (SELECT any_value(n) + 1 FROM events)
-- no: first(n)
SELECT e.position FROM events AS e JOIN events AS o ON o.position = e.position AND e.n = (SELECT first(n) FROM events)
-- no: first(note)
SELECT x FROM (VALUES ((SELECT first(note) FROM events))) AS v(x)
-- no: LIMIT without a unique ORDER BY
SELECT * FROM (SELECT n, note FROM events) ORDER BY 1 LIMIT 1
-- no: LIMIT without a unique ORDER BY
SELECT * REPLACE (n AS position) FROM events ORDER BY position LIMIT 1
-- no: LIMIT without a unique ORDER BY
SELECT * EXCLUDE (position) RENAME (n AS position) FROM events ORDER BY position LIMIT 1
-- no: LIMIT without a unique ORDER BY
SELECT n, note FROM events ORDER BY COLUMNS('^n$') LIMIT 1
-- no: first(note)
FROM events PIVOT (first(note) FOR type IN ('a', 'b') GROUP BY n)
-- no: WITH RECURSIVE ... USING KEY
WITH RECURSIVE r USING KEY (k) AS (SELECT n AS k, note AS v FROM events UNION SELECT k, v FROM r WHERE false) SELECT k, v FROM r
-- no: arg_max(n, position) OVER (ORDER BY occurred_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
SELECT position, arg_max(n, position) OVER (ORDER BY occurred_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS a FROM events
-- no: row_number() OVER (ORDER BY 1)
SELECT position, row_number() OVER (ORDER BY 1) AS a FROM events
-- no: first(note ORDER BY 1)
SELECT type, first(note ORDER BY 1) AS a FROM events GROUP BY type
-- no: LIMIT without a unique ORDER BY
SELECT e.position, o.n FROM (SELECT position, 'X' AS who FROM events WHERE position = 1) AS e JOIN (SELECT DISTINCT ON (w) CASE WHEN n > 2 THEN 'x' ELSE 'X' END AS w, n FROM events ORDER BY w, position) AS o ON o.w = e.who COLLATE NOCASE ORDER BY e.position LIMIT 1
-- no: hash(e.n)
SELECT e.position FROM events AS e JOIN events AS o ON hash(e.n) = o.position + 0 AND e.position = o.position
---- Honest: every order is unique, or says nothing.
-- yes
SELECT type, count(*) AS a, sum(n) AS b, min(note) AS c FROM events GROUP BY type
-- yes
SELECT type, arg_max(note, position) AS a, arg_min(n, event_id) AS b FROM events GROUP BY type
-- yes
SELECT type, arg_max(note, (occurred_at, position)) AS a FROM events GROUP BY type
-- yes
SELECT type, arg_max(occurred_at, occurred_at) AS a, arg_max(n + 1, (n, who)) AS b FROM events GROUP BY type
-- yes
SELECT type, any_value(type) AS a, first(upper(type)) AS b, list(1) AS c FROM events GROUP BY type
-- yes
SELECT type, first(n ORDER BY position) AS a, last(note ORDER BY occurred_at, event_id) AS b FROM events GROUP BY type
-- yes
SELECT type, any_value(n ORDER BY n) AS a FROM events GROUP BY type
-- yes
SELECT type, list(n ORDER BY position) AS a, string_agg(who, ',' ORDER BY who) AS b FROM events GROUP BY type
-- yes
SELECT type, list_sort(list(n)) AS a, len(list(n)) AS b FROM events GROUP BY type
-- yes
SELECT type, list(DISTINCT n ORDER BY n) AS a FROM events GROUP BY type
-- yes
SELECT type, list(lower(who) ORDER BY lower(who)) AS a FROM events GROUP BY type
-- yes
SELECT event_id, n FROM events ORDER BY position DESC LIMIT 3
-- yes
SELECT event_id, n FROM events ORDER BY n DESC, event_id LIMIT 3 OFFSET 1
-- yes
SELECT type, count(*) AS n FROM events GROUP BY type ORDER BY n DESC, type LIMIT 3
-- yes
SELECT upper(who) AS k, count(*) AS n FROM events GROUP BY upper(who) ORDER BY n, k LIMIT 3
-- yes
SELECT upper(who) AS k, count(*) AS n FROM events GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3
-- yes
SELECT DISTINCT who FROM events ORDER BY who LIMIT 3
-- yes
SELECT DISTINCT type, who FROM events ORDER BY ALL LIMIT 3
-- yes
SELECT count(*) AS n, 1 AS k FROM events LIMIT 1
-- yes
SELECT DISTINCT ON (type) type, n FROM events ORDER BY type, position DESC
-- yes
SELECT DISTINCT ON (event_id) event_id, n FROM events
-- yes
SELECT DISTINCT type, who FROM events
-- yes
SELECT event_id, row_number() OVER (ORDER BY position) AS a FROM events
-- yes
SELECT event_id, row_number() OVER (PARTITION BY type ORDER BY n DESC, position) AS a FROM events
-- yes
SELECT event_id FROM events QUALIFY row_number() OVER (PARTITION BY who ORDER BY occurred_at DESC, position DESC) = 1
-- yes
SELECT event_id, rank() OVER (ORDER BY n) AS a, dense_rank() OVER (PARTITION BY type ORDER BY n) AS b FROM events
-- yes
SELECT event_id, sum(n) OVER (PARTITION BY who ORDER BY occurred_at) AS a, max(n) OVER () AS b FROM events
-- yes
SELECT event_id, sum(n) OVER (ORDER BY position ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS a FROM events
-- yes
SELECT event_id, lag(n) OVER (PARTITION BY who ORDER BY position) AS a, first_value(n) OVER (ORDER BY event_id) AS b FROM events
-- yes
SELECT who, row_number() OVER (ORDER BY total DESC, who) AS a FROM (SELECT who, sum(n) AS total FROM events GROUP BY who)
-- yes
WITH t AS (SELECT who, type, sum(n) AS total FROM events GROUP BY ALL) SELECT who, arg_max(type, (total, type)) AS a FROM t GROUP BY who
-- yes
WITH numbered AS (SELECT *, row_number() OVER (PARTITION BY who ORDER BY position) AS r FROM events)
SELECT who, list(note ORDER BY r) AS a FROM numbered GROUP BY who
-- yes
SELECT e.event_id, o.n FROM events e ASOF LEFT JOIN events o ON e.who = o.who AND e.position >= o.position
-- yes
SELECT e.event_id, o.last FROM events e ASOF LEFT JOIN (SELECT who, occurred_at, max(n) AS last FROM events GROUP BY who, occurred_at) o ON e.who = o.who AND e.occurred_at >= o.occurred_at
-- yes
SELECT e.type, arg_max(o.n, e.position) AS a FROM events e ASOF JOIN (SELECT position, who, n FROM events WHERE n > 0) o ON e.who = o.who AND e.position >= o.position GROUP BY e.type
-- yes
SELECT e.type, arg_max(o.total, e.position) AS a FROM events e JOIN (SELECT who, sum(n) AS total FROM events GROUP BY who) o ON o.who = e.who GROUP BY e.type
-- yes
SELECT e.event_id, list(o.n ORDER BY o.position) AS a FROM events e JOIN events o ON o.who = e.who GROUP BY e.event_id
-- yes
SELECT who FROM events UNION SELECT note FROM events ORDER BY who LIMIT 2
-- yes
SELECT event_id, (SELECT max(n) FROM events) AS a FROM events
-- yes
SELECT type, median(n) AS a, quantile_disc(n, 0.5) AS b, count(DISTINCT who) AS c, histogram(n) AS d FROM events GROUP BY type
-- yes
SELECT DISTINCT * FROM (SELECT type, who FROM events) ORDER BY ALL LIMIT 2
-- yes
SELECT part FROM (SELECT DISTINCT unnest([who, note]) AS part FROM events) ORDER BY part LIMIT 3
-- yes
SELECT * FROM (SELECT * EXCLUDE (payload) RENAME (position AS p) FROM events) ORDER BY p LIMIT 2
-- yes
WITH a(p, e) AS (SELECT position, event_id FROM events) SELECT p, e FROM a ORDER BY p LIMIT 3
---- Honest: the branches of a UNION are told apart by a constant.
-- yes
SELECT 1 AS src, position, event_id FROM events UNION ALL SELECT 2, position, note FROM events ORDER BY src, position LIMIT 3
-- yes
SELECT position, 'a' AS src, event_id FROM events UNION SELECT position, 'A', note FROM events ORDER BY position, src LIMIT 3
-- yes
WITH sides AS (SELECT 1 AS src, position AS p, * FROM events UNION ALL SELECT 2, n AS p, * FROM events) SELECT src, p, event_id FROM sides ORDER BY src, position LIMIT 3
-- yes
SELECT who, arg_max(x, (p, src)) AS a FROM (SELECT 'n' AS src, position AS p, who, note AS x FROM events UNION ALL SELECT 'e', position, who, event_id FROM events) GROUP BY who
-- yes
SELECT src, p, row_number() OVER (ORDER BY p, src) AS a FROM (SELECT 1 AS src, position AS p FROM events UNION ALL (SELECT 2, position FROM events UNION ALL SELECT 3, position FROM events))
-- yes
SELECT 1 AS src, type, count(*) AS n FROM events GROUP BY type UNION ALL SELECT 2, who, count(*) FROM events GROUP BY who ORDER BY src, type LIMIT 3
-- yes
SELECT type, n.sum() AS a, n.max() AS b, note.max() AS c FROM events GROUP BY type
-- yes
SELECT type, note.arg_max(position) AS a, main.max(n) AS b FROM events GROUP BY type
-- yes
SELECT type, n.list(ORDER BY position) AS a FROM events GROUP BY type
-- yes
SELECT type, bitstring_agg(n, 0, 9) AS a FROM events GROUP BY type
-- yes
SELECT type, count(DISTINCT note COLLATE NOCASE) AS a, bool_or(note = 'NOTE 1' COLLATE NOCASE) AS b FROM events GROUP BY type
-- yes
SELECT type, list_first(list(n ORDER BY position)) AS a, fmod(max(n), 2) AS b FROM events GROUP BY type
-- yes
SELECT who AS position, n FROM events ORDER BY (position, n) LIMIT 5
-- yes
SELECT position AS who, who AS other FROM events ORDER BY who LIMIT 5
-- yes
SELECT DISTINCT ON (who) n, position AS who FROM events ORDER BY who
-- yes
SELECT type FROM events UNION SELECT who FROM events WHERE who IS NOT NULL ORDER BY ALL LIMIT 3
-- yes
SELECT o.position AS k, first(e.n ORDER BY o.position) AS a FROM (SELECT * FROM events WHERE n = 1) AS e RIGHT JOIN events AS o ON o.position = e.position GROUP BY o.type, o.position
-- yes
SELECT type, list(note ORDER BY note COLLATE NOCASE, position) AS a FROM events GROUP BY type
-- yes
FROM events PIVOT (sum(n) FOR type IN ('a', 'b') GROUP BY who)
-- yes
SELECT e.position, o.note FROM events AS e ASOF JOIN events AS o ON e.who = o.who AND e.position >= o.position
-- yes
SELECT e.position AS k, list(e.note ORDER BY e.position) AS a FROM events AS e JOIN events AS o ON o.event_id = e.event_id AND o.n > 1 GROUP BY ALL
-- yes
SELECT e.event_id FROM events AS e SEMI JOIN events AS o ON o.who = e.who ORDER BY e.event_id LIMIT 3
-- yes
SELECT type, bool_or(note COLLATE NOCASE IN ('NOTE 1', 'NOTE 2')) AS a, bool_or(note COLLATE NOCASE LIKE 'NOTE%') AS b FROM events GROUP BY 1
-- yes
SELECT position, count(DISTINCT note COLLATE NOCASE) OVER () AS a FROM events
-- yes
SELECT type, first(note ORDER BY position) AS a FROM (SELECT *, position AS p FROM events) GROUP BY type
-- yes
SELECT type, first(note ORDER BY p) AS a FROM (SELECT *, position AS p FROM events) GROUP BY type
-- yes
SELECT type, first(note ORDER BY event_id) AS a FROM (SELECT *, event_id AS id, event_id AS other FROM events) GROUP BY type
-- yes
SELECT position AS k, note FROM (SELECT *, position AS p FROM events) ORDER BY position LIMIT 10
-- yes
SELECT e.position AS k, o.p, o.note FROM events AS e ASOF LEFT JOIN (SELECT position, position AS p, who, note FROM events) AS o ON e.who = o.who AND e.position > o.position
-- no: first(note ORDER BY p)
SELECT type, first(note ORDER BY p) AS a FROM (SELECT *, position // 5 AS p FROM events) GROUP BY type
-- yes
SELECT 1 AS k, first(a ORDER BY src, position) AS a FROM (SELECT 1 AS src, position, note AS a FROM events UNION ALL BY NAME SELECT position, 2 AS src, who AS a FROM events)
-- no: first(a ORDER BY src, position)
SELECT 1 AS k, first(a ORDER BY src, position) AS a FROM (SELECT 1 AS src, position, note AS a FROM events UNION ALL BY NAME SELECT position, 1 AS src, who AS a FROM events)
-- no: first(n ORDER BY src DESC)
SELECT 1 AS k, first(n ORDER BY src DESC) AS a FROM (SELECT 1 AS src UNION BY NAME SELECT 2 AS src, n FROM events)
-- yes
SELECT position AS k, list(n ORDER BY n) OVER (PARTITION BY type) AS a FROM events
-- no: list(note ORDER BY n) OVER (PARTITION BY type)
SELECT position AS k, list(note ORDER BY n) OVER (PARTITION BY type) AS a FROM events
-- yes
SELECT e.position AS k, o.note FROM events AS e ASOF JOIN (SELECT DISTINCT ON (who, occurred_at) who, occurred_at, note FROM events ORDER BY who, occurred_at, position) AS o ON e.who = o.who AND e.occurred_at > o.occurred_at
