// Node's fetch: node fetch.mjs URL BODY_BYTES_MAX VIA. Fails at the first surprise.
import assert from "node:assert/strict";

const [base, limit, via] = process.argv.slice(2);
const tooLong = 3 * Number(limit);
const post = { method: "POST", duplex: "half" };

async function* pieces(count, size) {
    for (let piece = 0; piece < count; piece++) yield Buffer.alloc(size, "p");
}

async function staysConnected() {
    const peers = new Set();
    for (let turn = 0; turn < 20; turn++) {
        const answer = await fetch(`${base}/${turn}`);
        assert.equal(answer.status, 200);
        assert.equal(await answer.text(), "");
        assert.equal(answer.headers.get("x-target"), `/${turn}`);
        peers.add(answer.headers.get("x-peer"));
    }
    // The peer is the proxy, if there is one. The first connection is not always free again when
    // the second request is made: fetch opens another, whoever the server is, and then takes turns.
    if (via === "Nobody") assert.ok(peers.size <= 2, `${peers.size} connections`);
}

async function postsText() {
    const answer = await fetch(base, { ...post, body: "wörter" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("x-framing"), "sized");
    assert.equal(await answer.text(), "wörter");
}

async function postsAStream() {
    const body = ReadableStream.from(pieces(100, 1000));
    const answer = await fetch(base, { ...post, body });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("x-framing"), "chunked");
    assert.equal(await answer.text(), "p".repeat(100_000));
}

async function asksForAHead() {
    const answer = await fetch(`${base}/big`, { method: "HEAD" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-length"), String(8 << 20));
    assert.equal(await answer.text(), "");
}

async function seesRefusals() {
    const bodies = [Buffer.alloc(tooLong), ReadableStream.from(pieces(1000, tooLong / 1000))];
    for (const body of bodies) {
        const answer = await fetch(base, { ...post, body });
        assert.equal(answer.status, 413);
        await answer.text();
    }
}

async function asksInParallel() {
    const ask = async (_, number) => {
        const answer = await fetch(`${base}/slow?ms=10`, { ...post, body: String(number) });
        assert.equal(await answer.text(), String(number));
    };
    await Promise.all(Array.from({ length: 100 }, ask));
}

for (const claim of [
    staysConnected,
    postsText,
    postsAStream,
    asksForAHead,
    seesRefusals,
    asksInParallel,
    staysConnected,
]) {
    await claim();
}
