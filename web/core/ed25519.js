// Ed25519 (RFC 8032) by the browser's own WebCrypto, and never more nor less than what libcrypto takes: without
// cofactor, R in its one spelling, S below the order.

import { concat, hex } from "./bytes.js";
import { ORDER, isCanonical, isEquationMet, isSmallOrder, littleEndian } from "./edwards.js";

export function isAvailable() {
    return globalThis.crypto?.subtle !== undefined;
}

const KEYS_MAX = 256;
const keys = new Map(); // hex: what came of importing it

// null: no point of the curve.
async function importKey(key) {
    try {
        return await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    } catch (error) {
        if (error.name === "DataError") {
            return null;
        }
        throw error;
    }
}

// Few keys sign much, and to import one takes longer than to verify with it.
async function keyOf(bytes) {
    const name = hex(bytes);
    if (!keys.has(name)) {
        if (keys.size === KEYS_MAX) {
            keys.clear();
        }
        keys.set(name, await importKey(bytes));
    }
    return keys.get(name) ?? null;
}

// Whether this browser has the algorithm at all: older ones have WebCrypto without it.
export async function isSupported() {
    try {
        await keyOf(new Uint8Array(32).fill(9));
        return true;
    } catch {
        return false;
    }
}

// Browsers need not, and do not all, refuse or take these.
function isUnusual(point) {
    return isSmallOrder(point) || !isCanonical(point);
}

async function verifyUnusual(key, message, r, s) {
    const hash = await crypto.subtle.digest("SHA-512", concat(r, key, message));
    return isEquationMet(key, r, s, littleEndian(new Uint8Array(hash)));
}

export async function verify(key, message, signature) {
    if (signature.length !== 64) {
        return false;
    }
    const r = signature.subarray(0, 32);
    const s = littleEndian(signature.subarray(32));
    if (s >= ORDER || !isCanonical(r)) {
        return false;
    }
    if (isUnusual(key) || isUnusual(r)) {
        return verifyUnusual(key, message, r, s);
    }
    const imported = await keyOf(key);
    return imported !== null && crypto.subtle.verify("Ed25519", imported, signature, message);
}
