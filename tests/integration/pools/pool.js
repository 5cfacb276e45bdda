// As pool.py, over node-postgres' Pool.
'use strict';
const {Pool} = require('pg');

const [port, size, name] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const counts = {done: 0, refused: 0, failed: []};
const pool = new Pool({host: '127.0.0.1', port, user: 'alice', database: 'app', max: size,
                       ssl: {rejectUnauthorized: false}, idleTimeoutMillis: 0});
let over = false, warm = 0;

const pause = ms => new Promise(done => setTimeout(done, ms));

pool.on('error', () => {});     // an idle one was told to go

async function insert(number) {
    let client;
    try {
        client = await pool.connect();
    } catch {
        await pause(50);
        return false;
    }
    let broken;
    try {
        await client.query('INSERT INTO drained VALUES ($1)', [number]);
        return true;
    } catch (e) {
        broken = e;
        if (e.code === '57P01') {
            counts.refused++;
            return false;
        }
        counts.failed.push(`${e.code} ${e.message}`);
        return true;
    } finally {
        client.release(broken);
    }
}

async function work(at) {
    for (let i = 0; !over; i++) {
        while (!await insert(`${name}-${at}-${i}`))
            ;
        counts.done++;
        if (i === 0 && ++warm === size)
            console.log('ready');
        await pause(Math.random() * 100);
    }
}

process.stdin.resume();
process.stdin.on('end', () => { over = true; });
Promise.all(Array.from({length: size}, () => pool.connect())).then(async all => {
    all.forEach(client => client.release());
    await Promise.all(Array.from({length: size}, (_, at) => work(at)));
    await pool.end();
    console.log(JSON.stringify(counts));
});
