// Stands for the page's own beginning in tests/integration/test_web_core.py: the verifier alone, in a browser.

import { POLICY_MALFORMED, judge } from "../core/judge.js";
import { leafHash } from "../core/merkle.js";
import { Sha256, sha256 } from "../core/sha256.js";
import { wordsOf } from "./judge_words.js";

async function answers() {
    const said = [];
    for (const question of CASES) {
        said.push(await wordsOf(question, { judge, POLICY_MALFORMED, leafHash, sha256 }));
    }
    const piece = new Uint8Array(4 * 1024 * 1024).fill(77);
    const hash = new Sha256();
    const from = performance.now();
    for (let i = 0; i < 32; i++) {
        hash.update(piece);
    }
    return [said, (32 * piece.length) / 1000 / (performance.now() - from)];
}

globalThis.answers = answers();
