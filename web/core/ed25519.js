// Ed25519 (RFC 8032) by the browser's own WebCrypto.

import { bigOf } from "./bytes.js";

const P = 2n ** 255n - 19n;
const Y8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7n;
const SMALL_ORDER = [0n, 1n, P - 1n, Y8, P - Y8];

export function isAvailable() {
    return globalThis.crypto?.subtle !== undefined;
}

// Under such a key anyone can sign.
export function isSmallOrder(key) {
    const y = bigOf(Uint8Array.from(key).reverse()) & (2n ** 255n - 1n);
    return SMALL_ORDER.includes(y % P);
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

export async function verify(key, message, signature) {
    const imported = signature.length === 64 ? await importKey(key) : null;
    return imported !== null && crypto.subtle.verify("Ed25519", imported, signature, message);
}
