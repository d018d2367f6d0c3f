// The 32 fields of a record of a case: their values as bytes and as texts, one spelling each. docs/record.md section 5.

import { bigOf, concat, hex, isEqual, textOf, uint, unhex, utf8 } from "./bytes.js";
import { isCaseNumber, isCitizenId, isCourtCode, isCreditCode } from "./identifier.js";
import { kindByName, kindByNumber } from "./kind.js";
import { malformed, require } from "./refused.js";
import { FIELDS } from "./tables.js";

export const FIELD_COUNT = 32;
export const MINUTE_MAX = 4223371679n;
const VALUE_BYTES_MAX = 1024;
const INTEGER_MAX = {
    count: 2n ** 64n - 1n,
    money: 2n ** 53n,
    code: 65535n,
    date: 2932896n,
    minute: MINUTE_MAX,
    kind: 2n ** 32n - 1n,
};
const FIXED_SIZE = { tag: 16, submitter: 16, certificate: 80, digest: 32 };
const BLANK = "[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const BLANK_AT_END = new RegExp(`^${BLANK}|${BLANK}$`);
const INVISIBLE =
    /[\0-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;

export function fieldName(number) {
    return FIELDS[number][0];
}

export function fieldNumber(name) {
    return FIELDS.findIndex(([one]) => one === name);
}

function spellingIsRight(type, text) {
    switch (type) {
        case "text":
            return text !== "" && !INVISIBLE.test(text) && !BLANK_AT_END.test(text) && text.normalize("NFC") === text;
        case "case-number":
            return isCaseNumber(text);
        case "court":
            return isCourtCode(text);
        case "credit-code":
            return isCreditCode(text);
        case "party":
            return isCitizenId(text) || isCreditCode(text);
        default:
            return false;
    }
}

function integerOfTime(text, isDate) {
    require((isDate ? /^\d{4}-\d\d-\d\d$/ : /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/).test(text), "not a time of its one spelling");
    const ms = Date.parse(isDate ? `${text}T00:00Z` : text);
    const digits = isDate ? 10 : 16;
    require(!Number.isNaN(ms) && new Date(ms).toISOString().slice(0, digits) === text.slice(0, digits), "no such time");
    require(ms >= 0, "before 1970");
    return BigInt(ms) / (isDate ? 86400000n : 60000n);
}

function integerOf(type, text) {
    if (type === "date" || type === "minute") {
        return integerOfTime(text, type === "date");
    }
    if (type === "kind") {
        const kind = kindByName(text);
        require(kind?.maybeSealed, "not a kind that may be sealed");
        return BigInt(kind.number);
    }
    require(/^(0|[1-9][0-9]{0,19})$/.test(text), "not a number of its one spelling");
    return BigInt(text);
}

function referencesOf(text) {
    const parts = text === "" ? [] : text.split(",");
    require(parts.length <= 16, "too many references");
    return concat(...parts.map((part) => unhex(part, 64, "reference")));
}

function bytesOf(type, text) {
    if (INTEGER_MAX[type] !== undefined) {
        const integer = integerOf(type, text);
        require(integer <= INTEGER_MAX[type], "out of range");
        return uint(8, integer);
    }
    if (FIXED_SIZE[type] !== undefined) {
        return unhex(text, FIXED_SIZE[type], "value");
    }
    if (type === "references") {
        return referencesOf(text);
    }
    require(type !== "none", "always absent");
    require(spellingIsRight(type, text), `no ${type} in its one spelling`);
    const bytes = utf8(text);
    require(bytes.length <= VALUE_BYTES_MAX, "too long");
    return bytes;
}

// The bytes of a value from its one text.
export function valueOf(number, text) {
    const [name, type] = FIELDS[number];
    try {
        return bytesOf(type, text);
    } catch (error) {
        throw malformed(`field ${name}: ${error.message}`);
    }
}

function textOfInteger(type, value) {
    if (type === "date") {
        return new Date(Number(value) * 86400000).toISOString().slice(0, 10);
    }
    if (type === "minute") {
        return `${new Date(Number(value) * 60000).toISOString().slice(0, 16)}Z`;
    }
    return type === "kind" ? (kindByNumber(Number(value))?.name ?? "") : String(value);
}

// The one text of a value's bytes; refuses bytes that no text has.
export function textOfValue(number, bytes) {
    const [name, type] = FIELDS[number];
    let text;
    if (INTEGER_MAX[type] !== undefined) {
        require(bytes.length === 8 && bigOf(bytes) <= INTEGER_MAX[type], `field ${name}: out of range`);
        text = textOfInteger(type, bigOf(bytes));
    } else if (FIXED_SIZE[type] !== undefined) {
        text = hex(bytes);
    } else if (type === "references") {
        text = (hex(bytes).match(/.{1,128}/g) ?? []).join(",");
    } else {
        text = textOf(bytes, `field ${name}`);
    }
    require(isEqual(valueOf(number, text), bytes), `field ${name}: not of its one spelling`);
    return text;
}
