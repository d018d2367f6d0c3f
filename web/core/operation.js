// Operation records: their one encoding, their form, their signature. docs/record.md sections 3 and 8.

import { compare, concat, isEqual, octetsOf, uint, utf8 } from "./bytes.js";
import { parseCheckpoint } from "./checkpoint.js";
import * as ed25519 from "./ed25519.js";
import { isSmallOrder } from "./edwards.js";
import { MINUTE_MAX, fieldNumber, textOfValue } from "./field.js";
import { isIdentifierIn } from "./identifier.js";
import * as kinds from "./kind.js";
import { parseNote } from "./note.js";
import { decode, encode } from "./protobuf.js";
import { BAD_SIGNATURE, require } from "./refused.js";
import { sha256 } from "./sha256.js";

export const RECORD_BYTES_MAX = 60 * 1024;
const NOTE_BYTES_MAX = 56 * 1024;
const SIGNATURE_FIELD_BYTES = 2 + 1 + 64;
const OPENED = ["kind", "minute", "court", "submitter", "certificate"];

const REGISTRATION = {
    1: ["key", "bytes"],
    2: ["name", "bytes"],
    3: ["courts", ["bytes"]],
    4: ["roles", "packed"],
    5: ["from", "int"],
    6: ["to", "int"],
};
const OPENING = { 1: ["number", "int"], 2: ["salt", "bytes"], 3: ["value", "bytes"], 4: ["hashes", "bytes"] };
const OPERATION = {
    1: ["version", "int"],
    2: ["kind", "int"],
    3: ["minute", "int"],
    4: ["court", "bytes"],
    5: ["entryTag", "bytes"],
    6: ["document", "bytes"],
    7: ["fieldsRoot", "bytes"],
    8: ["references", ["bytes"]],
    9: ["submitter", "bytes"],
    10: ["oneTimeKey", "bytes"],
    11: ["vouched", "int"],
    12: ["registration", REGISTRATION],
    13: ["note", "bytes"],
    14: ["caseCommitment", "bytes"],
    15: ["closedCounts", "bytes"],
    16: ["openings", [OPENING]],
    17: ["signature", "bytes"],
};

export function submitterId(key) {
    return sha256(utf8("courtroll/submitter-key/v1\n"), key).subarray(0, 16);
}

export function courtTag(code) {
    return sha256(utf8("courtroll/court/v1\n"), code).subarray(0, 8);
}

// domain || u8 length || origin
export function withOrigin(domain, origin) {
    const bytes = utf8(origin);
    return concat(utf8(domain), uint(1, bytes.length), bytes);
}

function isAscending(list) {
    return list.every((one, i) => i === 0 || compare(list[i - 1], one) < 0);
}

function checkRegistration(registration, submitter) {
    const { key, name, courts = [], roles = [], from = 0n, to = 0n } = registration;
    const dns = octetsOf(name ?? new Uint8Array());
    const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
    require(dns.length <= 253 && new RegExp(`^${label}(?:\\.${label})*$`).test(dns), "registration.name: no DNS name");
    require(!/^[0-9]+$/.test(dns.split(".").at(-1)), "registration.name: an address");
    require(!isIdentifierIn(dns), "registration.name: holds what looks like a person's or company's id");
    require(key?.length === 32 && !isSmallOrder(key), "registration.key");
    require(isEqual(submitterId(key), submitter), "submitter: not the id of registration.key");
    require(courts.length <= 64 && courts.every((tag) => tag.length === 8), "registration.courts");
    require(isAscending(courts), "registration.courts: not ascending");
    require(roles.length > 0 && roles[0] >= 1n && roles.at(-1) <= 7n, "registration.roles");
    require(roles.every((role, i) => i === 0 || role > roles[i - 1]), "registration.roles: not ascending");
    require(from <= MINUTE_MAX && to <= MINUTE_MAX && (to === 0n || to > from), "registration.to");
}

function checkOpenings(openings) {
    require(openings.length === OPENED.length, "openings: must be five");
    openings.forEach((opening, i) => {
        const number = fieldNumber(OPENED[i]);
        require(opening.number === BigInt(number), "openings: of other fields");
        require(opening.salt?.length === 16 && opening.hashes?.length === 160, "openings: salt or hashes");
        textOfValue(number, opening.value ?? new Uint8Array());
    });
}

function checkSizes(message, kind) {
    const { number, kindClass } = kind;
    const isOfLog = kindClass === "log";
    const sizes = {
        court: kindClass === "case" || kindClass === "unseal" ? 8 : 0,
        entryTag: isOfLog ? 0 : 32,
        document: isOfLog ? 0 : 32,
        fieldsRoot: isOfLog ? 0 : 32,
        submitter: number === kinds.SEALED || number === kinds.ANCHOR ? 0 : 16,
        oneTimeKey: number === kinds.SEALED ? 32 : 0,
        caseCommitment: number === kinds.CASE_FILED ? 32 : 0,
        closedCounts: number === kinds.CLOSED ? 160 : 0,
        signature: message.vouched === 1n ? 0 : 64,
    };
    for (const [name, size] of Object.entries(sizes)) {
        require((message[name]?.length ?? 0) === size, `${name}: has not ${size} bytes`);
    }
}

function checkHeader(message, { number }) {
    const { vouched = 0n, minute = 0n, references = [] } = message;
    require(vouched <= 1n, "vouched: must be 1, or left out");
    require(vouched === 0n || (number !== kinds.SEALED && number !== kinds.SUBMITTER), "vouched: not of this kind");
    require(vouched === 1n || number !== kinds.ANCHOR, "vouched: an anchor is");
    require(number === kinds.SEALED ? minute === 0n : minute > 0n && minute <= MINUTE_MAX, "minute");
    const most = number === kinds.SEALED || number === kinds.ANCHOR ? 0 : 16;
    require(references.length <= most && references.every((one) => one.length === 64), "references");
}

function checkOwn(message, { number }) {
    require(message.oneTimeKey === undefined || !isSmallOrder(message.oneTimeKey), "one_time_key: of small order");
    require((message.registration !== undefined) === (number === kinds.SUBMITTER), "registration: not of this kind");
    require((message.openings !== undefined) === (number === kinds.UNSEAL), "openings: not of this kind");
    require((message.note !== undefined) === (number === kinds.ANCHOR), "note: not of this kind");
    if (number === kinds.ANCHOR) {
        require(message.note.length <= NOTE_BYTES_MAX, "note: too large");
        parseCheckpoint(parseNote(message.note).text);
    }
    if (number === kinds.SUBMITTER) {
        checkRegistration(message.registration, message.submitter);
    }
    if (number === kinds.UNSEAL) {
        require(message.references !== undefined, "references: must begin with the sealed record");
        checkOpenings(message.openings);
    }
}

// The members of a record of the one encoding and of its kind's form, with `kind`.
export function parseOperation(bytes) {
    require(bytes.length <= RECORD_BYTES_MAX, "record: too large");
    const message = decode(bytes, OPERATION);
    require(isEqual(encode(message, OPERATION), bytes), "record: not in its one encoding");
    require(message.version === 1n, "version: not 1");
    const kind = kinds.kindByNumber(Number(message.kind ?? 0n));
    require(kind !== undefined && kind.kindClass !== "inside", "kind: unknown");
    checkHeader(message, kind);
    checkSizes(message, kind);
    checkOwn(message, kind);
    return { ...message, kind, isSealed: kind.number === kinds.SEALED, isVouched: message.vouched === 1n };
}

// `key`: of the submitter, who is named by its id; a sealed record has its key in it, and so has a registration.
export async function verifyOperation(operation, bytes, origin, key) {
    const by = operation.isSealed ? operation.oneTimeKey : (operation.registration?.key ?? key);
    require(!operation.isVouched, "signature: none, the log knew the sender", BAD_SIGNATURE);
    require(operation.isSealed || isEqual(submitterId(by), operation.submitter), "not the submitter's key", BAD_SIGNATURE);
    const unsigned = bytes.subarray(0, bytes.length - SIGNATURE_FIELD_BYTES);
    const message = concat(withOrigin("courtroll/operation/v1\n", origin), unsigned);
    require(await ed25519.verify(by, message, operation.signature), "the record's signature", BAD_SIGNATURE);
}
