// Verifier keys, C2SP signed-note: NAME+ID+BASE64(type, key).

import * as base64 from "./base64.js";
import { bytesOfOctets, concat, hex, textOf, utf8 } from "./bytes.js";
import { isSmallOrder } from "./edwards.js";
import { malformed, require } from "./refused.js";
import { sha256 } from "./sha256.js";

export const ED25519 = 1; // over the note, as logs sign
export const COSIGNATURE = 4; // with a time, as witnesses sign
export const ML_DSA_44 = 6; // with a time, by logs and witnesses; no browser can check it yet

const KEY_BYTES = { [ED25519]: 32, [COSIGNATURE]: 32, [ML_DSA_44]: 1312 };
const KEY_TEXT_MAX = 4096;
const NAME_BYTES_MAX = 255;
const BLANKS = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const CONTROLS = /[\0-\x1f\x7f-\x9f]/;

export function keyNameIsValid(name) {
    const size = utf8(name).length;
    return size >= 1 && size <= NAME_BYTES_MAX && !BLANKS.test(name) && !CONTROLS.test(name) && !name.includes("+");
}

export function keyId(name, type, key) {
    return hex(sha256(utf8(name), Uint8Array.of(10, type), key).subarray(0, 4));
}

// `octets`: one character a byte.
export function parseVkey(octets) {
    require(octets.length <= KEY_TEXT_MAX, "a key of too many characters");
    const first = octets.indexOf("+");
    const second = octets.indexOf("+", first + 1);
    require(first >= 0 && second >= 0, "a key is written NAME+ID+BASE64: a '+' is missing");
    const name = textOf(bytesOfOctets(octets.slice(0, first)), "the key's name");
    require(keyNameIsValid(name), "a key's name is 1 to 255 bytes of UTF-8 without blanks and control characters");
    const id = octets.slice(first + 1, second);
    require(/^[0-9a-fA-F]{8}$/.test(id), "key ID: not 8 hex digits");
    const data = base64.decode(octets.slice(second + 1), "key");
    require(data.length > 0, "the key's bytes are missing");
    return checkKey(name, id.toLowerCase(), data[0], data.subarray(1));
}

function checkKey(name, id, type, key) {
    if (KEY_BYTES[type] === undefined) {
        throw malformed(`keys of type 0x${type.toString(16).padStart(2, "0")} are not supported`);
    }
    require(key.length === KEY_BYTES[type], "the key has another length than its type");
    require(keyId(name, type, key) === id, "the key ID does not belong to this name, type and key");
    require(type === ML_DSA_44 || !isSmallOrder(key), "a key of small order, under which anyone can sign");
    return { name, id, type, key };
}

export function vkeyText(vkey) {
    return `${vkey.name}+${vkey.id}+${base64.encode(concat(Uint8Array.of(vkey.type), vkey.key))}`;
}
