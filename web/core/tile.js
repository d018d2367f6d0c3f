// C2SP tlog-tiles: where hashes and entries lie, and an inclusion proof out of whole tiles. Nothing that a tile says is
// believed: the proof that is made of them has to lead to a signed root.

import { nodeHash, treeRoot } from "./merkle.js";
import { require } from "./refused.js";

const WIDTH = 256n;
const HASH_BYTES = 32;

// "x001/x234/067"
function indexPath(index) {
    const digits = String(index).padStart(3, "0");
    const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/.{3}/g);
    return groups.map((group, i) => (i + 1 < groups.length ? `x${group}` : group)).join("/");
}

function withWidth(path, index, countAtLevel) {
    const left = countAtLevel - index * WIDTH;
    return left >= WIDTH ? path : `${path}.p/${left}`;
}

// The tile of `level` (0: leaf hashes) with number `index`, in a tree of `size`.
export function tilePath(level, index, size) {
    return withWidth(`tile/${level}/${indexPath(index)}`, index, size >> BigInt(8 * level));
}

export function bundlePath(index, size) {
    return withWidth(`tile/entries/${indexPath(index)}`, index, size);
}

// How many hashes or entries such a file has.
export function widthOf(level, index, size) {
    const left = (size >> BigInt(8 * level)) - index * WIDTH;
    return Number(left > WIDTH ? WIDTH : left);
}

export function parseTile(bytes, width) {
    require(bytes.length === width * HASH_BYTES, "a tile of another length");
    return Array.from({ length: width }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

// Exactly `width` entries, each behind its 16-bit length.
export function parseBundle(bytes, width) {
    const entries = [];
    let at = 0;
    while (at < bytes.length) {
        require(at + 2 <= bytes.length, "a bundle that ends inside a length");
        const length = (bytes[at] << 8) | bytes[at + 1];
        require(at + 2 + length <= bytes.length, "a bundle that ends inside an entry");
        entries.push(bytes.subarray(at + 2, at + 2 + length));
        at += 2 + length;
    }
    require(entries.length === width, "a bundle of another number of entries");
    return entries;
}

// The tiles that an inclusion proof of `index` in the tree of `size` is made of: [{ level, index }], the whole way up. The
// same for each entry of a bundle, but for none of the entry itself.
export function tilesForProof(index, size) {
    const tiles = [];
    for (let level = 0; size >> BigInt(8 * level) > 0n; level++) {
        const last = ((size >> BigInt(8 * level)) - 1n) / WIDTH;
        const wanted = index >> BigInt(8 * (level + 1));
        if (wanted <= last) {
            tiles.push({ level, index: wanted });
        }
        if (last !== wanted) {
            tiles.push({ level, index: last });
        }
    }
    return tiles;
}

class Nodes {
    constructor(tiles) {
        this.tiles = tiles; // Map("level/index", hashes)
    }

    // The hash of a complete node: 1 << level entries from index << level on.
    get(level, index) {
        const tileLevel = Math.floor(level / 8);
        const above = BigInt(level % 8);
        const first = index << above;
        const hashes = this.tiles.get(`${tileLevel}/${first / WIDTH}`);
        const from = Number(first % WIDTH);
        const count = 1 << Number(above);
        require(hashes !== undefined && from + count <= hashes.length, "a tile that is missing");
        return treeRoot(hashes.slice(from, from + count));
    }

    // The hash of entries [from, to): `from` is a multiple of the smallest power of two that spans them.
    range(from, to) {
        const count = to - from;
        let level = 0;
        while (1n << BigInt(level + 1) <= count) {
            level++;
        }
        const left = this.get(level, from >> BigInt(level));
        const middle = from + (1n << BigInt(level));
        return middle === to ? left : nodeHash(left, this.range(middle, to));
    }
}

// The hashes of an inclusion proof, leaf sibling first. `tiles`: Map("level/index", hashes).
export function inclusionProof(index, size, tiles) {
    const nodes = new Nodes(tiles);
    const hashes = [];
    let from = 0n;
    let to = size;
    while (to - from > 1n) {
        let half = 1n;
        while (half * 2n < to - from) {
            half *= 2n;
        }
        if (index < from + half) {
            hashes.unshift(nodes.range(from + half, to));
            to = from + half;
        } else {
            hashes.unshift(nodes.range(from, from + half));
            from += half;
        }
    }
    return hashes;
}
