// Checkpoints: origin, size, root. C2SP tlog-checkpoint v1.0.0.

import * as base64 from "./base64.js";
import { decimal, isEqual, utf8 } from "./bytes.js";
import { emptyRoot } from "./merkle.js";
import { require } from "./refused.js";

export const SIZE_MAX = 2n ** 63n - 1n;
const ORIGIN_BYTES_MAX = 255;

export function originIsValid(origin) {
    const size = utf8(origin).length;
    return size >= 1 && size <= ORIGIN_BYTES_MAX && !/[\0-\x1f\x7f-\x9f]/.test(origin);
}

// { origin, size (BigInt), root, hasExtensions } of the text of a note.
export function parseCheckpoint(text) {
    const lines = text.split("\n");
    require(lines.length >= 4 && lines.pop() === "", "checkpoint: fewer than the three lines origin, size, root");
    const [origin, size, root, ...extensions] = lines;
    require(originIsValid(origin), "checkpoint: not a valid origin");
    const parsed = {
        origin,
        size: decimal(size, SIZE_MAX, "checkpoint: size"),
        root: base64.decodeHash(root, "checkpoint: root"),
        hasExtensions: extensions.length > 0,
    };
    require(!extensions.includes(""), "checkpoint: empty extension line");
    require(parsed.size !== 0n || isEqual(parsed.root, emptyRoot()), "checkpoint: size 0 with another root");
    return parsed;
}
