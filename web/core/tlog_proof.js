// tlog-proof files: an entry's inclusion proof and the checkpoint it leads to. C2SP tlog-proof, "c2sp.org/tlog-proof@v1".

import * as base64 from "./base64.js";
import { decimal, isEqual, octetsOf } from "./bytes.js";
import { SIZE_MAX } from "./checkpoint.js";
import { PROOF_HASHES_MAX, inclusionRoot } from "./merkle.js";
import { NOTE_BYTES_MAX, parseNote } from "./note.js";
import { MISMATCH, require } from "./refused.js";

export const PROOF_FILE_BYTES_MAX = NOTE_BYTES_MAX + 128 * 1024;
const HEADER = "c2sp.org/tlog-proof@v1\n";

export function isTlogProof(bytes) {
    return octetsOf(bytes.subarray(0, HEADER.length)) === HEADER;
}

// { extra or null, index (BigInt), hashes, note: bytes }
export function parseTlogProof(bytes) {
    require(bytes.length <= PROOF_FILE_BYTES_MAX, "tlog-proof: too large");
    require(isTlogProof(bytes), "tlog-proof: the first line is not c2sp.org/tlog-proof@v1");
    const text = octetsOf(bytes);
    const end = text.indexOf("\n\n");
    require(end >= 0, "tlog-proof: no empty line behind the proof");
    const lines = text.slice(HEADER.length, end).split("\n");
    let extra = null;
    if (lines[0]?.startsWith("extra ")) {
        extra = base64.decode(lines.shift().slice("extra ".length), "tlog-proof: extra");
    }
    const line = lines.shift() ?? "";
    require(line.startsWith("index "), 'tlog-proof: the line "index N" is missing');
    const index = decimal(line.slice("index ".length), SIZE_MAX - 1n, "tlog-proof: index");
    require(lines.length <= PROOF_HASHES_MAX, "tlog-proof: too many hashes");
    const hashes = lines.map((one, i) => base64.decodeHash(one, `tlog-proof: hash ${i + 1}`));
    const note = bytes.subarray(end + 2);
    parseNote(note);
    return { extra, index, hashes, note };
}

// What the policy says of the checkpoint, of which the entry with this leaf hash is.
export async function verifyTlogProof(proof, policy, leaf) {
    const verdict = await policy.openCheckpoint(proof.note);
    const { size, root } = verdict.checkpoint;
    const found = inclusionRoot(proof.index, size, leaf, proof.hashes);
    require(isEqual(found, root), "the entry is not at that index: the proof leads to another root", MISMATCH);
    return verdict;
}
