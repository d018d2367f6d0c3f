// Bytes as Uint8Array: joining, comparing, reading, and their texts.

import { malformed, require } from "./refused.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8(text) {
    return encoder.encode(text);
}

export function textOf(bytes, what) {
    try {
        return decoder.decode(bytes);
    } catch {
        throw malformed(`${what}: not UTF-8`);
    }
}

// One character a byte: for files whose names are any bytes.
export function octetsOf(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i += 4096) {
        text += String.fromCharCode(...bytes.subarray(i, i + 4096));
    }
    return text;
}

export function bytesOfOctets(text) {
    return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

export function concat(...parts) {
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
        all.set(part, at);
        at += part.length;
    }
    return all;
}

export function isEqual(a, b) {
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

// Negative, zero or positive, as bytes are ordered.
export function compare(a, b) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
        if (a[i] !== b[i]) {
            return a[i] - b[i];
        }
    }
    return a.length - b.length;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hex(bytes) {
    let text = "";
    for (const byte of bytes) {
        text += HEX[byte];
    }
    return text;
}

export function unhex(text, size, what) {
    require(typeof text === "string" && text.length === 2 * size && /^[0-9a-f]*$/.test(text),
        `${what}: not the hex of ${size} bytes`);
    return Uint8Array.from({ length: size }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

// An unsigned integer of `size` bytes, big-endian.
export function uint(size, value) {
    const bytes = new Uint8Array(size);
    let left = BigInt(value);
    for (let i = size - 1; i >= 0; i--) {
        bytes[i] = Number(left & 255n);
        left >>= 8n;
    }
    return bytes;
}

export function bigOf(bytes) {
    return bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes)}`);
}

// A decimal of one spelling, up to `max`, as a BigInt.
export function decimal(text, max, what) {
    require(/^(0|[1-9][0-9]{0,19})$/.test(text) && !text.endsWith("\n"), `${what}: not a decimal of one spelling`);
    const value = BigInt(text);
    require(value <= max, `${what}: over ${max}`);
    return value;
}
