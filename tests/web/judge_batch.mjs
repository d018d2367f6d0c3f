// What the page's verifier says of many proofs and disclosures: stdin and stdout as of tests/support/judge_batch.c.
//
//     node judge_batch.mjs CORE-DIRECTORY

import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import { wordsOf } from "./judge_words.mjs";

globalThis.crypto ??= webcrypto; // Node 18

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
