// What the page's verifier says of many proofs and disclosures: stdin and stdout as of tests/support/judge_batch.c.
//
//     node judge_batch.mjs CORE-DIRECTORY

import { createHash, webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import { wordsOf } from "./judge_words.mjs";

globalThis.crypto ??= webcrypto; // Node 18

// Most questions have signatures that an earlier one had, and Node takes its time over each.
const verify = crypto.subtle.verify.bind(crypto.subtle);
const said = new Map();
const numbers = new WeakMap();
crypto.subtle.verify = (algorithm, key, signature, message) => {
    if (!numbers.has(key)) {
        numbers.set(key, String(Math.random()));
    }
    const question = createHash("sha256").update(numbers.get(key)).update(signature).update(message).digest("base64");
    if (!said.has(question)) {
        said.set(question, verify(algorithm, key, signature, message));
    }
    return said.get(question);
};

const directory = pathToFileURL(`${process.argv[2]}/`);
const core = Object.assign({}, ...await Promise.all(["judge.js", "merkle.js", "sha256.js"].map((name) => import(new URL(name, directory)))));

// Several at once: WebCrypto works on threads of its own.
const AT_ONCE = 32;
let waiting = [];
for await (const line of createInterface({ input: process.stdin })) {
    waiting.push(wordsOf(JSON.parse(line), core));
    if (waiting.length === AT_ONCE) {
        console.log((await Promise.all(waiting)).join("\n"));
        waiting = [];
    }
}
if (waiting.length > 0) {
    console.log((await Promise.all(waiting)).join("\n"));
}
