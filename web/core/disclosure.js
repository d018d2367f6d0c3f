// Disclosures: a record with some of its fields opened, and its proof. docs/record.md sections 10 and 11.

import * as base64 from "./base64.js";
import { bigOf, concat, isEqual, octetsOf, uint, unhex, utf8 } from "./bytes.js";
import { documentCommitment } from "./document.js";
import * as ed25519 from "./ed25519.js";
import { FIELD_COUNT, fieldName, fieldNumber, textOfValue, valueOf } from "./field.js";
import { members, parseCanonical } from "./json.js";
import { ROLES, SUBMITTER, kindByNumber } from "./kind.js";
import { leafHash, treeRoot } from "./merkle.js";
import { courtTag, parseOperation, submitterId, verifyOperation, withOrigin } from "./operation.js";
import { BAD_SIGNATURE, MALFORMED, MISMATCH, require } from "./refused.js";
import { sha256 } from "./sha256.js";
import { PROOF_FILE_BYTES_MAX, parseTlogProof, verifyTlogProof } from "./tlog_proof.js";

export const DISCLOSURE_BYTES_MAX = 2621440;
const FORMAT = "courtroll disclosure v1";
const NAMES = ["document", "fields", "format", "origin", "proof", "record", "registration", "registration_proof",
    "signing_key"];
const OF_SEALED = ["kind", "minute", "submitter", "certificate", "references"];

// By its first byte: of all that is dropped on the page only a disclosure is JSON.
export function isDisclosure(bytes) {
    return bytes[0] === 0x7b;
}

// What a checkpoint may have in its first line is for the checkpoint to say.
function isOrigin(text) {
    const size = utf8(text).length;
    return size >= 1 && size <= 255;
}

function bytesOrNull(text, what) {
    if (text === null) {
        return null;
    }
    require(typeof text === "string" && text !== "", `${what}: empty, or no string`);
    return base64.decode(text, what);
}

function proofOrNull(text, what) {
    require(text === null || (typeof text === "string" && text !== ""), `${what}: empty, or no string`);
    const bytes = text === null ? null : utf8(text);
    require(bytes === null || bytes.length <= PROOF_FILE_BYTES_MAX, `${what}: too large`);
    return bytes;
}

function parseDocument(document) {
    if (document === null) {
        return null;
    }
    const [salt, digest] = members(document, ["salt", "sha256"], "document");
    return { salt: unhex(salt, 16, "document"), digest: digest === null ? null : unhex(digest, 32, "document") };
}

// { name, digest } when hidden, else { name, salt, value: bytes or null, text }.
function parseField(field, number) {
    const name = fieldName(number);
    require(field?.name === name, `field ${name}: another in its place`);
    if ("digest" in field) {
        members(field, ["digest", "name"], `field ${name}`);
        return { name, digest: unhex(field.digest, 32, `field ${name}`) };
    }
    const [, salt, text] = members(field, ["name", "salt", "value"], `field ${name}`);
    require(text === null || typeof text === "string", `field ${name}: no string`);
    return { name, salt: unhex(salt, 16, name), value: text === null ? null : valueOf(number, text), text };
}

export function parseDisclosure(bytes) {
    require(bytes.length <= DISCLOSURE_BYTES_MAX, "disclosure: too large");
    const object = parseCanonical(bytes, "disclosure");
    const [document, fields, format, origin, proof, record, registration, registrationProof, key] =
        members(object, NAMES, "disclosure");
    require(format === FORMAT, "disclosure: another format");
    require(typeof origin === "string" && isOrigin(origin), "disclosure: origin");
    require(typeof record === "string", "disclosure: record");
    require(Array.isArray(fields) && fields.length === FIELD_COUNT, "disclosure: not 32 fields");
    require((registration === null) === (registrationProof === null), "disclosure: half a registration");
    return {
        origin,
        record: base64.decode(record, "record"),
        signingKey: unhex(key, 32, "signing_key"),
        document: parseDocument(document),
        fields: fields.map(parseField),
        proof: proofOrNull(proof, "proof"),
        registration: bytesOrNull(registration, "registration"),
        registrationProof: proofOrNull(registrationProof, "registration_proof"),
    };
}

function valueOfField(disclosure, name) {
    return disclosure.fields[fieldNumber(name)].value ?? null;
}

function digestOf(context, number, { digest, salt, value }) {
    if (digest !== undefined) {
        return digest;
    }
    const bytes = value ?? new Uint8Array();
    const head = [utf8("courtroll/field/v1\n"), context, uint(2, number), uint(1, value === null ? 0 : 1), salt];
    return sha256(...head, uint(4, bytes.length), bytes);
}

function checkCommitments(disclosure, operation) {
    const { origin, signingKey, fields, document } = disclosure;
    const context = sha256(withOrigin("courtroll/context/v1\n", origin), uint(2, 1), signingKey, operation.entryTag);
    const leaves = fields.map((field, i) => leafHash(digestOf(context, i, field)));
    require(isEqual(treeRoot(leaves), operation.fieldsRoot), "the fields are others than the record commits to", MISMATCH);
    if (document !== null) {
        const commitment = documentCommitment(document.salt, document.digest);
        require(isEqual(commitment, operation.document), "the document is another than the record commits to", MISMATCH);
    }
}

async function checkKey(disclosure, operation) {
    const { signingKey, record, origin } = disclosure;
    if (operation.isSealed) {
        require(isEqual(signingKey, operation.oneTimeKey), "not the one-time key", BAD_SIGNATURE);
    } else {
        require(isEqual(submitterId(signingKey), operation.submitter), "not the submitter's key", BAD_SIGNATURE);
    }
    if (!operation.isVouched) {
        await verifyOperation(operation, record, origin, signingKey);
    }
}

function checkOpened(disclosure, kind, header) {
    for (const { name, value, digest } of disclosure.fields) {
        if (value === null) {
            require(!kind?.required.has(name) && !header.has(name), `field ${name}: absent`);
        } else if (digest === undefined) {
            require(kind === null || kind.allowed.has(name) || header.has(name), `field ${name}: not of ${kind?.name}`);
        }
    }
}

function checkHidden(disclosure, kind, header) {
    for (const { name, digest } of disclosure.fields) {
        const isMaterial = kind?.material.has(name) || header.has(name);
        require(digest === undefined || !isMaterial, `hides ${name}, which is material`);
    }
}

function checkAgreement(disclosure, operation) {
    const court = valueOfField(disclosure, "court");
    if (court !== null && !operation.isSealed) {
        require(isEqual(courtTag(court), operation.court), "field court: not the court of the record", MISMATCH);
    }
    if (operation.isSealed) {
        const certificate = valueOfField(disclosure, "certificate");
        const submitter = valueOfField(disclosure, "submitter");
        const isHidden = certificate === null || submitter === null;
        const isHis = isHidden || isEqual(certificate.subarray(0, 16), submitter);
        require(isHis, "the certificate is another submitter's", MISMATCH);
    }
}

// null: hidden or absent, which is refused when all that can be said of the rest has been.
function kindOfSealed(disclosure) {
    const value = valueOfField(disclosure, "kind");
    return value === null ? null : kindByNumber(Number(bigOf(value)));
}

// Steps 1 to 5 of section 11.
async function checkRecord(disclosure) {
    const operation = parseOperation(disclosure.record);
    require(operation.entryTag !== undefined, "a record without fields");
    await checkKey(disclosure, operation);
    checkCommitments(disclosure, operation);
    const kind = operation.isSealed ? kindOfSealed(disclosure) : operation.kind;
    const header = new Set(operation.isSealed ? OF_SEALED : []);
    checkOpened(disclosure, kind, header);
    checkAgreement(disclosure, operation);
    checkHidden(disclosure, kind, header);
    return { operation, kind };
}

async function checkProof(policy, origin, entry, bytes) {
    const proof = parseTlogProof(bytes);
    const verdict = await verifyTlogProof(proof, policy, leafHash(entry));
    require(verdict.checkpoint.origin === origin, "the proof is of another log", MISMATCH);
    return { proof, verdict };
}

async function checkCertificate(disclosure, operation, key) {
    const certificate = valueOfField(disclosure, "certificate");
    const head = withOrigin("courtroll/one-time-key/v1\n", disclosure.origin);
    const message = concat(head, operation.oneTimeKey, operation.entryTag);
    require(isEqual(submitterId(key), certificate.subarray(0, 16)), "the certificate's submitter", BAD_SIGNATURE);
    require(await ed25519.verify(key, message, certificate.subarray(16)), "the certificate", BAD_SIGNATURE);
}

function checkScope(disclosure, operation, kind, registration) {
    const minute = operation.isSealed ? bigOf(valueOfField(disclosure, "minute")) : operation.minute;
    const named = valueOfField(disclosure, "court");
    const court = named === null ? operation.court : courtTag(named);
    const { from = 0n, to = 0n, courts = [], roles = [] } = registration;
    require(from <= minute && (to === 0n || minute < to), "registered for another time", MISMATCH);
    const hasCourt = courts.length === 0 || courts.some((tag) => court !== undefined && isEqual(tag, court));
    require(hasCourt, "registered for other courts", MISMATCH);
    const isOfRole = kind.roles.size === 0 || roles.some((role) => kind.roles.has(ROLES[Number(role)]));
    require(isOfRole, "registered for other kinds", MISMATCH);
}

// Step 7.
async function checkRegistration(policy, disclosure, operation, kind, index) {
    const entry = disclosure.registration;
    const found = parseOperation(entry);
    require(found.kind.number === SUBMITTER, "registration: another kind", MALFORMED);
    const { key, name } = found.registration;
    await verifyOperation(found, entry, disclosure.origin, key);
    const { proof, verdict } = await checkProof(policy, disclosure.origin, entry, disclosure.registrationProof);
    const submitter = operation.isSealed ? valueOfField(disclosure, "submitter") : operation.submitter;
    require(isEqual(submitterId(key), submitter), "the registration is of another submitter", MISMATCH);
    require(proof.index < index, "registered only after the record", MISMATCH);
    if (operation.isSealed) {
        await checkCertificate(disclosure, operation, key);
    }
    checkScope(disclosure, operation, kind, found.registration);
    return { name: octetsOf(name), verdict };
}

// What a disclosure says. `documentDigest`: SHA-256 of the document in hand, or null.
export async function verifyDisclosure(bytes, policy, documentDigest) {
    const disclosure = parseDisclosure(bytes);
    const { operation, kind } = await checkRecord(disclosure);
    require(disclosure.proof !== null, "it has no tlog-proof: nothing shows that the record is on a log");
    const { proof, verdict } = await checkProof(policy, disclosure.origin, disclosure.record, disclosure.proof);
    let submitter = null;
    if (disclosure.registration !== null) {
        submitter = await checkRegistration(policy, disclosure, operation, kind, proof.index);
    }
    if (documentDigest !== null) {
        const digest = disclosure.document?.digest ?? null;
        require(digest !== null && isEqual(digest, documentDigest), "the document is another, or is not opened", MISMATCH);
    }
    const shown = disclosure.fields.map((field, i) => ({ ...field, number: i }));
    return {
        proof,
        verdict: {
            ...verdict,
            isMet: verdict.isMet && (submitter?.verdict.isMet ?? true),
            mayBeMet: verdict.mayBeMet && (submitter?.verdict.mayBeMet ?? true),
        },
        operation,
        kind,
        submitter,
        document: disclosure.document,
        opened: shown.filter(({ value }) => value !== null && value !== undefined)
            .map(({ name, number, value }) => ({ name, text: textOfValue(number, value) })),
        absent: shown.filter(({ value }) => value === null).map(({ name }) => name),
        hidden: shown.filter(({ digest }) => digest !== undefined).map(({ name }) => name),
    };
}
