// Node's WebSocket: node --experimental-websocket client.mjs URL. Fails at the first surprise.
import assert from "node:assert/strict";

const [url] = process.argv.slice(2);

function open(path) {
    const socket = new WebSocket(url + path);
    socket.binaryType = "arraybuffer";
    const waiting = [], arrived = [];
    const deliver = event => {
        const waiter = waiting.shift();
        if (waiter) waiter(event);
        else arrived.push(event);
    };
    socket.onmessage = deliver;
    socket.onclose = deliver;
    socket.onerror = event => { throw event.error ?? new Error("the socket failed"); };
    const next = () => new Promise(resolve => {
        if (arrived.length > 0) resolve(arrived.shift());
        else waiting.push(resolve);
    });
    return new Promise(resolve => { socket.onopen = () => resolve({ socket, next }); });
}

async function returnsMessages(path) {
    const { socket, next } = await open(path);
    for (const text of ["", "flour", "grüße 🌾", "x".repeat(70000)]) {
        socket.send(text);
        assert.equal((await next()).data, text);
    }
    for (const size of [0, 1, 126, 65536, 1000000]) {
        const bytes = new Uint8Array(size).map((_, at) => at % 251);
        socket.send(bytes);
        assert.deepEqual(new Uint8Array((await next()).data), bytes);
    }
    for (let number = 0; number < 1000; number++) socket.send(`message ${number} of many that are alike, and alike, and alike`);
    for (let number = 0; number < 1000; number++) assert.ok((await next()).data.startsWith(`message ${number} `));
    socket.close(4001, "bye");
    const closed = await next();
    assert.equal(closed.code, 4001);
    assert.ok(closed.wasClean);
}

await returnsMessages("/");
await returnsMessages("/split");
await Promise.all(Array.from({ length: 50 }, () => returnsMessages("/")));
