// JSON of one spelling: names in the order of their bytes, no white space, one LF at the end. docs/record.md section 10.

import { isEqual, textOf, utf8 } from "./bytes.js";
import { malformed, require } from "./refused.js";

const SHORT = { "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\" };

function spellString(text) {
    require(!text.includes("\0"), "a NUL");
    const escaped = text.replace(/[\0-\x1f"\\]/g, (char) =>
        SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
    return `"${escaped}"`;
}

const DEPTH_MAX = 8; // ours have 3

// Strings, null, arrays and objects with ASCII names: all that our files have.
function spell(value, depth = 0) {
    require(depth <= DEPTH_MAX, "too deep");
    if (value === null) {
        return "null";
    }
    if (typeof value === "string") {
        return spellString(value);
    }
    if (Array.isArray(value)) {
        return `[${value.map((one) => spell(one, depth + 1)).join(",")}]`;
    }
    require(typeof value === "object", "a number or a truth value where there is none");
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${spellString(name)}:${spell(value[name], depth + 1)}`).join(",")}}`;
}

export function parseCanonical(bytes, what) {
    let value;
    const text = textOf(bytes, what);
    try {
        value = JSON.parse(text);
    } catch {
        throw malformed(`${what}: not JSON`);
    }
    require(isEqual(utf8(`${spell(value)}\n`), bytes), `${what}: not in its one spelling`);
    return value;
}

// The values of exactly these members.
export function members(object, names, what) {
    require(object !== null && typeof object === "object" && !Array.isArray(object), `${what}: no object`);
    const found = Object.keys(object).sort().join();
    require(found === [...names].sort().join(), `${what}: other members than ${names}`);
    return names.map((name) => object[name]);
}
