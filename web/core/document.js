// A record's commitment to its document. docs/record.md section 6.

import { concat, uint, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";

// `digest`: SHA-256 of the document; null: the record has none.
export function documentCommitment(salt, digest) {
    const present = uint(1, digest === null ? 0 : 1);
    return sha256(concat(utf8("courtroll/document/v1\n"), present, salt, digest ?? new Uint8Array(32)));
}
