// Runs in a worker: the digests of a file, in pieces, so that it never is in memory as a whole and nothing leaves the
// browser. Gets { file }, answers { done, total } as it goes, then { sha256, leafHash, size } or { error }. Whoever no
// longer wants the answer ends the worker.

import { Sha256 } from "./sha256.js";

const PIECE_BYTES = 4 * 1024 * 1024;
const ENTRY_BYTES_MAX = 65535; // no entry is larger, so nobody asks for the leaf hash of more

async function digestsOf(file, onProgress) {
    const document = new Sha256();
    const leaf = file.size <= ENTRY_BYTES_MAX ? new Sha256().update(Uint8Array.of(0)) : null;
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
        const piece = new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
        document.update(piece);
        leaf?.update(piece);
        onProgress(Math.min(at + PIECE_BYTES, file.size));
    }
    if (document.total !== file.size) {
        throw new Error("the file has changed while it was read");
    }
    return { sha256: document.digest(), leafHash: leaf?.digest() ?? null, size: file.size };
}

self.onmessage = async ({ data: { file } }) => {
    try {
        self.postMessage(await digestsOf(file, (done) => self.postMessage({ done, total: file.size })));
    } catch (error) {
        self.postMessage({ error: String(error.message) });
    }
};
