-- Statements that the status database must answer as PostgreSQL does: columns, types, rows, tags, SQLSTATEs,
-- messages and places of errors, judged by PostgreSQL 18 where it is there. "--since 16": what follows an older server reads
-- otherwise. One per line; a line that begins with a blank goes on with the one before.
SELECT 1
SELECT 1, 2::int8, 'x', 'x'::text, 1.5, NULL, true
SELECT 'a' AS b, 3 x
SELECT 1/2, 7%3, -7/2, -7%3, 2+3*4, (2+3)*4
SELECT 1/0
SELECT 2147483647 + 1
SELECT 9223372036854775807 + 1
SELECT 2147483648
SELECT 99999999999999999999
SELECT 1.50 + 2.25, 1.5*1.5, 10.0/3, 1/3.0, 7.5 % 2
SELECT 100000.0/7, 0.0001/3, 1234567890.123/0.001, 2.0/3.0, 22::numeric/7
SELECT 1e3, 1.5e-3, .5, 5.
SELECT round(1.555,2), round(2.5), round(-2.5), trunc(1.999,1), floor(-1.5), ceil(1.2), abs(-3.5), abs(-3)
SELECT 3::numeric = 3.0, 3 = 3.0, 10 > 9.5, 10::numeric > 9
SELECT 'abc' || 'def', 'n' || 1, 1 || 'n'
SELECT 'abc' LIKE 'a%', 'abc' LIKE 'A%', 'abc' ILIKE 'A%', 'abc' NOT LIKE '_b_', 'a%c' LIKE 'a\%c', 'abcabc' LIKE '%bc%c'
SELECT 'abc' ~ '^a', 'abc' ~* 'B', 'abc' !~ 'x', 'ABC' !~* 'b', 'a1b2' ~ '[0-9]+b'
SELECT 'x' ~ '('
SELECT NULL = NULL, NULL IS NULL, 1 IS DISTINCT FROM NULL, 1 IS NOT DISTINCT FROM 1
SELECT true AND NULL, false AND NULL, true OR NULL, NOT true, NOT NULL::bool
SELECT (1=1) IS TRUE, (1=2) IS NOT TRUE, NULL::bool IS UNKNOWN, true IS NOT UNKNOWN, NULL::bool IS FALSE
SELECT 5 BETWEEN 1 AND 10, 5 NOT BETWEEN 1 AND 10, 5 IN (1,2,5), 5 NOT IN (1,2), 'a' IN ('a','b')
SELECT CASE WHEN 1=1 THEN 'a' ELSE 'b' END, CASE 3 WHEN 1 THEN 'x' WHEN 3 THEN 'y' END, CASE WHEN false THEN 1 END
SELECT CASE WHEN 1=1 THEN 1 ELSE 2.5 END
SELECT CASE WHEN 1 THEN 2 END
SELECT coalesce(NULL, 1), coalesce(NULL, 'x'), nullif(1,1), nullif(1,2), greatest(1,2,NULL), least('b','a'), greatest(1, 2.5)
SELECT coalesce(1, 'x')
SELECT '12'::int, 12::text, '1.5'::numeric, 1.5::int, 2.5::int, -2.5::int, 't'::bool, 'off'::bool, 1::bool, 0::bool, true::int, true::text
SELECT 'abc'::int
SELECT '99999999999'::int
SELECT 'maybe'::bool
SELECT 40000::int2
SELECT '192.168.0.1'::inet, '10.0.0.0/8'::inet, '::1'::inet, '192.168.0.1/32'::inet, '2001:DB8::1'::inet
SELECT '10.1.2.3'::inet << '10.0.0.0/8', '10.0.0.0/8'::inet >>= '10.0.0.0/8'::inet, '10.0.0.1'::inet < '10.0.0.2', '10.0.0.10'::inet > '10.0.0.9'
SELECT 'x'::inet
SELECT host('10.0.0.0/8'::inet), family('::1'::inet), masklen('10.0.0.0/8'::inet)
SELECT '{a,b,"c d",NULL,"NULL",""}'::text[]
SELECT ('{a,b,c}'::text[])[2], array_length('{a,b}'::text[],1), cardinality('{}'::text[]), array_length('{}'::text[],1), array_to_string('{a,b,NULL}'::text[], ','), array_to_string('{a,NULL}'::text[], ',', '*')
SELECT ARRAY['a','b'], ARRAY[1,2,3], ARRAY['a b', NULL], (ARRAY[1,2,3])[2]
SELECT 1 = ANY(ARRAY[1,2]), 3 = ANY('{1,2}'), 'a' = ANY('{a,b}'::text[]), 5 <> ALL(ARRAY[1,2]), 1 = ANY(ARRAY[NULL,2])
SELECT '{a,b}'::text[] @> '{a}', '{a}'::text[] <@ '{a,b}'::text[], '{a,b}'::text[] && '{b,c}'::text[]
SELECT '{a'::text[]
SELECT '2026-11-21 03:04:05.678+00'::timestamptz, '2026-11-21'::date, '2026-11-21 03:04:05'::timestamp, 'infinity'::timestamptz, '2026-11-21T03:04:05Z'::timestamptz, '2026-11-21 03:04:05+05:30'::timestamptz
SELECT '2026-02-30'::date
SELECT 'garbage'::timestamptz
SELECT '2026-11-21 03:00+00'::timestamptz - '2026-11-19 01:30+00'::timestamptz, '2026-11-21'::date - '2026-11-01'::date, '2026-11-21'::date + 3
SELECT '2026-11-21 03:00+00'::timestamptz + interval '1 hour 30 minutes', '2026-11-21 03:00+00'::timestamptz - '2 days'::interval
SELECT interval '1 day 02:03:04', interval '90 seconds', interval '1.5 hours', interval '-5 minutes', '1 day ago'::interval, interval '100 ms', interval '0'
SELECT interval '1 day' * 2, interval '1 hour' / 4, interval '1 day' + interval '1 hour', interval '1 hour' > interval '59 minutes'
SELECT extract(epoch from '2026-11-21 03:04:05.678+00'::timestamptz), extract(hour from '2026-11-21 03:04:05+00'::timestamptz), extract(dow from '2026-11-21'::timestamptz), extract(epoch from interval '90 minutes'), extract(second from '2026-11-21 03:04:05.678+00'::timestamptz), extract(year from '2026-11-21 03:04:05+00'::timestamptz), extract(isodow from '2026-11-22'::timestamptz)
SELECT date_part('epoch', interval '90 minutes'), date_trunc('hour', '2026-11-21 03:04:05+00'::timestamptz), date_trunc('week', '2026-11-21 03:04:05+00'::timestamptz), date_trunc('month', '2026-11-21 03:04:05+00'::timestamptz)
SELECT '2026-11-21 03:04:05+00'::timestamptz AT TIME ZONE 'UTC'
SELECT lower('ABC'), upper('abc'), length('äbc'), substr('hello',2,3), substring('hello' from 2 for 3), substring('hello', 0, 3), left('hello',2), left('hello',-2), right('hello',2), right('hello', -2)
SELECT trim('  x '), trim(both 'x' from 'xxaxx'), ltrim('xxa','x'), rtrim('axx','x'), btrim('  a '), replace('aXbX','X','-'), position('l' in 'hello'), strpos('hello','l'), split_part('a,b,c',',',2), split_part('a,b,c',',',9), concat('a',NULL,1,true), concat_ws('-','a',NULL,'b'), starts_with('abc','ab'), octet_length('ä')
SELECT quote_ident('a b'), quote_ident('abc'), quote_literal('a''b'), pg_size_pretty(1024::bigint), pg_size_pretty(10240::bigint), pg_size_pretty(123456789::bigint), pg_size_pretty(20479::bigint), pg_size_pretty(20480::bigint)
SELECT substr('x', 1, -1)
SELECT count(*), sum(x), avg(x), min(x), max(x) FROM (VALUES (1),(2),(4)) v(x)
SELECT sum(x), avg(x) FROM (VALUES (1.5),(2.25)) v(x)
SELECT sum(x), avg(x), count(x), max(x) FROM (VALUES (1),(2)) v(x) WHERE x > 5
SELECT bool_and(x), bool_or(x), every(x) FROM (VALUES (true),(false)) v(x)
SELECT string_agg(x, ','), array_agg(x) FROM (VALUES ('a'),('b c'),(NULL)) v(x)
SELECT count(DISTINCT x), count(x) FILTER (WHERE x > 1) FROM (VALUES (1),(1),(2)) v(x)
SELECT x, count(*) FROM (VALUES ('a'),('b'),('a')) v(x) GROUP BY x ORDER BY x
SELECT x, count(*) FROM (VALUES ('a'),('b'),('a')) v(x) GROUP BY 1 HAVING count(*) > 1
SELECT upper(x) AS u, count(*) FROM (VALUES ('a'),('b'),('a')) v(x) GROUP BY u ORDER BY u DESC
SELECT x + 1, count(*) FROM (VALUES (1),(2)) v(x) GROUP BY x + 1 ORDER BY 1
SELECT y FROM (VALUES (1,2)) v(x,y) GROUP BY x
SELECT x FROM (VALUES (1),(2)) v(x) WHERE count(*) > 1
SELECT count(count(*)) FROM (VALUES (1)) v(x)
SELECT * FROM (VALUES (1,'a'),(2,'b')) AS v(id, name) ORDER BY id DESC
SELECT v.* FROM (VALUES (1,'a')) AS v
SELECT column1 FROM (VALUES (1,'a')) AS v
SELECT a.x, b.y FROM (VALUES (1),(2)) a(x) JOIN (VALUES (2),(3)) b(y) ON a.x = b.y
SELECT a.x, b.y FROM (VALUES (1),(2)) a(x) LEFT JOIN (VALUES (2),(3)) b(y) ON a.x = b.y ORDER BY 1
SELECT a.x, b.y FROM (VALUES (1),(2)) a(x) RIGHT JOIN (VALUES (2),(3)) b(y) ON a.x = b.y ORDER BY 2
SELECT * FROM (VALUES (1),(2)) a(x) FULL JOIN (VALUES (2),(3)) b(x) USING (x) ORDER BY x
SELECT * FROM (VALUES (1,10),(2,20)) a(x,y) JOIN (VALUES (2,'q')) b(x,z) USING (x)
SELECT * FROM (VALUES (1,10),(2,20)) a(x,y) NATURAL JOIN (VALUES (2,'q')) b(x,z)
SELECT x FROM (VALUES (1)) a(x), (VALUES (2)) b(x)
SELECT a.x, b.x FROM (VALUES (1)) a(x) CROSS JOIN (VALUES (2)) b(x)
SELECT * FROM (VALUES (1)) a(x) JOIN (VALUES (1)) b(y) USING (x)
SELECT c.x FROM (VALUES (1)) a(x)
SELECT a.nope FROM (VALUES (1)) a(x)
SELECT nope
SELECT 1 FROM (VALUES (1)) a(x), (VALUES (2)) a(x)
SELECT (SELECT max(x) FROM (VALUES (1),(5)) v(x)), EXISTS (SELECT 1 WHERE false), 1 IN (SELECT 1), 2 NOT IN (SELECT 1)
SELECT (SELECT x FROM (VALUES (1),(5)) v(x))
SELECT (SELECT 1, 2)
SELECT x, (SELECT count(*) FROM (VALUES (1),(2),(3)) w(y) WHERE y <= x) FROM (VALUES (1),(2)) v(x) ORDER BY 1
SELECT 1 UNION SELECT 1 UNION ALL SELECT 2 ORDER BY 1
SELECT 1 UNION SELECT 2.5 ORDER BY 1
SELECT 'a' UNION SELECT NULL ORDER BY 1
SELECT 1 INTERSECT SELECT 1
SELECT 1 EXCEPT SELECT 2
(SELECT 2 ORDER BY 1) UNION ALL (SELECT 1 LIMIT 1)
SELECT 1 UNION SELECT 'x'
SELECT 1 UNION SELECT 1, 2
SELECT x AS y FROM (VALUES (3),(1)) v(x) ORDER BY y
SELECT x FROM (VALUES (3),(1),(NULL)) v(x) ORDER BY x
SELECT x FROM (VALUES (3),(1),(NULL)) v(x) ORDER BY x DESC
SELECT x FROM (VALUES (3),(1),(NULL)) v(x) ORDER BY x DESC NULLS LAST LIMIT 2 OFFSET 1
SELECT x FROM (VALUES (3),(1)) v(x) LIMIT NULL OFFSET 0
SELECT x FROM (VALUES (3),(1)) v(x) ORDER BY 1 FETCH FIRST 1 ROW ONLY
SELECT 1 LIMIT -1
SELECT 1 ORDER BY 2
SELECT DISTINCT x FROM (VALUES (1),(1),(2)) v(x) ORDER BY x
SELECT DISTINCT x FROM (VALUES (1,2)) v(x,y) ORDER BY y
SELECT x FROM (VALUES (1),(2)) v(x) UNION SELECT 5 ORDER BY x DESC
WITH a AS (SELECT 1 AS x), b(y) AS (SELECT x + 1 FROM a) SELECT * FROM a, b
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM t WHERE n < 5) SELECT sum(n) FROM t
SELECT * FROM nope
SELECT * FROM nope.nope
SELECT nope(1)
SELECT pg_catalog.upper('x')
SELECT nope.upper('x')
SELECT 'a' + 1
SELECT 'a'::text + 1
SELECT 1 + true
SELECT 1 = 'x'::text
SELECT -'x'::text
SELECT 1::inet
SELECT 1::nope
SELECT
SELECT 1 +
SELECT (1
SELECT 'unterminated
SELECT "x
SELECT 1 1
SELECT ;
SELEC 1
SELECT 1 WHERE 1
SELECT 1 HAVING true
SELECT 1 WHERE 'x'
SELECT * 
SELECT E'a\tb\n\x41\u00e4', $$dollar$$, $t$a$b$t$, 'it''s'
SELECT 'a'
 'b'
SELECT 1 -- comment
SELECT /* c /* nested */ */ 1
SELECT 123abc
SELECT 1 <> 2, 1 != 2
SELECT pg_typeof(1), pg_typeof('x'::text), pg_typeof(1.5), pg_typeof(now())
SELECT format_type(23, -1), format_type(1009, -1), format_type(1184,-1)
SELECT current_user = session_user, user = current_user
SELECT 1 AS "A b", 2 AS "select"
SELECT f.x FROM (SELECT 1 AS x) f WHERE f.x = 1
SELECT * FROM (SELECT 1 AS x, 2 AS x) f
SELECT x FROM (SELECT 1 AS x, 2 AS x) f
SELECT array_agg(x) FROM (VALUES (1),(2)) v(x)
SELECT -5, - 5, +5, -(-5), 2 - -3
SELECT 1::text || 2::text, 'a' || NULL
SELECT count(*) FROM (VALUES (1)) v(x) WHERE x IN (SELECT NULL::int)
SELECT timestamp with time zone '2026-01-01 00:00:00+00', date '2026-01-01', bool 't'
SELECT 1::float8, 0.1::float8, 1e20::float8, 1.5::float8 * 2, 3::float8 / 2
SELECT to_timestamp(0), to_timestamp(1700000000.5)
SELECT mod(7,3), mod(7.5, 2)
SELECT 'abc' COLLATE "C" < 'abd'
SELECT * FROM (VALUES (1),('x')) v
VALUES (1,'a'),(2,'b')
VALUES (1),(2,3)
SELECT x FROM (VALUES (1)) v(x,y)
SELECT 3 IN (1, 'x')
SELECT max(x) FROM (VALUES ('a'),('c')) v(x)
SELECT a.x FROM (VALUES (1)) a(x) WHERE EXISTS (SELECT 1 FROM (VALUES (1)) b(y) WHERE b.y = a.x)
SHOW server_encoding
SHOW nope
SELECT current_setting('nope'), 1
SELECT current_setting('nope', true)
SHOW standard_conforming_strings
SHOW transaction_isolation
SHOW TRANSACTION ISOLATION LEVEL
SHOW datestyle
SHOW TIME ZONE
SET nope = 1
SET application_name = 'x'
SET datestyle TO 'ISO, DMY'
RESET datestyle
SET TIME ZONE 'UTC'
FETCH 1 FROM nope
CLOSE nope
DECLARE c CURSOR FOR SELECT 1
DEALLOCATE nope
DISCARD ALL
SELECT * FROM pg_stat_ssl WHERE nope = 1
SELECT pg_stat_ssl.nope FROM pg_stat_ssl
SELECT a.pid FROM pg_stat_ssl b
SELECT count(*) FROM pg_stat_ssl GROUP BY nope
SELECT pid FROM pg_stat_ssl GROUP BY ssl
SELECT pid AS x FROM pg_stat_ssl WHERE x = 1
SELECT ssl FROM pg_stat_ssl WHERE pid
SELECT ssl + 1 FROM pg_stat_ssl
SELECT pid || ssl FROM pg_stat_ssl
SELECT * FROM pg_stat_ssl JOIN pg_stat_activity ON pid = pid
SELECT 1 FROM pg_stat_ssl LIMIT 'x'
SELECT sum(ssl) FROM pg_stat_ssl
SELECT lower(pid) FROM pg_stat_ssl
SELECT now() - '5 min'
SELECT 1 = ANY(1)
SELECT 1 IS TRUE
SELECT NOT 1
SELECT 1 AND true
SELECT 1 UNION ALL SELECT 2 ORDER BY nope
SELECT ARRAY[]
SELECT ARRAY[1,'x']
SELECT * FROM pg_backend_pid() p WHERE false
SELECT generate FROM version() AS generate WHERE false
SELECT '1'::oid, 4294967295::oid, (-1)::oid
SELECT 5::oid = 5, 5::oid::int8
SELECT 'n'::"char", 'xyz'::name
SELECT 'a'::varchar, 'a'::character varying
SELECT x::text FROM (VALUES (1.10)) v(x)
SELECT 1.10 = 1.1, 1.10 IN (1.1, 2)
SELECT DISTINCT x FROM (VALUES (1.10),(1.1)) v(x)
SELECT x, count(*) FROM (VALUES (1.10),(1.1),(2)) v(x) GROUP BY x ORDER BY 1
SELECT x FROM (VALUES (10.0),(9.0),(-1),(100)) v(x) ORDER BY x
SELECT max(x), min(x) FROM (VALUES (10.0),(9.0),(-1),(100)) v(x)
SELECT x FROM (VALUES ('10.0.0.10'::inet),('10.0.0.9')) v(x) ORDER BY x
SELECT '2026-01-01' < now(), now() > '2020-01-01', 'tomorrow'::date > 'today'::date
SELECT bogus.* FROM (SELECT 1) x
SELECT current_schema, current_schemas(true) IS NOT NULL
SELECT 1 WHERE NULL
SELECT x FROM (VALUES (1),(2),(3)) v(x) WHERE x = 1 OR x = 2 AND x = 3
SELECT x FROM (VALUES (1),(2),(3)) v(x) WHERE NOT x = 1 AND x <> 3
SELECT 2 = 1 + 1, NOT 1 = 2, 'a' || 'b' = 'ab', 1 < 2 = true
SELECT 1 < 2 < 3
SELECT - 2 * 3, 2 - 1 - 1, 8 / 2 / 2, 2 + 3 || 'x'
SELECT 1::int::text::int
SELECT 1 a, 2 b ORDER BY b, a
SELECT "PID" FROM pg_stat_ssl
SELECT pg_stat_ssl.* FROM pg_catalog.pg_stat_ssl WHERE false
SELECT ssl version FROM pg_stat_ssl WHERE false
SELECT FROM pg_stat_ssl WHERE false
SELECT 'a' = 'a '
SELECT x FROM (VALUES ('B'),('a'),('_')) v(x) ORDER BY x
SELECT x IS NULL, x IS NOT NULL, x ISNULL, x NOTNULL FROM (VALUES (NULL),(1)) v(x)
BEGIN
COMMIT
SELECT 12345678901234567890.123456789::numeric
SELECT 1.0::int2, 32768::int2
--since 16
SELECT '0x10'::int, ' -0X_1f '::int8, '0o17'::int2, '+0b101'::int, '1_000'::int, '0x_1'::int
SELECT '0x8000'::int2
SELECT '-0x8000'::int2, '-2147483648'::int, '0x7fffffffffffffff'::int8, '-0x8000000000000000'::int8
SELECT '0x8000000000000000'::int8
SELECT '0x'::int
SELECT '_1'::int
SELECT '1_'::int
SELECT '1__0'::int
SELECT '0b2'::int
SELECT '99999999999x'::int
SELECT '0x10'::oid, '010'::oid, '-1'::oid, ' +7 '::oid, '4294967295'::oid
SELECT '08'::oid
SELECT '0b1'::oid
SELECT '4294967296'::oid
SELECT '0x'::oid
SELECT '99999999999999999999x'::oid
--since 12
SELECT ' 12 '::int, '+5'::int
SELECT ''::int
SELECT * FROM generate_series(1,3)
SELECT x FROM generate_series(5,1,-2) AS x
SELECT s.r + 1 FROM generate_series(1, array_upper('{a,b}'::text[], 1)) AS s(r)
SELECT generate_series FROM generate_series(1,0)
SELECT * FROM generate_series(1,2,0)
SELECT * FROM unnest('{a,b,NULL}'::text[])
SELECT u + 1 FROM unnest(ARRAY[1,2]) u
SELECT 'pg_catalog.array_in'::regproc = 0, 23::regtype, 'text'::regtype::oid
SELECT 'nope'::regclass
SELECT 1 HAVING count(*) > 0
SELECT count(*) FROM (VALUES (1)) v(x) HAVING count(*) > 5
SELECT x % 2 AS k, sum(x) FROM generate_series(1,5) x GROUP BY k ORDER BY k
SELECT x - count(*) FROM (VALUES (1)) v(x) GROUP BY 1
SELECT x, row_number() OVER (ORDER BY x DESC), count(*) OVER (), rank() OVER (PARTITION BY x % 2 ORDER BY x) FROM generate_series(1,4) x ORDER BY x
SELECT max(x) OVER (PARTITION BY x % 2) FROM generate_series(1,3) x WHERE row_number() OVER () > 1
SELECT row_number() FROM generate_series(1,3) x
SELECT lower('x') OVER ()
SELECT '2026-11-21'::date + interval '1 hour', interval '1 hour' + '2026-11-21'::date, 3 + '2026-11-21'::date, interval '1 hour' + '2026-11-21 01:00+00'::timestamptz
SELECT ARRAY(SELECT n FROM generate_series(1, 3) g(n) ORDER BY n DESC), ARRAY(SELECT 'x' WHERE false), ARRAY(SELECT NULL)
SELECT x, ARRAY(SELECT y || x FROM (VALUES ('b'), ('a, '), (NULL)) w(y) ORDER BY y NULLS FIRST) FROM (VALUES ('1'), ('2')) v(x)
SELECT ARRAY(SELECT n FROM generate_series(1, 4) g(n)) || ARRAY[5], array_to_string(ARRAY(SELECT u FROM unnest(ARRAY['q', 'p']) u), '-')
SELECT ARRAY(SELECT 1, 2)
SELECT ARRAY(SELECT n FROM generate_series(1, 2) g(n) UNION ALL SELECT 9), count(*) FROM (VALUES (1), (2)) v(x)
SELECT 2 = ANY (ARRAY(SELECT n FROM generate_series(1, 3) g(n))), ARRAY(SELECT n::int8 FROM generate_series(1, 2) g(n) LIMIT 1)
SELECT '127.0.0.1'::inet::text, '::1'::inet::text, '10.0.0.0/8'::inet::varchar, CAST('fe80::/10'::inet AS text), host('10.1.2.3/8'::inet)
SELECT 'at ' || '127.0.0.1'::inet, concat('at ', '::1'::inet), '10.0.0.0/8'::inet || '!', true || 'x'
SELECT ARRAY['a'] || 'b'::text
SELECT 'z'::text || ARRAY['a','b']
SELECT ARRAY[1,2] || 3
SELECT 0 || ARRAY[1,2]
SELECT ARRAY[1,2] || 30000000000
SELECT ARRAY['a'] || NULL::text
SELECT NULL::text || ARRAY['a']
SELECT NULL::text[] || 'x'::text
SELECT '{}'::text[] || 'x, "y"'::text
SELECT ARRAY['a'] || '{b,c}'
SELECT '{b,c}' || ARRAY['a']
SELECT ARRAY['a'] || NULL
SELECT NULL || ARRAY['a']
SELECT ARRAY['a'] || 'b'
SELECT ARRAY['a'] || 1
SELECT ARRAY['a'] || usename FROM pg_stat_activity WHERE false
SELECT (ARRAY['a'] || 'b'::text || ARRAY['c'])[2]
SELECT cardinality(ARRAY[1] || 2 || 3)
SELECT regexp_replace('foobarbaz', 'b..', 'X'), regexp_replace('foobarbaz', 'b..', 'X', 'g'), regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g')
SELECT regexp_replace('Thomas', '.[mN]a.', 'M'), regexp_replace('', '', 'x'), regexp_replace('abc', '', '-', 'g'), regexp_replace('abc', 'x*', '-', 'g')
SELECT regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 1, 0, 'i'), regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 1, 3, 'i')
SELECT regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 7), regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 7, 0), regexp_replace('abc', 'b', 'x', 9)
SELECT regexp_replace('abcde', '(b)(c)?(x)?', '<\1|\2|\3|\&|\\|\0|\q|\')
SELECT regexp_replace('one two', '\m(.)', '[\1]', 'g'), regexp_replace('one two', '^(.)', '[\1]', 'g'), regexp_replace('ab ab', '\yb', 'x', 'g'), regexp_replace('aaa', '\Aa', 'x', 'g')
SELECT regexp_replace(E'a\nb\nc', '^', '> ', 'gn'), regexp_replace(E'a\nb', '^b', 'x'), regexp_replace(E'a\nb', '^b', 'x', 'n'), regexp_replace(E'a\nb', 'a.b', 'x', 'n')
SELECT regexp_replace('aXbX', 'x', '-', 'gi'), regexp_replace('a.b', '.', '-', 'gq'), regexp_replace('a b', 'a b', '-', 'x'), regexp_replace('ab', '(?i)AB', '-'), regexp_replace('AB', '(?c)ab', '-', 'i'), regexp_replace('aXaX', '***=x', '-', 'gi'), regexp_replace('ab', '***:(?i)B', '-')
SELECT regexp_replace('aba', '(.).\1', '-'), regexp_replace('abab', '(ab)\1', '[\1]'), regexp_replace('xaay', '(a)(?=a)', '[\1]', 'g'), regexp_replace('foobar', 'o(?!o)', '0', 'g')
SELECT regexp_replace('Grüße', '.', 'x', 'g'), regexp_replace('Grüße', 'ü', 'ue'), regexp_replace('üü', 'ü+', 'x'), regexp_replace('aüb', '[^a-z]', '?', 'g'), regexp_replace('日本語', '(.)(.)', '\2\1'), regexp_replace('αβγ', '[α-β]', 'x', 'g'), regexp_replace('é', '\w', 'x')
SELECT regexp_replace('日本', '本', '語', 2), regexp_replace('aébé', 'é', 'e', 3, 1), regexp_replace('ab', 'a*?', 'x', 'g'), regexp_replace('ab', '(a)|(b)', '\2\1', 'g')
SELECT 'é' ~ '^.$', 'éé' ~ '^é+$', 'Grüße' ~ 'r[ü]ß', 'ü' ~ '[ä-ö]', 'x' ~ '[^é]', 'é' ~* 'É', 'ĳ' ~ '^\u0133$', '日' ~ '[一-鿿]'
SELECT regexp_replace('abc', 'b', 'x', 'y')
SELECT regexp_replace('abc', 'b', 'x', 'gé')
SELECT regexp_replace('abc', 'b', 'x', '1')
SELECT regexp_replace('abc', 'b', 'x', 0)
SELECT regexp_replace('abc', 'b', 'x', 1, -1)
SELECT regexp_replace('abc', '(', 'x')
SELECT regexp_replace('abc', '\1', 'x')
SELECT regexp_replace(NULL, 'b', 'x'), regexp_replace('abc', 'b', NULL), regexp_replace('abc', 'b', 'x', NULL::text)
SELECT regexp_replace('abc', 'b')
SELECT regexp_replace(1, 'b', 'x')
