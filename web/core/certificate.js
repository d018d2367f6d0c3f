// What is inside an HTML certificate: docs/certificate.md sections 1 and 2. It is data to be verified like any other; the
// page's text around it is compared by `courtroll verify`, which makes it again.

import * as base64 from "./base64.js";
import { decimal, octetsOf, textOf, unhex } from "./bytes.js";
import { require } from "./refused.js";

const BEGIN = '<pre id="certificate-data">\n';
const END = "\n</pre>\n";
const FIRST_LINE = "courtroll certificate v1\n";
const DATA_BYTES_MAX = 8388608;
const FILE_BYTES_MAX = 4 * DATA_BYTES_MAX;
const NAMES = ["template", "program", "executable", "document-sha256", "document-bytes", "document-name", "address", "about",
    "policy", "proof", "anchor", "leaf-hash", "entry", "salt", "disclosure"];

export function isCertificate(bytes) {
    return bytes.length <= FILE_BYTES_MAX && octetsOf(bytes).includes(BEGIN);
}

function dataOf(bytes) {
    require(bytes.length <= FILE_BYTES_MAX, "certificate: too large");
    const text = octetsOf(bytes);
    const from = text.indexOf(BEGIN) + BEGIN.length;
    const to = text.indexOf(END, from);
    require(from >= BEGIN.length && to >= 0 && text.indexOf(BEGIN, from) < 0, "certificate: its data are not there once");
    return base64.decode(text.slice(from, to).replaceAll("\n", ""), "certificate: data");
}

function fieldsOf(data) {
    require(data.length <= DATA_BYTES_MAX, "certificate: too large");
    const text = octetsOf(data);
    require(text.startsWith(FIRST_LINE), "certificate: another format");
    const fields = new Map();
    let last = -1;
    for (let at = FIRST_LINE.length; at < text.length;) {
        const end = text.indexOf("\n", at);
        const [name, length, ...rest] = text.slice(at, end).split(" ");
        const place = NAMES.indexOf(name);
        require(end >= 0 && rest.length === 0 && place > last, "certificate: fields out of order");
        const size = Number(decimal(length ?? "", BigInt(DATA_BYTES_MAX), "certificate: length"));
        require(size >= 1 && end + 1 + size < text.length && text[end + 1 + size] === "\n", "certificate: ends inside a field");
        fields.set(name, data.subarray(end + 1, end + 1 + size));
        last = place;
        at = end + 1 + size + 1;
    }
    return fields;
}

// { documentSha256, leafHash or null, name or null, proof, entry, salt, anchor, policy }: `proof` is a tlog-proof or a
// disclosure, the policy is what it was made with, which nobody has to trust.
export function parseCertificate(bytes) {
    const fields = fieldsOf(dataOf(bytes));
    const hexOf = (name, size) =>
        fields.has(name) ? unhex(textOf(fields.get(name), name), size, `certificate: ${name}`) : null;
    for (const name of ["template", "document-sha256", "policy", "proof"]) {
        require(fields.has(name), `certificate: no ${name}`);
    }
    require(textOf(fields.get("template"), "template") === "1", "certificate: of a template that is not known");
    const ways = ["leaf-hash", "entry", "disclosure"].filter((name) => fields.has(name));
    const isOneWay = ways.length === 1 && fields.has("entry") === fields.has("salt");
    require(isOneWay, "certificate: not one of leaf-hash, entry with salt, and disclosure");
    return {
        documentSha256: hexOf("document-sha256", 32),
        leafHash: hexOf("leaf-hash", 32),
        name: fields.has("document-name") ? textOf(fields.get("document-name"), "document-name") : null,
        proof: fields.get("disclosure") ?? fields.get("proof"),
        entry: fields.get("entry") ?? null,
        salt: hexOf("salt", 16),
        anchor: fields.get("anchor") ?? null,
        policy: fields.get("policy"),
    };
}
