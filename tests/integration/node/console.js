// One session of node-postgres with the status database; the answers as JSON. Argument: the port.
const { Client } = require("pg");

async function main() {
    const client = new Client({ host: "127.0.0.1", port: Number(process.argv[2]), user: "admin", database: "pgseal" });
    const notices = [];
    const out = {};
    client.on("notice", (n) => notices.push(n.message));
    await client.connect();
    out.ssl = (await client.query("SELECT pid, ssl, client_serial FROM pg_stat_ssl")).rows;
    out.param = (await client.query("SELECT pid, client_addr FROM pg_stat_activity WHERE pid = $1 AND usename = ANY($2)",
                                    [4711, ["alice", "bob"]])).rows;
    const named = { name: "rule", text: "SELECT database FROM pg_hba_file_rules WHERE rule_number = $1", values: [2] };
    out.named = [(await client.query(named)).rows, (await client.query(named)).rows];
    out.script = (await client.query("SELECT pg_reload_conf(); SHOW ssl")).map((r) => r.rows);
    out.notices = notices;
    out.error = await client.query("SELECT 1 FROM nope").catch((e) => [e.code, e.position]);
    await client.end();
    console.log(JSON.stringify(out));
}

main().catch((e) => { console.error(e); process.exit(1); });
