// What the verifier says no with: the first words of `courtroll verify`, and the reason for an expert.

export class Refused extends Error {
    constructor(verdict, why, isUnchecked = false) {
        super(why);
        this.verdict = verdict;
        this.isUnchecked = isUnchecked; // what could say yes is of a kind that cannot be checked here
    }
}

export const MALFORMED = "MALFORMED";
export const MISMATCH = "MISMATCH";
export const BAD_SIGNATURE = "BAD SIGNATURE";
export const UNKNOWN_LOG = "UNKNOWN LOG";
export const NO_QUORUM = "NO QUORUM";
export const PASS = "PASS";
export const PASS_ALONE = "PASS on the log's word alone";

export function malformed(why) {
    return new Refused(MALFORMED, why);
}

export function require(claim, why, verdict = MALFORMED) {
    if (!claim) {
        throw new Refused(verdict, why);
    }
}
