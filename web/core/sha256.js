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

export class Sha256 {
    constructor() {
        this.state = START.slice();
        this.words = new Int32Array(16);
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
        const bits = new DataView(new ArrayBuffer(8));
        bits.setUint32(0, Math.floor(this.total / 2 ** 29));
        bits.setUint32(4, (this.total << 3) >>> 0);
        const zeros = (this.used < 56 ? 56 : 120) - this.used;
        const tail = new Uint8Array(zeros + 8);
        tail[0] = 0x80;
        tail.set(new Uint8Array(bits.buffer), zeros);
        this.update(tail);
        const out = new DataView(new ArrayBuffer(32));
        this.state.forEach((word, i) => out.setInt32(4 * i, word));
        return new Uint8Array(out.buffer);
    }

    // The schedule is kept in 16 words and goes on with the rounds: this is where all the time is spent.
    compress(bytes, at) {
        const w = this.words;
        const s = this.state;
        for (let i = 0; i < 16; i++, at += 4) {
            w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
        }
        let a = s[0] | 0;
        let b = s[1] | 0;
        let c = s[2] | 0;
        let d = s[3] | 0;
        let e = s[4] | 0;
        let f = s[5] | 0;
        let g = s[6] | 0;
        let h = s[7] | 0;
        for (let i = 0; i < 64; i++) {
            let word = w[i & 15];
            if (i >= 16) {
                const x = w[(i + 1) & 15];
                const y = w[(i + 14) & 15];
                const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
                const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
                word = (word + s0 + w[(i + 9) & 15] + s1) | 0;
                w[i & 15] = word;
            }
            const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
            const t1 = (h + s1 + (g ^ (e & (f ^ g))) + K[i] + word) | 0;
            const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
            const t2 = (s0 + ((a & b) | (c & (a | b)))) | 0;
            h = g;
            g = f;
            f = e;
            e = (d + t1) | 0;
            d = c;
            c = b;
            b = a;
            a = (t1 + t2) | 0;
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
