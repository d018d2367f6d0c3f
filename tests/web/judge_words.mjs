// What the page's verifier says of a question, in the words of tests/support/judge_batch.c.

export function unhex(text) {
    return text === null || text === undefined ? null
        : Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

// `core`: { judge, POLICY_MALFORMED, leafHash, sha256 }
export async function wordsOf({ policy, proof, document, anchor }, core) {
    const isReceipt = !proof.startsWith("7b"); // the C side reads a document of nothing then
    const data = unhex(document) ?? (isReceipt ? new Uint8Array() : null);
    const { code, verdict, facts } = await core.judge({
        policy: unhex(policy),
        proof: unhex(proof),
        document: data && { sha256: core.sha256(data), leafHash: core.leafHash(data), size: data.length },
        anchor: unhex(anchor),
    });
    if (code === core.POLICY_MALFORMED) {
        return "POLICY";
    }
    const bounds = facts && [facts.noLaterThan ?? 0, facts.sequencedAfter ?? 0, facts.f, facts.mayBeDown];
    return facts === null ? verdict : `${verdict} [${bounds.join(" ")}]`;
}
