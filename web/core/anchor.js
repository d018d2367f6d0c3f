// What shows that an entry was logged after a time: the ANCHOR before it, as a tlog-proof with the entry as extra data, at
// the checkpoint of the proof that it goes with. docs/operations.md, "When an entry was logged".

import { isEqual } from "./bytes.js";
import { ANCHOR } from "./kind.js";
import { leafHash } from "./merkle.js";
import { parseOperation } from "./operation.js";
import { MISMATCH, NO_QUORUM, Refused, UNKNOWN_LOG, require } from "./refused.js";
import { parseTlogProof, verifyTlogProof } from "./tlog_proof.js";

// A tlog-proof whose extra data is an ANCHOR.
export function isAnchor(bytes) {
    try {
        const { extra } = parseTlogProof(bytes);
        return extra !== null && parseOperation(extra).kind.number === ANCHOR;
    } catch {
        return false;
    }
}

function parseAnchorEntry(entry) {
    let operation = null;
    try {
        operation = parseOperation(entry);
    } catch {
        // Below: no ANCHOR.
    }
    require(operation?.kind.number === ANCHOR, "the anchor: the entry is no ANCHOR", NO_QUORUM);
    return operation.note;
}

// The log of the proof is known: a note of one that is not bounds no time.
async function withoutUnknownLogs(work) {
    try {
        return await work;
    } catch (error) {
        throw error.verdict === UNKNOWN_LOG ? new Refused(NO_QUORUM, `the anchor: ${error.message}`) : error;
    }
}

// The time after which the entry of `proof` was sequenced; `verdict` is what the proof leads to. { index, time }
export async function checkAnchor(bytes, policy, proof, verdict) {
    const anchor = parseTlogProof(bytes);
    require(anchor.extra !== null, "the anchor: it has no entry");
    require(anchor.index < proof.index, "the anchor: it is not before the entry", MISMATCH);
    const its = (await withoutUnknownLogs(verifyTlogProof(anchor, policy, leafHash(anchor.extra)))).checkpoint;
    const ours = verdict.checkpoint;
    const isSame = its.origin === ours.origin && its.size === ours.size && isEqual(its.root, ours.root);
    require(isSame, "the anchor: it leads to another checkpoint than the proof", MISMATCH);
    const inside = await withoutUnknownLogs(policy.openCheckpoint(parseAnchorEntry(anchor.extra)));
    require(inside.checkpoint.origin === ours.origin, "the anchor: the note in it is another log's");
    require(inside.checkpoint.size <= anchor.index, "the anchor: the note in it is of a tree that has it");
    const time = inside.isMet ? inside.sequencedAfter : 0n;
    require(time !== 0n, "the anchor: too few of the policy's witnesses are in it", NO_QUORUM);
    return { index: anchor.index, time };
}
