// The one answer to what a person asks of the page. docs/verify-page.md has the codes.

import { checkAnchor } from "./anchor.js";
import { isEqual } from "./bytes.js";
import { depositNumber, logId } from "./code.js";
import { isDisclosure, verifyDisclosure } from "./disclosure.js";
import { documentCommitment } from "./document.js";
import * as ed25519 from "./ed25519.js";
import { leafHash } from "./merkle.js";
import { parseOperation } from "./operation.js";
import { Policy } from "./policy.js";
import * as refused from "./refused.js";
import { parseTlogProof, verifyTlogProof } from "./tlog_proof.js";

export const VERIFIED = "CR-100";
export const UNDER_ALERT = "CR-101";
export const ON_LOGS_WORD = "CR-102";
export const NOT_COMPARED = "CR-103"; // an entry is there; the document was not given
export const NOT_DEPOSITED = "CR-200"; // or the code is wrong: one answer
export const DOES_NOT_MATCH = "CR-300";
export const TOO_FEW_WITNESSES = "CR-400";
export const BAD_LOG_SIGNATURE = "CR-500";
export const UNKNOWN_LOG = "CR-501";
export const PROOF_MALFORMED = "CR-502";
export const POLICY_MALFORMED = "CR-503";
export const CANNOT_CHECK_KEY = "CR-504";
export const CANNOT_CHECK_HERE = "CR-600";
export const NO_NETWORK = "CR-601";
export const NOTHING_GIVEN = "CR-602";
export const NO_POLICY = "CR-603";

const CODES = {
    [refused.MISMATCH]: DOES_NOT_MATCH,
    [refused.NO_QUORUM]: TOO_FEW_WITNESSES,
    [refused.BAD_SIGNATURE]: BAD_LOG_SIGNATURE,
    [refused.UNKNOWN_LOG]: UNKNOWN_LOG,
    [refused.MALFORMED]: PROOF_MALFORMED,
};

function timeOrNull(seconds) {
    return seconds === 0n ? null : Number(seconds);
}

function witnessesOf(policy, verdict) {
    return policy.witnesses.map(({ name, vkey }, i) => ({
        name,
        keyName: vkey.name,
        keyId: vkey.id,
        time: verdict.times.has(i) ? Number(verdict.times.get(i)) : null,
        isUnchecked: verdict.unchecked.has(i),
    }));
}

function factsOf(policy, proof, verdict) {
    const { origin, size, root } = verdict.checkpoint;
    return {
        origin,
        logId: logId(origin),
        depositNumber: depositNumber(origin, proof.index),
        index: proof.index,
        size,
        root,
        path: proof.hashes,
        logKey: `${verdict.log.vkey.name}+${verdict.log.vkey.id}`,
        witnesses: witnessesOf(policy, verdict),
        badSignatures: verdict.badSignatures,
        quorum: policy.rule(),
        isMet: verdict.isMet,
        f: policy.f(),
        mayBeDown: policy.mayBeDown(),
        policySha256: policy.sha256,
        noLaterThan: timeOrNull(verdict.noLaterThan),
        sequencedAfter: null,
    };
}

function verdictOf(policy, isMet) {
    if (!isMet) {
        return refused.NO_QUORUM;
    }
    return policy.hasQuorum() ? refused.PASS : refused.PASS_ALONE;
}

function codeOf(policy, verdict, question) {
    if (!verdict.isMet) {
        return verdict.mayBeMet ? CANNOT_CHECK_KEY : TOO_FEW_WITNESSES;
    }
    if (question.alerts?.length > 0) {
        return UNDER_ALERT;
    }
    return policy.hasQuorum() ? VERIFIED : ON_LOGS_WORD;
}

// A proof, and the document or entry it is of.
async function judgeProof(question, policy) {
    const proof = parseTlogProof(question.proof);
    const leaf = question.document.leafHash;
    refused.require(leaf !== null, "the file is larger than any entry", refused.MISMATCH);
    const verdict = await verifyTlogProof(proof, policy, leaf);
    return { proof, verdict, facts: factsOf(policy, proof, verdict) };
}

async function judgeDisclosure(question, policy) {
    const said = await verifyDisclosure(question.proof, policy, question.document?.sha256 ?? null);
    const facts = factsOf(policy, said.proof, said.verdict);
    facts.operation = said.operation;
    facts.kind = said.kind.name;
    facts.submitter = said.submitter?.name ?? null;
    facts.isRegistrationMet = said.submitter?.verdict.isMet ?? null;
    facts.isVouched = said.operation.isVouched;
    facts.isSealed = said.operation.isSealed;
    facts.opened = said.opened;
    facts.absent = said.absent;
    facts.hidden = said.hidden;
    return { proof: said.proof, verdict: said.verdict, facts };
}

function operationOrNull(entry) {
    try {
        return parseOperation(entry);
    } catch {
        return null;
    }
}

// Whether the document is what the entry commits to, under the salt of a code.
function isDocumentOf(entry, operation, question) {
    const { document, salt } = question;
    if (salt === null) {
        return document.leafHash !== null && isEqual(document.leafHash, leafHash(entry));
    }
    if (operation?.document === undefined) {
        return false;
    }
    return isEqual(documentCommitment(salt, document.sha256), operation.document);
}

// An entry that was looked up by a code, with a proof made from the log's tiles.
async function judgeEntry(question, policy) {
    const proof = parseTlogProof(question.proof);
    const verdict = await verifyTlogProof(proof, policy, leafHash(question.entry));
    const facts = factsOf(policy, proof, verdict);
    facts.operation = operationOrNull(question.entry);
    facts.kind = facts.operation?.kind.name ?? null;
    return { proof, verdict, facts };
}

// What there is to verify; null: nothing to compare it with was given.
async function findOut(question, policy) {
    if (question.entry !== null) {
        return judgeEntry(question, policy);
    }
    if (isDisclosure(question.proof)) {
        return judgeDisclosure(question, policy);
    }
    return question.document === null ? null : judgeProof(question, policy);
}

// The answer when an entry is not what the document commits to.
function otherDocument(question) {
    if (question.isOfCertificate !== undefined) {
        const why = "the document is another than the certificate's entry commits to";
        return { code: DOES_NOT_MATCH, verdict: refused.MISMATCH, facts: null, why };
    }
    // Nothing of the entry: whoever has a wrong code learns what it learns of an index that is not there.
    return { code: NOT_DEPOSITED, verdict: null, facts: null, why: "" };
}

async function judgeWith(question, policy) {
    const found = await findOut(question, policy);
    if (found === null) {
        return { code: NOTHING_GIVEN, verdict: null, facts: null, why: "no document" };
    }
    const { proof, verdict, facts } = found;
    if (question.anchor) {
        const anchor = await checkAnchor(question.anchor, policy, proof, verdict);
        facts.sequencedAfter = Number(anchor.time);
        facts.anchorIndex = anchor.index;
    }
    facts.isDocumentCompared = question.document !== null;
    const answer = { verdict: verdictOf(policy, verdict.isMet), facts, code: codeOf(policy, verdict, question), why: "" };
    if (question.entry === null) {
        return answer;
    }
    if (question.document === null) {
        return verdict.isMet ? { ...answer, code: NOT_COMPARED } : answer;
    }
    return isDocumentOf(question.entry, facts.operation, question) ? answer : otherDocument(question);
}

function parsePolicy(bytes) {
    try {
        return { policy: new Policy(bytes), why: "" };
    } catch (error) {
        return { policy: null, why: error.message };
    }
}

// question: {
//     document: { sha256, leafHash (null: larger than an entry), size } or null,
//     proof: bytes of a tlog-proof or a disclosure, or null,
//     entry: bytes of an entry that was looked up, or null; proof is then a tlog-proof of it,
//     salt: bytes or null, anchor: bytes or null, policy: bytes or null,
//     isOfCertificate: left out, but for what a certificate brings (true: its document's digests as well),
//     alerts: open alerts of the log, or null when nobody looked }
// Answers { code, verdict (the first words of `courtroll verify`, or null), facts or null, why: for an expert }.
export async function judge(question) {
    const nothing = { verdict: null, facts: null, why: "" };
    if (!ed25519.isAvailable() || !(await ed25519.isSupported())) {
        return { ...nothing, code: CANNOT_CHECK_HERE };
    }
    if (question.proof === null) {
        return { ...nothing, code: NOTHING_GIVEN, why: "no proof" };
    }
    if (question.policy === null) {
        return { ...nothing, code: NO_POLICY };
    }
    const { policy, why } = parsePolicy(question.policy);
    if (policy === null) {
        return { ...nothing, code: POLICY_MALFORMED, why };
    }
    try {
        return await judgeWith({ entry: null, salt: null, anchor: null, alerts: null, ...question }, policy);
    } catch (error) {
        if (!(error instanceof refused.Refused)) {
            throw error;
        }
        const code = error.isUnchecked ? CANNOT_CHECK_KEY : CODES[error.verdict];
        return { ...nothing, code, verdict: error.verdict, why: error.message };
    }
}
