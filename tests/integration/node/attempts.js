// Connects with each URL, with the driver in front of it, and prints an array of what came of it: true or the error's text.
// argv[2]: [["pg", "postgres://..."], ["postgres", "postgres://..."]]
'use strict';

const connect = {
  async postgres(url) {
    const sql = require('postgres')(url, { max: 1, connect_timeout: 20, onnotice: () => {} });
    try {
      await sql`SELECT 1`;
    } finally {
      await sql.end({ timeout: 1 });
    }
  },
};

async function withClient(module, url) {
  const { Client } = require(module);
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  await client.end();
}

(async () => {
  const said = [];
  for (const [module, url] of JSON.parse(process.argv[2])) {
    try {
      await (connect[module] ? connect[module](url) : withClient(module, url));
      said.push(true);
    } catch (e) {
      said.push(String(e.message || e.code || e));
    }
  }
  console.log(JSON.stringify(said));
  process.exit(0);
})();
