// The curve of Ed25519 (RFC 8032 section 5.1), for the few keys and signatures on which browsers do not agree with one
// another: points of small order and second spellings. Slow; whatever honest software has made never comes here.

import { bigOf } from "./bytes.js";

const P = 2n ** 255n - 19n;
const D = mod(-121665n * inverse(121666n));
const SQRT_M1 = power(2n, (P - 1n) / 4n);
const NEUTRAL = { x: 0n, y: 1n, z: 1n, t: 0n };
const Y8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const SMALL_ORDER = [0n, 1n, P - 1n, Y8, P - Y8];

export const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

function mod(value) {
    const rest = value % P;
    return rest < 0n ? rest + P : rest;
}

function power(base, exponent) {
    let result = 1n;
    let square = mod(base);
    for (let left = exponent; left > 0n; left >>= 1n) {
        if (left & 1n) {
            result = (result * square) % P;
        }
        square = (square * square) % P;
    }
    return result;
}

function inverse(value) {
    return power(value, P - 2n);
}

export function littleEndian(bytes) {
    return bigOf(Uint8Array.from(bytes).reverse());
}

function yOf(bytes) {
    return littleEndian(bytes) & (2n ** 255n - 1n);
}

export function isSmallOrder(point) {
    return SMALL_ORDER.includes(yOf(point) % P);
}

export function isCanonical(point) {
    return yOf(point) < P;
}

function add(p, q) {
    const a = (p.y - p.x) * (q.y - q.x);
    const b = (p.y + p.x) * (q.y + q.x);
    const c = 2n * p.t * q.t * D;
    const d = 2n * p.z * q.z;
    const [e, f, g, h] = [mod(b - a), mod(d - c), mod(d + c), mod(b + a)];
    return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(scalar, point) {
    let result = NEUTRAL;
    let doubled = point;
    for (let left = scalar; left > 0n; left >>= 1n) {
        if (left & 1n) {
            result = add(result, doubled);
        }
        doubled = add(doubled, doubled);
    }
    return result;
}

// null: no point. As libcrypto reads them: y may be at or above P, and an x of 0 may have a sign.
function decode(bytes) {
    const y = yOf(bytes) % P;
    const isOdd = bytes[31] >> 7 === 1;
    const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
    let x = power(square, (P + 3n) / 8n);
    if ((x * x - square) % P !== 0n) {
        x = (x * SQRT_M1) % P;
    }
    if ((x * x - square) % P !== 0n) {
        return null;
    }
    if ((x & 1n) === 1n !== isOdd) {
        x = mod(-x);
    }
    return { x, y, z: 1n, t: mod(x * y) };
}

function encode(point) {
    const scale = inverse(point.z);
    const x = mod(point.x * scale);
    return mod(point.y * scale) | ((x & 1n) << 255n);
}

const BASE = decode(Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x58 : 0x66)));

// Whether R is [S]B - [k]A, without cofactor and byte by byte: `k` is the number of the hash, reduced or not.
export function isEquationMet(key, r, s, k) {
    const a = decode(key);
    if (a === null) {
        return false;
    }
    const minusA = { ...a, x: mod(-a.x), t: mod(-a.t) };
    return encode(add(multiply(s, BASE), multiply(k % ORDER, minusA))) === littleEndian(r);
}
