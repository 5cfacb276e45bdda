// pg-native reads through libpq's asynchronous calls, whenever the socket is readable.
const Client = require('pg-native');

const client = new Client();
client.connect('', async (error) => {
  if (error) throw error;
  let results = 0;
  for (const width of [97, 4001, 7919]) {
    for (let wanted = 1; wanted <= 100; wanted++, results++) {
      const rows = await new Promise((resolve, reject) =>
        client.query(`SELECT repeat('x', ${width}) FROM generate_series(1, ${wanted})`,
          (failure, got) => (failure ? reject(failure) : resolve(got.length))));
      if (rows !== wanted) throw new Error(`${rows} rows instead of ${wanted}`);
    }
  }
  console.log(`${results} results`);
  client.end();
});
