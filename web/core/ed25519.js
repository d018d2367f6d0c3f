// Ed25519 (RFC 8032) by the browser's own WebCrypto, and never more nor less than what libcrypto takes: without
// cofactor, R in its one spelling, S below the order.

import { concat } from "./bytes.js";
import { ORDER, isCanonical, isEquationMet, isSmallOrder, littleEndian } from "./edwards.js";

export function isAvailable() {
    return globalThis.crypto?.subtle !== undefined;
}

// Whether this browser has the algorithm at all: older ones have WebCrypto without it.
export async function isSupported() {
    try {
        await crypto.subtle.importKey("raw", new Uint8Array(32).fill(9), "Ed25519", false, ["verify"]);
        return true;
    } catch (error) {
        return error.name === "DataError"; // it knows the algorithm, and not this point
    }
}

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
    const imported = await importKey(key);
    return imported !== null && crypto.subtle.verify("Ed25519", imported, signature, message);
}
