// The code on a paper: which log, which entry, and the salt of the document's commitment. docs/code.md.
//
//     c1.<log id>.<index>.<salt>
//
// It stands in the fragment of the page's address, which browsers send to nobody.

import * as base64 from "./base64.js";
import { decimal, utf8 } from "./bytes.js";
import { SIZE_MAX } from "./checkpoint.js";
import { require } from "./refused.js";
import { sha256 } from "./sha256.js";

const LOG_ID_BYTES = 16;
const SALT_BYTES = 16;
const TEXT_MAX = 512;

export function logId(origin) {
    return base64.encodeUrl(sha256(utf8(origin)).subarray(0, LOG_ID_BYTES));
}

export function depositNumber(origin, index) {
    return `${logId(origin)}-${index}`;
}

// { logId, index (BigInt), salt (bytes, or null for a log of opaque entries) } of a code or of a link with one.
export function parseCode(text) {
    require(text.length <= TEXT_MAX, "code: too long");
    const bare = text.trim().replace(/^[^#]*#/, "");
    const parts = bare.split(".");
    require(parts.length === 4 && parts[0] === "c1", "code: not c1.LOG.INDEX.SALT");
    base64.decodeUrl(parts[1], LOG_ID_BYTES, "code: log id");
    const index = decimal(parts[2], SIZE_MAX - 1n, "code: index");
    const salt = parts[3] === "" ? null : base64.decodeUrl(parts[3], SALT_BYTES, "code: salt");
    return { logId: parts[1], index, salt };
}

export function formatCode({ logId: id, index, salt }) {
    return `c1.${id}.${index}.${salt === null ? "" : base64.encodeUrl(salt)}`;
}
