// Runs in a worker: the digests of a file, in pieces, so that it never is in memory as a whole and nothing leaves the
// browser. Gets { file }, answers { done, total } as it goes, then { sha256, leafHash, size } or { error }.

import { leafHash } from "./merkle.js";
import { Sha256 } from "./sha256.js";

const PIECE_BYTES = 4 * 1024 * 1024;
const ENTRY_BYTES_MAX = 65535; // no entry is larger, so nobody asks for the leaf hash of more

async function digestsOf(file, onProgress) {
    const hash = new Sha256();
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
        const piece = new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
        hash.update(piece);
        onProgress(Math.min(at + PIECE_BYTES, file.size));
    }
    const isSmall = file.size <= ENTRY_BYTES_MAX;
    const leaf = isSmall ? leafHash(new Uint8Array(await file.arrayBuffer())) : null;
    return { sha256: hash.digest(), leafHash: leaf, size: file.size };
}

self.onmessage = async ({ data: { file } }) => {
    try {
        self.postMessage(await digestsOf(file, (done) => self.postMessage({ done, total: file.size })));
    } catch (error) {
        self.postMessage({ error: String(error.message) });
    }
};
