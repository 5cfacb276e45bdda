// One session with node-postgres: connect, ask, print one line of JSON. Configuration comes as JSON in argv[2].
'use strict';
const fs = require('fs');
const { Client } = require('pg');

const wanted = JSON.parse(process.argv[2]);
if (wanted.ssl && wanted.ssl.caFile) {
  wanted.ssl.ca = fs.readFileSync(wanted.ssl.caFile, 'utf8');
}
if (wanted.ssl && wanted.ssl.certFile) {
  wanted.ssl.cert = fs.readFileSync(wanted.ssl.certFile, 'utf8');
  wanted.ssl.key = fs.readFileSync(wanted.ssl.keyFile, 'utf8');
}

(async () => {
  const client = new Client(wanted);
  const heard = [];
  client.on('notification', (n) => heard.push(n.channel + ':' + n.payload));
  try {
    await client.connect();
    const encrypted = Boolean(client.connection.stream.encrypted);
    const protocol = encrypted ? client.connection.stream.getProtocol() : null;
    const rows = await client.query('SELECT $1::text AS a, $2::int + 1 AS b, current_user::text AS who', ['é\u{1F511}', 41]);
    const many = await client.query('SELECT count(*)::int AS n, sum(length(t))::int AS l FROM (SELECT repeat($1, g % 7) AS t FROM generate_series(1, 20000) g) x', ['ab']);
    await client.query('LISTEN here');
    await client.query("NOTIFY here, 'yes'");
    let failure = null;
    try {
      await client.query('SELECT 1/0');
    } catch (e) {
      failure = e.code;
    }
    await client.query('BEGIN');
    await client.query('ROLLBACK');
    await client.end();
    console.log(JSON.stringify({ encrypted, protocol, row: rows.rows[0], many: many.rows[0], heard, failure }));
  } catch (e) {
    console.log(JSON.stringify({ error: e.message, code: e.code || null }));
    process.exitCode = 1;
  }
})();
