// Signed notes: a text and the signature lines below it. C2SP signed-note v1.0.0; cosignatures C2SP tlog-cosignature.

import * as base64 from "./base64.js";
import { bigOf, concat, hex, textOf, utf8 } from "./bytes.js";
import * as ed25519 from "./ed25519.js";
import { malformed, require } from "./refused.js";
import { COSIGNATURE, ED25519, keyNameIsValid } from "./vkey.js";

export const NOTE_BYTES_MAX = 1024 * 1024;
const SIGNATURES_MAX = 100;
const TIME_MAX = 2n ** 63n - 1n;

// { text, lines: [{ name, id, signature }] }; nothing is verified.
export function parseNote(bytes) {
    require(bytes.length <= NOTE_BYTES_MAX, "note: too large");
    const all = textOf(bytes, "note");
    require(!/[\0-\t\v-\x1f]/.test(all), "note: a control character (a CR, perhaps)");
    const split = all.lastIndexOf("\n\n");
    require(split >= 0, "note: no blank line between text and signatures");
    const below = all.slice(split + 2);
    require(below.endsWith("\n"), "note: no signature line, or no newline at the end");
    const lines = below.slice(0, -1).split("\n");
    require(lines.length <= SIGNATURES_MAX, `note: over ${SIGNATURES_MAX} signature lines`);
    return { text: all.slice(0, split + 1), lines: lines.map(parseLine) };
}

function parseLine(line, i) {
    const what = `note: signature line ${i + 1}`;
    require(line.startsWith("\u2014 "), `${what}: does not start with an em dash and a space`);
    const end = line.indexOf(" ", 2);
    require(end >= 0, `${what}: no space behind the key name`);
    const name = line.slice(2, end);
    require(keyNameIsValid(name), `${what}: not a valid key name`);
    const data = base64.decodeLenient(line.slice(end + 1), what);
    if (data.length <= 4) {
        throw malformed(`${what}: no signature behind the key ID`);
    }
    return { name, id: hex(data.subarray(0, 4)), signature: data.subarray(4) };
}

// The time of a line that verifies (0n when its type has none), or null. ML-DSA-44 cannot be checked here: null.
export async function verifyLine(vkey, text, signature) {
    if (vkey.type === ED25519) {
        return (await ed25519.verify(vkey.key, utf8(text), signature)) ? 0n : null;
    }
    if (vkey.type !== COSIGNATURE || signature.length !== 72) {
        return null;
    }
    const time = bigOf(signature.subarray(0, 8));
    if (time === 0n || time > TIME_MAX) {
        return null;
    }
    const message = concat(utf8(`cosignature/v1\ntime ${time}\n`), utf8(text));
    return (await ed25519.verify(vkey.key, message, signature.subarray(8))) ? time : null;
}

export function isLineOf(line, vkey) {
    return line.id === vkey.id && line.name === vkey.name;
}
