// The page's verifier against WebCrypto, the vectors of the specifications, and what must be refused.

import assert from "node:assert/strict";
import { createHash, randomBytes, webcrypto } from "node:crypto";
import test from "node:test";

globalThis.crypto ??= webcrypto; // Node 18

const core = new URL("../../web/core/", import.meta.url);
const base64 = await import(new URL("base64.js", core));
const bytes = await import(new URL("bytes.js", core));
const code = await import(new URL("code.js", core));
const merkle = await import(new URL("merkle.js", core));
const { Policy } = await import(new URL("policy.js", core));
const { Sha256, sha256 } = await import(new URL("sha256.js", core));
const tile = await import(new URL("tile.js", core));
const { parseVkey, vkeyText } = await import(new URL("vkey.js", core));
const judge = await import(new URL("judge.js", core));

const ORIGIN = "example.com/log/testdata";
const LOG = `log ${ORIGIN}+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\n`;
const WITNESS = "witness w witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN\n";
const POLICY = `${LOG}${WITNESS}quorum w\n`;
const PROOF = `c2sp.org/tlog-proof@v1
index 5
zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=
nk9gCR+floFqznAPtqjjcnnV64dge2jQB95D5t164Hg=
zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=

example.com/log/testdata
8
bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=

— example.com/log/testdata M9e0lq1EK37dHtgv9O3UzPxisw5vwIPcJsX9ab0xt4mvVfbdUR1fbMjN6sBFYpBoBEmD4+cWhj/AVgI5MitCO5+mews=
— witness.example.org uKLPIAAAAABpVGeATpM2NHKXdN9/xPeN3aSJvqGWTvnkFr6/tuGZO+LedHGBX60g5LEGl2C5U8eFgrgSgntlmYNIEEKTgMRRXK8hCQ==
`;

function document(text) {
    const data = bytes.utf8(text);
    return { sha256: sha256(data), leafHash: merkle.leafHash(data), size: data.length };
}

function ask(changes = {}) {
    return judge.judge({ document: document("six"), proof: bytes.utf8(PROOF), policy: bytes.utf8(POLICY), ...changes });
}

test("SHA-256 is WebCrypto's, at every length and however it is cut", async () => {
    for (let length = 0; length <= 300; length++) {
        const data = new Uint8Array(randomBytes(length));
        const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
        assert.deepEqual(sha256(data), expected, `length ${length}`);
        const hash = new Sha256();
        for (let at = 0; at < length;) {
            const count = 1 + (randomBytes(1)[0] % 90);
            hash.update(data.subarray(at, at + count)).update(new Uint8Array());
            at += count;
        }
        assert.deepEqual(hash.digest(), expected, `length ${length}, in pieces`);
    }
    const large = randomBytes(5 * 1024 * 1024 + 17);
    assert.deepEqual(sha256(large), new Uint8Array(await crypto.subtle.digest("SHA-256", large)));
});

test("the length of more than 512 MB is told in full", () => {
    const hash = new Sha256();
    hash.total = 2 ** 33; // as if so much had been hashed; only the last block shows it
    const expected = new Sha256();
    const tail = new Uint8Array(64);
    tail[0] = 0x80;
    tail.set([0, 0, 0, 16, 0, 0, 0, 0], 56);
    expected.update(tail);
    const words = Array.from(expected.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
    assert.equal(bytes.hex(hash.digest()), words);
});

test("base64 has one spelling, but for the last bits of signature lines", () => {
    for (let length = 0; length < 70; length++) {
        const data = randomBytes(length);
        assert.equal(base64.encode(data), data.toString("base64"));
        assert.deepEqual(Buffer.from(base64.decode(base64.encode(data), "")), data);
        assert.deepEqual(Buffer.from(base64.decodeUrl(data.toString("base64url"), length, "")), data);
    }
    for (const bad of ["A", "AA", "AAA", "AA=A", "A===", "====", "AA==AA==", "AAA\n", " AAA", "AA-_", "AB=="]) {
        assert.throws(() => base64.decode(bad, ""), undefined, bad);
    }
    assert.deepEqual(base64.decodeLenient("AB==", ""), Uint8Array.of(0));
});

test("the tlog-proof of the specification verifies, and says when", async () => {
    const { code: answer, verdict, facts } = await ask();
    assert.equal(answer, judge.VERIFIED);
    assert.equal(verdict, "PASS");
    assert.equal(facts.noLaterThan, 1767139200);
    assert.equal(facts.depositNumber, `${code.logId(ORIGIN)}-5`);
    assert.equal(facts.policySha256, createHash("sha256").update(POLICY).digest("hex"));
    assert.deepEqual(facts.witnesses.map(({ name, time }) => [name, time]), [["w", 1767139200]]);
});

test("each answer has its code", async () => {
    const other = POLICY.replace(LOG, "");
    const none = `${LOG}quorum none\n`;
    const lines = PROOF.split("\n");
    const unwitnessed = bytes.utf8(`${lines.slice(0, -2).join("\n")}\n`);
    const cases = [
        [{ alerts: [{}] }, judge.UNDER_ALERT, "PASS"],
        [{ alerts: [] }, judge.VERIFIED, "PASS"],
        [{ policy: bytes.utf8(none) }, judge.ON_LOGS_WORD, "PASS on the log's word alone"],
        [{ document: document("seven") }, judge.DOES_NOT_MATCH, "MISMATCH"],
        [{ document: { ...document("six"), leafHash: null } }, judge.DOES_NOT_MATCH, "MISMATCH"],
        [{ proof: unwitnessed }, judge.TOO_FEW_WITNESSES, "NO QUORUM"],
        [{ policy: bytes.utf8(other) }, judge.UNKNOWN_LOG, "UNKNOWN LOG"],
        [{ proof: bytes.utf8(PROOF.replace("M9e0lq1E", "M9e0lq1F")) }, judge.BAD_LOG_SIGNATURE, "BAD SIGNATURE"],
        [{ proof: bytes.utf8(PROOF.replace("index 5", "index 05")) }, judge.PROOF_MALFORMED, "MALFORMED"],
        [{ policy: bytes.utf8("quorum\n") }, judge.POLICY_MALFORMED, null],
        [{ document: null }, judge.NOTHING_GIVEN, null],
        [{ proof: null }, judge.NOTHING_GIVEN, null],
        [{ policy: null }, judge.NO_POLICY, null],
    ];
    for (const [changes, expected, words] of cases) {
        const { code: answer, verdict } = await ask(changes);
        assert.deepEqual([answer, verdict], [expected, words], JSON.stringify(Object.keys(changes)));
    }
});

test("an entry that was looked up is compared under the salt of its code", async () => {
    const looked = { entry: bytes.utf8("six"), salt: null };
    assert.equal((await ask(looked)).code, judge.VERIFIED);
    assert.equal((await ask({ ...looked, document: null })).code, judge.NOT_COMPARED);
    for (const wrong of [{ document: document("seven") }, { salt: new Uint8Array(16) }]) {
        const answer = await ask({ ...looked, ...wrong });
        assert.deepEqual(answer, { code: judge.NOT_DEPOSITED, verdict: null, facts: null, why: "" });
    }
    const ofCertificate = await ask({ ...looked, document: document("seven"), isOfCertificate: false });
    assert.deepEqual([ofCertificate.code, ofCertificate.verdict], [judge.DOES_NOT_MATCH, "MISMATCH"]);
});

test("without Ed25519 nothing is said to be verified", async () => {
    const whole = globalThis.crypto;
    for (const lacking of [undefined, { subtle: undefined }]) {
        Object.defineProperty(globalThis, "crypto", { value: lacking, configurable: true });
        assert.equal((await ask()).code, judge.CANNOT_CHECK_HERE);
    }
    Object.defineProperty(globalThis, "crypto", { value: whole, configurable: true });
    assert.equal((await ask()).code, judge.VERIFIED);
});

test("policies: quorums, f, and what is refused", () => {
    const keys = Array.from({ length: 6 }, (_, i) => {
        const key = sha256(Uint8Array.of(i, 77));
        const name = `w.example/${i}`;
        const id = bytes.hex(sha256(bytes.utf8(name), Uint8Array.of(10, 4), key)).slice(0, 8);
        return `witness W${i} ${vkeyText({ name, id, type: 4, key })}\n`;
    });
    const make = (rest) => new Policy(bytes.utf8(keys.slice(1).join("") + rest));
    const nested = make("group G1 any W1 W2\ngroup G2 2 W3 W4 W5\ngroup G3 all G1 G2\nquorum G3\n");
    const table = { "": false, 1: false, 3: false, 345: false, 12: false, 13: false, 134: true, 235: true };
    for (const [present, expected] of Object.entries(table)) {
        assert.equal(nested.isMet(new Set([...present].map((digit) => Number(digit) - 1))), expected, present);
    }
    assert.equal(nested.rule(), "2 of (1 of (W1, W2), 2 of (W3, W4, W5))");
    for (const [k, n, f, down] of [[2, 3, 1, 1], [3, 4, 2, 1], [4, 5, 3, 1], [1, 3, 0, 2], [3, 5, 1, 2]]) {
        const members = Array.from({ length: n }, (_, i) => `W${i + 1}`).join(" ");
        const policy = make(`group g ${k} ${members}\nquorum g\n`);
        assert.deepEqual([policy.f(), policy.mayBeDown()], [f, down], `${k} of ${n}`);
    }
    for (const bad of ["", "group g 0 W1\nquorum g\n", "group g 2 W1\nquorum g\n", "group g 1 W1 W1\nquorum g\n",
        "group none 1 W1\nquorum none\n", "quorum W9\n", "quorum W1\nquorum W1\n", "quorum W1 # it\n", "quorum W1\r\n",
        "quorum W1", "quorum  none \x7f\n", "group g any\nquorum g\n", "group W1 any W2\nquorum W1\n", keys[1] + "quorum W1\n",
        "group g 01 W1\nquorum g\n", "group g 1 none\nquorum g\n", "logs x\nquorum W1\n"]) {
        assert.throws(() => make(bad), undefined, JSON.stringify(bad));
    }
});

test("keys: what is changed or of small order is refused", () => {
    const text = LOG.slice(4, -1);
    assert.equal(vkeyText(parseVkey(text)), text);
    for (const bad of [text.replace("33d7", "33d8"), text.replace("AeHT", "AeHU"), text.replace("+AeH", "+BeH"), "x", "+",
        text.replace("example", "exa mple"), text + "A", `PRIVATE+KEY+${text}`]) {
        assert.throws(() => parseVkey(bad), undefined, bad);
    }
    const weak = new Uint8Array(32);
    const id = bytes.hex(sha256(bytes.utf8("weak"), Uint8Array.of(10, 1), weak)).slice(0, 8);
    assert.throws(() => parseVkey(vkeyText({ name: "weak", id, type: 1, key: weak })), /small order/);
});

test("proofs made of tiles lead to the root, at sizes around full tiles", () => {
    const leaves = Array.from({ length: 70000 }, (_, i) => merkle.leafHash(bytes.uint(4, i)));
    for (const size of [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 600, 65537, 70000]) {
        const levels = [leaves.slice(0, size)];
        while (levels.at(-1).length >= 256) {
            const below = levels.at(-1);
            levels.push(Array.from({ length: Math.floor(below.length / 256) },
                (_, i) => merkle.treeRoot(below.slice(256 * i, 256 * (i + 1)))));
        }
        const root = merkle.treeRoot(levels[0]);
        for (const index of new Set([0, 1, Math.floor(size / 2), size - 2, size - 1].filter((i) => i >= 0 && i < size))) {
            const tiles = new Map(tile.tilesForProof(BigInt(index), BigInt(size)).map(({ level, index: at }) => {
                const width = tile.widthOf(level, at, BigInt(size));
                return [`${level}/${at}`, levels[level].slice(256 * Number(at), 256 * Number(at) + width)];
            }));
            const proof = tile.inclusionProof(BigInt(index), BigInt(size), tiles);
            assert.deepEqual(merkle.inclusionRoot(BigInt(index), BigInt(size), leaves[index], proof), root, `${index} ${size}`);
            if (size > 1) {
                assert.throws(() => tile.inclusionProof(BigInt(index), BigInt(size), new Map()), /missing/);
            }
        }
    }
});

test("tile paths are those of tlog-tiles", () => {
    assert.equal(tile.tilePath(0, 1234067n, 1n << 40n), "tile/0/x001/x234/067");
    assert.equal(tile.tilePath(1, 0n, 70000n), "tile/1/000");
    assert.equal(tile.tilePath(1, 1n, 70000n), "tile/1/001.p/17");
    assert.equal(tile.bundlePath(0n, 5n), "tile/entries/000.p/5");
    assert.equal(tile.bundlePath(0n, 256n), "tile/entries/000");
});

test("all that a lookup asks for is the same for all 256 entries of a bundle", () => {
    const size = 1000000n;
    for (const first of [0n, 512n, 99840n]) {
        const wanted = JSON.stringify(tile.tilesForProof(first, size).map(({ level, index }) => [level, String(index)]));
        for (let i = 1n; i < 256n; i++) {
            const other = tile.tilesForProof(first + i, size).map(({ level, index }) => [level, String(index)]);
            assert.equal(JSON.stringify(other), wanted);
        }
    }
});

test("codes: one spelling, bare or in a link", () => {
    const salt = new Uint8Array(randomBytes(16));
    const made = code.formatCode({ logId: code.logId(ORIGIN), index: 1234n, salt });
    for (const text of [made, `https://log.court.example/verify#${made}`, ` ${made}\n`]) {
        assert.deepEqual(code.parseCode(text), { logId: code.logId(ORIGIN), index: 1234n, salt });
    }
    assert.equal(code.parseCode(code.formatCode({ logId: code.logId(ORIGIN), index: 0n, salt: null })).salt, null);
    for (const bad of ["", "c1", made.replace("c1", "c2"), made.replace("1234", "01234"), `${made}A`, made.slice(0, -1),
        made.replace(/\..{22}\./, ".x."), `${made}.`]) {
        assert.throws(() => code.parseCode(bad), undefined, bad);
    }
});
