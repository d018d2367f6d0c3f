// A log's files, C2SP tlog-tiles. Whole bundles and whole tiles only: which of the 256 entries is meant, the server is
// never told. Nothing is believed: what is made of them has to lead to a signed root.

import * as base64 from "../core/base64.js";
import { concat, utf8 } from "../core/bytes.js";
import { parseCheckpoint } from "../core/checkpoint.js";
import { parseNote } from "../core/note.js";
import { bundlePath, inclusionProof, parseBundle, parseTile, tilePath, tilesForProof, widthOf } from "../core/tile.js";
import { get } from "./get.js";

const NOTE_BYTES_MAX = 1024 * 1024;
const BUNDLE_BYTES_MAX = 256 * (2 + 65535);
const TILE_BYTES = 256 * 32;

export class LogReader {
    // `prefix`: "/" or "/logs/HASH/", as the context says.
    constructor(prefix) {
        this.prefix = prefix;
    }

    // The latest note, unverified: { bytes, checkpoint }; null when there is none.
    async fetchCheckpoint() {
        const bytes = await get(`${this.prefix}checkpoint`, NOTE_BYTES_MAX);
        return bytes === null ? null : { bytes, checkpoint: parseCheckpoint(parseNote(bytes).text) };
    }

    async fetchTile({ level, index }, size) {
        const width = widthOf(level, index, size);
        const bytes = await get(this.prefix + tilePath(level, index, size), TILE_BYTES);
        return bytes === null ? null : parseTile(bytes, width);
    }

    // { entry, proof: bytes of a tlog-proof } for an index below the latest size; null for what the log does not serve.
    async fetchEntry(index, note) {
        const { size } = note.checkpoint;
        if (index >= size) {
            return null;
        }
        const number = index / 256n;
        const bundle = await get(this.prefix + bundlePath(number, size), BUNDLE_BYTES_MAX);
        if (bundle === null) {
            return null;
        }
        const entry = parseBundle(bundle, widthOf(0, number, size))[Number(index % 256n)];
        const wanted = tilesForProof(index, size);
        const tiles = new Map();
        for (const place of wanted) {
            const hashes = await this.fetchTile(place, size);
            if (hashes === null) {
                return null;
            }
            tiles.set(`${place.level}/${place.index}`, hashes);
        }
        const hashes = inclusionProof(index, size, tiles).map((hash) => `${base64.encode(hash)}\n`);
        const head = utf8(`c2sp.org/tlog-proof@v1\nindex ${index}\n${hashes.join("")}\n`);
        return { entry, proof: concat(head, note.bytes) };
    }

    // The first archived note of a tree larger than `size`, unverified; null where there is no archive.
    async fetchArchived(size) {
        return get(`${this.prefix}archive/after/${size}`, NOTE_BYTES_MAX);
    }
}
