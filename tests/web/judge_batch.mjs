// What the page's verifier says of many proofs and disclosures: stdin and stdout as of tests/support/judge_batch.c.
//
//     node judge_batch.mjs CORE-DIRECTORY

import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto; // Node 18

const core = pathToFileURL(`${process.argv[2]}/`);
const { judge, POLICY_MALFORMED } = await import(new URL("judge.js", core));
const { leafHash } = await import(new URL("merkle.js", core));
const { sha256 } = await import(new URL("sha256.js", core));

function unhex(text) {
    return text === null || text === undefined ? null : new Uint8Array(Buffer.from(text, "hex"));
}

function documentOf(data) {
    return data === null ? null : { sha256: sha256(data), leafHash: leafHash(data), size: data.length };
}

async function words(line) {
    const { policy, proof, document, anchor } = JSON.parse(line);
    const data = unhex(document);
    const isReceipt = !proof.startsWith("7b"); // the C side reads a document of nothing then
    const answer = await judge({
        policy: unhex(policy),
        proof: unhex(proof),
        document: documentOf(isReceipt ? (data ?? new Uint8Array()) : data),
        anchor: unhex(anchor),
    });
    return answer.code === POLICY_MALFORMED ? "POLICY" : answer.verdict;
}

// Several at once: WebCrypto works on threads of its own.
const AT_ONCE = 32;
let waiting = [];
for await (const line of createInterface({ input: process.stdin })) {
    waiting.push(words(line));
    if (waiting.length === AT_ONCE) {
        console.log((await Promise.all(waiting)).join("\n"));
        waiting = [];
    }
}
if (waiting.length > 0) {
    console.log((await Promise.all(waiting)).join("\n"));
}
