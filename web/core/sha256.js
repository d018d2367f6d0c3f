// SHA-256 (FIPS 180-4) of a stream. WebCrypto has no streaming digest, and a document may have 2 GB.

const K = new Int32Array(64);
const START = new Int32Array(8);

// The first 32 bits of the fractions of roots of the first primes, as the standard defines the constants.
(function fillConstants() {
    const fraction = (value) => (value - Math.floor(value)) * 2 ** 32;
    let count = 0;
    for (let n = 2; count < 64; n++) {
        let isPrime = true;
        for (let k = 2; k * k <= n; k++) {
            isPrime &&= n % k !== 0;
        }
        if (isPrime) {
            if (count < 8) {
                START[count] = fraction(Math.sqrt(n)) | 0;
            }
            K[count++] = fraction(Math.cbrt(n)) | 0;
        }
    }
})();

const w = new Int32Array(64); // the message schedule of the block under way

function fillSchedule(bytes, at) {
    for (let i = 0; i < 16; i++) {
        const k = at + 4 * i;
        w[i] = (bytes[k] << 24) | (bytes[k + 1] << 16) | (bytes[k + 2] << 8) | bytes[k + 3];
    }
    for (let i = 16; i < 64; i++) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
}

export class Sha256 {
    constructor() {
        this.state = START.slice();
        this.block = new Uint8Array(64);
        this.used = 0; // bytes of block
        this.total = 0;
    }

    update(bytes) {
        let at = 0;
        this.total += bytes.length;
        if (this.used > 0) {
            at = Math.min(64 - this.used, bytes.length);
            this.block.set(bytes.subarray(0, at), this.used);
            this.used += at;
            if (this.used < 64) {
                return this;
            }
            this.compress(this.block, 0);
            this.used = 0;
        }
        for (; at + 64 <= bytes.length; at += 64) {
            this.compress(bytes, at);
        }
        this.block.set(bytes.subarray(at), 0);
        this.used = bytes.length - at;
        return this;
    }

    digest() {
        const { block } = this;
        block.fill(0, this.used);
        block[this.used] = 0x80;
        if (this.used >= 56) {
            this.compress(block, 0);
            block.fill(0);
        }
        for (let i = 63, bits = this.total * 8; i >= 56; i--, bits = Math.floor(bits / 256)) {
            block[i] = bits % 256;
        }
        this.compress(block, 0);
        const hash = new Uint8Array(32);
        for (let i = 0; i < 32; i++) {
            hash[i] = this.state[i >> 2] >> (24 - 8 * (i & 3));
        }
        return hash;
    }

    // Eight rounds a turn: so the eight words keep their places, and the names go round.
    compress(bytes, at) {
        fillSchedule(bytes, at);
        const s = this.state;
        let a = s[0];
        let b = s[1];
        let c = s[2];
        let d = s[3];
        let e = s[4];
        let f = s[5];
        let g = s[6];
        let h = s[7];
        for (let i = 0; i < 64; i += 8) {
            h += ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
            h = (h + (g ^ (e & (f ^ g))) + K[i] + w[i]) | 0;
            d = (d + h) | 0;
            h += ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
            h = (h + ((a & b) | (c & (a | b)))) | 0;
            g += ((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7));
            g = (g + (f ^ (d & (e ^ f))) + K[i + 1] + w[i + 1]) | 0;
            c = (c + g) | 0;
            g += ((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10));
            g = (g + ((h & a) | (b & (h | a)))) | 0;
            f += ((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7));
            f = (f + (e ^ (c & (d ^ e))) + K[i + 2] + w[i + 2]) | 0;
            b = (b + f) | 0;
            f += ((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10));
            f = (f + ((g & h) | (a & (g | h)))) | 0;
            e += ((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7));
            e = (e + (d ^ (b & (c ^ d))) + K[i + 3] + w[i + 3]) | 0;
            a = (a + e) | 0;
            e += ((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10));
            e = (e + ((f & g) | (h & (f | g)))) | 0;
            d += ((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7));
            d = (d + (c ^ (a & (b ^ c))) + K[i + 4] + w[i + 4]) | 0;
            h = (h + d) | 0;
            d += ((e >>> 2) | (e << 30)) ^ ((e >>> 13) | (e << 19)) ^ ((e >>> 22) | (e << 10));
            d = (d + ((e & f) | (g & (e | f)))) | 0;
            c += ((h >>> 6) | (h << 26)) ^ ((h >>> 11) | (h << 21)) ^ ((h >>> 25) | (h << 7));
            c = (c + (b ^ (h & (a ^ b))) + K[i + 5] + w[i + 5]) | 0;
            g = (g + c) | 0;
            c += ((d >>> 2) | (d << 30)) ^ ((d >>> 13) | (d << 19)) ^ ((d >>> 22) | (d << 10));
            c = (c + ((d & e) | (f & (d | e)))) | 0;
            b += ((g >>> 6) | (g << 26)) ^ ((g >>> 11) | (g << 21)) ^ ((g >>> 25) | (g << 7));
            b = (b + (a ^ (g & (h ^ a))) + K[i + 6] + w[i + 6]) | 0;
            f = (f + b) | 0;
            b += ((c >>> 2) | (c << 30)) ^ ((c >>> 13) | (c << 19)) ^ ((c >>> 22) | (c << 10));
            b = (b + ((c & d) | (e & (c | d)))) | 0;
            a += ((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7));
            a = (a + (h ^ (f & (g ^ h))) + K[i + 7] + w[i + 7]) | 0;
            e = (e + a) | 0;
            a += ((b >>> 2) | (b << 30)) ^ ((b >>> 13) | (b << 19)) ^ ((b >>> 22) | (b << 10));
            a = (a + ((b & c) | (d & (b | c)))) | 0;
        }
        s[0] += a;
        s[1] += b;
        s[2] += c;
        s[3] += d;
        s[4] += e;
        s[5] += f;
        s[6] += g;
        s[7] += h;
    }
}

export function sha256(...parts) {
    const hash = new Sha256();
    parts.forEach((part) => hash.update(part));
    return hash.digest();
}
