// The page's verifier on the vectors of the specifications: C2SP formats, RFC 6962 trees, tests/vectors/record.json.

import assert from "node:assert/strict";
import { createHash, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

globalThis.crypto ??= webcrypto; // Node 18

const core = new URL("../../web/core/", import.meta.url);
const base64 = await import(new URL("base64.js", core));
const { bigOf, concat, hex, uint, unhex, utf8 } = await import(new URL("bytes.js", core));
const { parseCheckpoint } = await import(new URL("checkpoint.js", core));
const { documentCommitment } = await import(new URL("document.js", core));
const { verifyDisclosure } = await import(new URL("disclosure.js", core));
const ed25519 = await import(new URL("ed25519.js", core));
const edwards = await import(new URL("edwards.js", core));
const field = await import(new URL("field.js", core));
const identifier = await import(new URL("identifier.js", core));
const { kindByNumber } = await import(new URL("kind.js", core));
const merkle = await import(new URL("merkle.js", core));
const { isLineOf, parseNote, verifyLine } = await import(new URL("note.js", core));
const operation = await import(new URL("operation.js", core));
const { Policy } = await import(new URL("policy.js", core));
const { sha256 } = await import(new URL("sha256.js", core));
const tile = await import(new URL("tile.js", core));
const { keyId, parseVkey, vkeyText } = await import(new URL("vkey.js", core));
const judge = await import(new URL("judge.js", core));

const RECORDS = JSON.parse(readFileSync(new URL("../vectors/record.json", import.meta.url), "utf8"));

function tilesOf(leaves) {
    const tiles = new Map();
    for (let level = 0, hashes = leaves; hashes.length > 0; level++) {
        for (let i = 0; i < hashes.length; i += 256) {
            tiles.set(`${level}/${i / 256}`, hashes.slice(i, i + 256));
        }
        hashes = Array.from({ length: Math.floor(hashes.length / 256) },
            (_, i) => merkle.treeRoot(hashes.slice(256 * i, 256 * i + 256)));
    }
    return tiles;
}

test("RFC 6962: the roots and inclusion proofs of all small trees", () => {
    const leaves = Array.from({ length: 256 }, (_, i) => merkle.leafHash(Uint8Array.of(i)));
    const roots = createHash("sha256").update(`0 ${hex(merkle.emptyRoot())}\n`);
    const proofs = createHash("sha256");
    for (let size = 1; size <= 256; size++) {
        const some = leaves.slice(0, size);
        const root = merkle.treeRoot(some);
        roots.update(`${size} ${hex(root)}\n`);
        const tiles = size <= 130 ? tilesOf(some) : null;
        for (let i = 0; tiles !== null && i < size; i++) {
            const proof = tile.inclusionProof(BigInt(i), BigInt(size), tiles);
            proofs.update(`${i} ${size}${proof.map((hash) => ` ${hex(hash)}`).join("")}\n`);
            if (i % 8 !== 0 && i < size - 2) {
                continue;
            }
            assert.deepEqual(merkle.inclusionRoot(BigInt(i), BigInt(size), leaves[i], proof), root);
            for (const wrong of [proof.slice(1), [...proof, root], proof.slice(0, -1)].filter((one) => one.length !== proof.length)) {
                let found = null;
                try {
                    found = merkle.inclusionRoot(BigInt(i), BigInt(size), leaves[i], wrong);
                } catch {
                    // refused by its length
                }
                assert.notDeepEqual(found, root);
            }
        }
    }
    assert.equal(roots.digest("hex"), "685a7867b1172ee031006759e27cc983b25e2cc664508c3c9effb6cd131f31c3");
    assert.equal(proofs.digest("hex"), "893ce6eea61adc33c22c0e3a952498b76dfa3c282e78ac659f6fcc0ea44f9983");
    assert.throws(() => merkle.inclusionRoot(0n, 0n, leaves[0], []), /beyond/);
    assert.throws(() => merkle.inclusionRoot(5n, 5n, leaves[0], []), /beyond/);
});

test("Log R: its bundle, its tiles, the proof of its last entry", () => {
    const entries = Array.from({ length: 300 }, (_, i) => utf8(`record ${i}`));
    const bundle = concat(...entries.slice(0, 256).map((entry) => concat(uint(2, entry.length), entry)));
    assert.equal(hex(sha256(bundle)), "985287e65b66e7b12f16d01217b32858b6a0f9dae6d00c0431d0db350087f638");
    assert.deepEqual(tile.parseBundle(bundle, 256), entries.slice(0, 256));
    for (const [wrong, width] of [[bundle, 255], [bundle.subarray(1), 256], [bundle.subarray(0, -1), 256], [concat(bundle, uint(1, 0)), 256]]) {
        assert.throws(() => tile.parseBundle(wrong, width), /bundle/);
    }
    const leaves = entries.map(merkle.leafHash);
    const tiles = tilesOf(leaves);
    assert.equal(hex(sha256(concat(...tiles.get("0/0")))), "66a1d43136a854a5776d5bce14bf101c925fc7d4b32f1be23b658f636ebfcddb");
    assert.equal(hex(sha256(concat(...tiles.get("0/1")))), "699f078d937f13343d71ad39321757de3ecf391e8d7a1b2015ad38bd36f5d60a");
    assert.equal(hex(tiles.get("1/0")[0]), "dc9349f9787ed0086da6d97f679c51a5198f98e456e95b1d87fa3abc012fec31");
    const proof = tile.inclusionProof(299n, 300n, tiles);
    assert.equal(proof.map(base64.encode).join(" "), "oJeCE4EcZnD3TghM2hxVfAALwF5llUkBn6elkggA9lg= " +
        "G4eeV6kFVP/E3WDpTS13Y8MluAOSE4lmh/6gzH+LKXY= BwAl1lkfH1Fu+RLO5xSCcQc32AVTRaXrDkBtCAGGR9g= " +
        "M96OAKgNKtJ00jDbUN3xCuKP3nVQYySodLLmyR3zgK0= 3JNJ+Xh+0Ahtptl/Z5xRpRmPmORW6Vsdh/o6vAEv7DE=");
    assert.equal(base64.encode(merkle.inclusionRoot(299n, 300n, leaves[299], proof)), "gw31yQrqZZCcEOPrzX+bpy3nJ6QgngTKn8G1m0i62uU=");
});

test("keys and cosignatures that others have made", async () => {
    const origin = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
    const witness = parseVkey("example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q");
    const text = `${origin}\n1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n`;
    const line = "\u2014 example.com/witness EKHAGQAAAABlU/EAx63UqrTpgWwhS2mgX9uIuoao54YP2S3rcDOnUVGFRU5HhEqQQyy+1buBh+kBUoIQpxQbasasirZm28WyE3HDDQ==\n";
    const note = parseNote(utf8(`${text}\n${line}`));
    assert.equal(note.text, text);
    assert.equal(isLineOf(note.lines[0], witness), true);
    assert.equal(await verifyLine(witness, note.text, note.lines[0].signature), 1700000000n);
    assert.equal(await verifyLine(witness, `${note.text}x\n`, note.lines[0].signature), null);
    for (let i = 0; i < note.lines[0].signature.length; i++) {
        const changed = note.lines[0].signature.slice();
        changed[i] ^= 1;
        assert.equal(await verifyLine(witness, note.text, changed), null, `byte ${i}`);
    }
    for (const vkey of ["Wit1+9b3fb2d5+BFhZSmQj9+SoL+p/nN0Hh76xXmF7QcHfytUrI1XfSClk", "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
        "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN"]) {
        assert.equal(vkeyText(parseVkey(vkey)), vkey);
        for (let i = 0; i < vkey.length; i++) {
            assert.throws(() => parseVkey(vkey.slice(0, i)), undefined, `${i} characters`);
        }
    }
});

test("notes and checkpoints that are none", () => {
    const line = "\u2014 a AAAAAAA=\n";
    assert.equal(parseNote(utf8(`text\n\nmore\n\n${line}`)).text, "text\n\nmore\n");
    assert.equal(parseNote(utf8(`t\n\n${line.repeat(100)}`)).lines.length, 100);
    for (const bad of ["", "text\n", "text\n\n", `text\n${line}`, `text\n\n${line.slice(0, -1)}`, `t\n\n${line}x\n`, `\u0001t\n\n${line}`, `t\r\n\n${line}`,
        `t\n\n${line.repeat(101)}`, "t\n\n\u2014 a b AAAAAAA=\n", "t\n\n- a AAAAAAA=\n", "t\n\n\u2014  AAAAAAA=\n", "t\n\n\u2014 a AAAAAA==\n", "t\n\n\u2014 a+ AAAAAAA=\n"]) {
        assert.throws(() => parseNote(utf8(bad)), { verdict: "MALFORMED" }, JSON.stringify(bad));
    }
    for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
        assert.throws(() => parseNote(concat(Uint8Array.from(bad), utf8(`t\n\n${line}`))), /UTF-8/);
    }
    const root = "bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=";
    assert.equal(parseCheckpoint(`go.sum database tree\n8\n${root}\nextension\n`).hasExtensions, true);
    for (const bad of [`o\n8\n${root}`, `o\n8\n`, `\n8\n${root}\n`, `o\n08\n${root}\n`, `o\n-8\n${root}\n`, `o\n9223372036854775808\n${root}\n`, `o\n0\n${root}\n`,
        `o\n8\n${root.replace("Y=", "Z=")}\n`, `o\n8\n${root}=\n`, `o\n8\n${root}\n\n`, `${"o".repeat(256)}\n8\n${root}\n`, `o\u0085\n8\n${root}\n`]) {
        assert.throws(() => parseCheckpoint(bad), { verdict: "MALFORMED" }, JSON.stringify(bad));
    }
});

test("points of small order are known, and signatures with them are what libcrypto takes them for", async () => {
    const points = ["0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"];
    for (const point of points.map((one) => unhex(one, 32, ""))) {
        assert.equal(edwards.isSmallOrder(point), true);
        point[31] |= 0x80;
        assert.equal(edwards.isSmallOrder(point), true);
    }
    const neutral = unhex(points[1], 32, "");
    assert.equal(await ed25519.verify(neutral, utf8("anything"), concat(neutral, new Uint8Array(32))), true);
    assert.equal(await ed25519.verify(neutral, utf8("anything"), concat(neutral, uint(32, 1))), false);
    const { publicKey, privateKey } = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const key = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
    const message = utf8("a message");
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, message));
    assert.equal(edwards.isSmallOrder(key), false);
    assert.equal(await ed25519.verify(key, message, signature), true);
    const s = edwards.littleEndian(signature.subarray(32));
    const k = bigOf(new Uint8Array(createHash("sha512").update(signature.subarray(0, 32)).update(key).update(message).digest()).reverse());
    assert.equal(edwards.isEquationMet(key, signature.subarray(0, 32), s, k), true);
    assert.equal(edwards.isEquationMet(key, signature.subarray(0, 32), s + 1n, k), false);
    const larger = concat(signature.subarray(0, 32), uint(32, s + edwards.ORDER).reverse());
    assert.equal(await ed25519.verify(key, message, larger), false);
    assert.equal(await ed25519.verify(key, message, signature.subarray(1)), false);
});

test("keys of the kind that no browser checks are read, and said to be what is missing", async () => {
    const key = new Uint8Array(1312).fill(7);
    const mldsa = (name) => vkeyText({ name, id: keyId(name, 6, key), type: 6, key });
    const vkey = parseVkey(mldsa("m.example"));
    assert.deepEqual([vkey.type, vkey.key.length], [6, 1312]);
    assert.throws(() => parseVkey(mldsa("m.example").slice(0, -4)));
    const { publicKey, privateKey } = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const logKey = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
    const log = { name: "log.example", id: keyId("log.example", 1, logKey), type: 1, key: logKey };
    const text = `log.example\n1\n${base64.encode(merkle.leafHash(utf8("one")))}\n`;
    const blob = async (one, data) => `\u2014 ${one.name} ${base64.encode(concat(unhex(one.id, 4, ""), data))}\n`;
    const ours = await blob(log, new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, utf8(text))));
    const its = await blob(vkey, new Uint8Array(2428));
    const document = { sha256: sha256(utf8("one")), leafHash: merkle.leafHash(utf8("one")), size: 3 };
    const codeOf = async (policy, lines) => (await judge.judge({ document, policy: utf8(policy),
        proof: utf8(`c2sp.org/tlog-proof@v1\nindex 0\n\n${text}\n${lines}`) })).code;
    const head = `log ${vkeyText(log)}\n`;
    const witness = `witness m ${mldsa("m.example")}\n`;
    assert.equal(await codeOf(`${head}${witness}quorum m\n`, ours + its), judge.CANNOT_CHECK_KEY);
    assert.equal(await codeOf(`${head}${witness}quorum m\n`, ours), judge.TOO_FEW_WITNESSES);
    assert.equal(await codeOf(`${head}${witness}quorum none\n`, ours + its), judge.ON_LOGS_WORD);
    const other = `log ${mldsa("log.example")}\n`;
    const itsLog = await blob(parseVkey(mldsa("log.example")), new Uint8Array(2428));
    assert.equal(await codeOf(`${other}quorum none\n`, itsLog), judge.CANNOT_CHECK_KEY);
    assert.equal(await codeOf(`${other}quorum none\n`, ours), judge.BAD_LOG_SIGNATURE);
    assert.equal(await codeOf(`${head}${other}quorum none\n`, ours + itsLog), judge.ON_LOGS_WORD);
    assert.equal(new Policy(utf8(`${head}${other}${witness}quorum m\n`)).f(), 1);
});

test("records: the one encoding, the kinds, the fields and their values", async () => {
    RECORDS.fields.forEach(({ name, type }, i) => assert.deepEqual([field.fieldName(i), type], [name, type]));
    RECORDS.kinds.forEach(({ number, name }) => assert.equal(kindByNumber(number).name, name));
    for (const { field: name, text, value } of RECORDS.values) {
        const number = field.fieldNumber(name);
        const canonical = field.textOfValue(number, unhex(value, value.length / 2, ""));
        assert.equal(hex(field.valueOf(number, canonical)), value);
        if (text !== canonical) { // as people write it
            assert.throws(() => field.valueOf(number, text), { verdict: "MALFORMED" }, text);
        }
    }
    for (const { record, leaf_hash: leaf, fields_root: root, vouched } of RECORDS.records) {
        const bytes = unhex(record, record.length / 2, "");
        const parsed = operation.parseOperation(bytes);
        assert.deepEqual([hex(merkle.leafHash(bytes)), hex(parsed.fieldsRoot), parsed.isVouched], [leaf, root, vouched]);
        for (let i = 0; i < bytes.length; i++) {
            assert.throws(() => operation.parseOperation(bytes.subarray(0, i)), { verdict: "MALFORMED" }, `${i} bytes`);
        }
        assert.throws(() => operation.parseOperation(concat(bytes, uint(1, 0))), { verdict: "MALFORMED" });
    }
    const entry = unhex(RECORDS.registration, RECORDS.registration.length / 2, "");
    const parsed = operation.parseOperation(entry);
    await operation.verifyOperation(parsed, entry, RECORDS.origin, parsed.registration.key);
    await assert.rejects(operation.verifyOperation(parsed, entry, "another.origin", parsed.registration.key), { verdict: "BAD SIGNATURE" });
    assert.equal(hex(operation.courtTag(utf8(RECORDS.submitter.court))), RECORDS.submitter.court_tag);
    const filed = JSON.parse(RECORDS.records[0].payload).document;
    const commitment = documentCommitment(unhex(filed.salt, 16, ""), sha256(utf8(RECORDS.paper)));
    assert.deepEqual(commitment, operation.parseOperation(unhex(RECORDS.records[0].record, RECORDS.records[0].record.length / 2, "")).document);
});

test("identifiers are taken in their one spelling", () => {
    const checks = { "case-number": identifier.isCaseNumber, court: identifier.isCourtCode, "credit-code": identifier.isCreditCode,
        "citizen-id": identifier.isCitizenId, party: (text) => identifier.isCitizenId(text) || identifier.isCreditCode(text) };
    for (const { type, text, canonical } of RECORDS.identifiers) {
        const check = checks[type];
        assert.notEqual(check, undefined, type);
        assert.equal(canonical !== null && canonical !== undefined && check(canonical), canonical !== null && canonical !== undefined, text);
        assert.equal(check(text), text === canonical, text);
    }
});

test("disclosures: all is right but that they have no proof; each byte matters", async () => {
    const policy = new Policy(utf8("quorum none\n"));
    for (const text of [RECORDS.disclosure_of_frozen, RECORDS.disclosure_of_sealed]) {
        await assert.rejects(verifyDisclosure(utf8(text), policy, null), /no tlog-proof/);
        const bytes = utf8(text);
        for (let i = 0; i < bytes.length; i += 37) {
            const changed = bytes.slice();
            changed[i] ^= 1;
            await assert.rejects(verifyDisclosure(changed, policy, null), (error) => !/no tlog-proof/.test(error.message), `byte ${i}`);
        }
    }
});
