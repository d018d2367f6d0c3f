// RFC 6962 trees: hashes of leaves and nodes, and what an inclusion proof leads to (RFC 9162 section 2.1.3.2).

import { MISMATCH, require } from "./refused.js";
import { sha256 } from "./sha256.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const PROOF_HASHES_MAX = 63;

export function leafHash(entry) {
    return sha256(LEAF, entry);
}

export function nodeHash(left, right) {
    return sha256(NODE, left, right);
}

export function emptyRoot() {
    return sha256();
}

// The root over 1 or more hashes.
export function treeRoot(hashes) {
    let level = hashes;
    // A node without a sibling rises as it is: the same tree as RFC 6962's, from below.
    while (level.length > 1) {
        const next = [];
        for (let i = 0; i < level.length; i += 2) {
            next.push(i + 1 < level.length ? nodeHash(level[i], level[i + 1]) : level[i]);
        }
        level = next;
    }
    return level[0];
}

// `index` and `size` are BigInt.
export function inclusionRoot(index, size, leaf, hashes) {
    require(index < size, "the index is beyond the tree", MISMATCH);
    let node = index;
    let last = size - 1n;
    let root = leaf;
    for (const one of hashes) {
        require(last > 0n, "the proof is too long", MISMATCH);
        if ((node & 1n) === 1n || node === last) {
            root = nodeHash(one, root);
            while ((node & 1n) === 0n && node !== 0n) {
                node >>= 1n;
                last >>= 1n;
            }
        } else {
            root = nodeHash(root, one);
        }
        node >>= 1n;
        last >>= 1n;
    }
    require(last === 0n, "the proof is too short", MISMATCH);
    return root;
}
