// What the page's verifier says of a question, in the words of tests/support/judge_batch.c.

const nibble = (code) => (code < 58 ? code - 48 : code - 87);

function unhex(text) {
    if (text === null || text === undefined) {
        return null;
    }
    const bytes = new Uint8Array(text.length / 2);
    for (let i = 0; i < bytes.length; i++) {
        bytes[i] = (nibble(text.charCodeAt(2 * i)) << 4) | nibble(text.charCodeAt(2 * i + 1));
    }
    return bytes;
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
