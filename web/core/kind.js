// The kinds of operations. docs/record.md section 7.

import { KINDS } from "./tables.js";

export const SEALED = 1;
export const UNSEAL = 2;
export const SUBMITTER = 3;
export const ANCHOR = 5;
export const CASE_FILED = 16;
export const CLOSED = 104;

// By number, from 1.
export const ROLES = ["", "enf", "cas", "ser", "evi", "ins", "med", "sup"];

function kindOf([number, name, kindClass, maybeSealed, roles, must, material, may]) {
    const required = new Set(must);
    const shown = new Set([...must, ...material]);
    return {
        number,
        name,
        kindClass, // sealed, unseal, case, log or inside
        maybeSealed,
        roles: new Set(roles.includes("any") ? ROLES.slice(1) : roles),
        required,
        material: shown, // what a disclosure always opens
        allowed: new Set([...shown, ...may]),
    };
}

const all = KINDS.map(kindOf);

export function kindByNumber(number) {
    return all.find((kind) => kind.number === number);
}

export function kindByName(name) {
    return all.find((kind) => kind.name === name);
}
