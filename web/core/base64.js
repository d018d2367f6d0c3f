// Base64 with padding (RFC 4648 section 4). Strict: one spelling. Lenient: the bits behind the last byte are ignored, as
// signature lines of notes are read everywhere.

import { malformed } from "./refused.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map(Array.from(ALPHABET, (char, i) => [char, i]));

export function encode(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i += 3) {
        const left = bytes.length - i;
        const word = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
        text += ALPHABET[word >> 18] + ALPHABET[(word >> 12) & 63];
        text += left > 1 ? ALPHABET[(word >> 6) & 63] : "=";
        text += left > 2 ? ALPHABET[word & 63] : "=";
    }
    return text;
}

export function decodeLenient(text, what) {
    const pad = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
    if (text.length % 4 !== 0) {
        throw malformed(`${what}: not padded base64`);
    }
    const bytes = new Uint8Array((text.length / 4) * 3 - pad);
    let word = 0;
    let at = 0;
    for (let i = 0; i < text.length; i++) {
        const value = i < text.length - pad ? VALUES.get(text[i]) : 0;
        if (value === undefined) {
            throw malformed(`${what}: not base64 at character ${i + 1}`);
        }
        word = ((word << 6) | value) & 0xffffff;
        if (i % 4 === 3) {
            for (const shift of [16, 8, 0]) {
                if (at < bytes.length) {
                    bytes[at++] = word >> shift;
                }
            }
        }
    }
    return bytes;
}

export function decode(text, what) {
    const bytes = decodeLenient(text, what);
    if (encode(bytes) !== text) {
        throw malformed(`${what}: not base64's one spelling`);
    }
    return bytes;
}

// 32 bytes in 44 characters.
export function decodeHash(text, what) {
    const bytes = decode(text, what);
    if (bytes.length !== 32) {
        throw malformed(`${what}: not a hash of 32 bytes`);
    }
    return bytes;
}

export function encodeUrl(bytes) {
    return encode(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function decodeUrl(text, size, what) {
    if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length !== Math.ceil((size * 4) / 3)) {
        throw malformed(`${what}: not ${size} bytes in base64url`);
    }
    const padded = text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4);
    return decode(padded, what);
}
