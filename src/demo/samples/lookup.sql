-- Queries I look up twice a year (PostgreSQL).

-- The newest row of each group, without a self-join.
SELECT DISTINCT ON (customer_id) customer_id, ordered_at, total
FROM orders
ORDER BY customer_id, ordered_at DESC;

-- Days without a row count as zero, too.
SELECT day::date, count(o.id)
FROM generate_series(date '2026-01-01', date '2026-01-31', interval '1 day') AS day
LEFT JOIN orders o ON o.ordered_at::date = day::date
GROUP BY day
ORDER BY day;

-- Which index does nobody use? Mind that the statistics may have been reset lately.
SELECT relname, indexrelname, pg_size_pretty(pg_relation_size(indexrelid)) AS size
FROM pg_stat_user_indexes
WHERE idx_scan = 0
ORDER BY pg_relation_size(indexrelid) DESC;

-- Who waits for whom?
SELECT waiting.pid, waiting.query, blocking.pid AS blocked_by, blocking.query AS holding
FROM pg_stat_activity AS waiting
JOIN pg_stat_activity AS blocking ON blocking.pid = ANY (pg_blocking_pids(waiting.pid));
