// What was dropped: sorted by its first bytes, so that nobody has to know what is what.

import { isAnchor } from "../core/anchor.js";
import { octetsOf } from "../core/bytes.js";
import { isCertificate, parseCertificate } from "../core/certificate.js";
import { DISCLOSURE_BYTES_MAX } from "../core/disclosure.js";
import { POLICY_BYTES_MAX } from "../core/policy.js";
import { isTlogProof } from "../core/tlog_proof.js";

const CERTIFICATE_BYTES_MAX = 32 * 1024 * 1024;
const POLICY_LINE = /^[ \t]*(log|witness|group|quorum)[ \t]/m;

async function bytesOf(file) {
    return new Uint8Array(await file.arrayBuffer());
}

function isPolicy(bytes) {
    const text = octetsOf(bytes.subarray(0, 65536));
    const first = text.split("\n").find((line) => line.trim() !== "" && !line.trim().startsWith("#")) ?? "";
    return POLICY_LINE.test(`${first} `) && /^[ \t]*quorum[ \t]/m.test(octetsOf(bytes));
}

function isDisclosureText(bytes) {
    return bytes[0] === 0x7b && octetsOf(bytes).includes('"format":"courtroll disclosure v1"');
}

// { kind: "proof" | "anchor" | "certificate" | "policy" | "document", file, bytes or null }
export async function sortFile(file) {
    if (file.size <= CERTIFICATE_BYTES_MAX) {
        const head = new Uint8Array(await file.slice(0, 64).arrayBuffer());
        if (isTlogProof(head)) {
            const bytes = await bytesOf(file);
            return { kind: isAnchor(bytes) ? "anchor" : "proof", file, bytes };
        }
        if (head[0] === 0x7b && file.size <= DISCLOSURE_BYTES_MAX) {
            const bytes = await bytesOf(file);
            if (isDisclosureText(bytes)) {
                return { kind: "proof", file, bytes };
            }
        }
        if (octetsOf(head).toLowerCase().startsWith("<!doctype html")) {
            const bytes = await bytesOf(file);
            if (isCertificate(bytes)) {
                return { kind: "certificate", file, bytes };
            }
        }
        if (file.size <= POLICY_BYTES_MAX) {
            const bytes = await bytesOf(file);
            if (isPolicy(bytes)) {
                return { kind: "policy", file, bytes };
            }
        }
    }
    return { kind: "document", file, bytes: null };
}

// What a certificate brings, as if it had been dropped piece by piece; its policy is left in it.
export function openCertificate(bytes) {
    return parseCertificate(bytes);
}
