// Which logs and witnesses are known, and which sets of witnesses are enough. C2SP tlog-policy. A policy is named by the
// SHA-256 of its bytes.
//
// The names, witnesses and groups, are nodes of a forest: each is a member of at most one group and is defined before
// it, so whatever is computed from members is computed in one pass in the order of the file.

import { bytesOfOctets, decimal, hex, isEqual, octetsOf } from "./bytes.js";
import { parseCheckpoint } from "./checkpoint.js";
import { isLineOf, parseNote, verifyLine } from "./note.js";
import { BAD_SIGNATURE, Refused, UNKNOWN_LOG, malformed, require } from "./refused.js";
import { sha256 } from "./sha256.js";
import { COSIGNATURE, ED25519, ML_DSA_44, parseVkey } from "./vkey.js";

export const POLICY_BYTES_MAX = 1024 * 1024;
const KEYS_MAX = 256;
const NAME_BYTES_MAX = 255;

function parseKey(items, types) {
    require(items.length >= 1, "the vkey is missing");
    const vkey = parseVkey(items[0]);
    require(types.includes(vkey.type), `key ${vkey.name} is of another type than is needed here`);
    require(items.length <= 2 && !items[1]?.startsWith("#"), "one item too many (a comment stands on a line of its own)");
    return { vkey, url: items[1] ?? null };
}

function requireNewKey(known, vkey) {
    for (const one of known) {
        require(!isEqual(one.vkey.key, vkey.key), `the public key of ${vkey.name} is listed already`);
        require(one.vkey.id !== vkey.id || one.vkey.name !== vkey.name, `another key ${vkey.name} has this ID`);
    }
    require(known.length < KEYS_MAX, `over ${KEYS_MAX} keys`);
}

// A name for people: UTF-8 where it is that.
function readable(octets) {
    try {
        return new TextDecoder("utf-8", { fatal: true }).decode(bytesOfOctets(octets));
    } catch {
        return octets;
    }
}

class Parser {
    constructor() {
        this.logs = [];
        this.witnesses = [];
        this.nodes = []; // { name, text, witness or null, members, needed, parent }
        this.byName = new Map();
        this.groupCount = 0;
        this.quorum = undefined; // a node; null: none
    }

    takeLine(text) {
        require(!/[\0-\x08\n-\x1f\x7f]/.test(text), "a byte that is not allowed");
        const items = text.split(/[ \t]+/).filter((item) => item !== "");
        if (items.length === 0 || items[0].startsWith("#")) {
            return;
        }
        const take = {
            log: this.takeLog,
            witness: this.takeWitness,
            group: this.takeGroup,
            quorum: this.takeQuorum,
        };
        require(Object.hasOwn(take, items[0]), "not log, witness, group or quorum");
        take[items[0]].call(this, items.slice(1));
    }

    takeLog(items) {
        const { vkey, url } = parseKey(items, [ED25519, ML_DSA_44]);
        requireNewKey(this.logs, vkey);
        this.logs.push({ vkey, url });
    }

    newNode(name) {
        require(name !== undefined, "the name is missing");
        require(name.length <= NAME_BYTES_MAX && name !== "none" && !this.byName.has(name), `not a new name: ${name}`);
        return { name, text: readable(name), witness: null, members: [], needed: 0, parent: null };
    }

    add(node) {
        this.byName.set(node.name, this.nodes.length);
        this.nodes.push(node);
    }

    takeWitness([name, ...items]) {
        const node = this.newNode(name);
        const { vkey, url } = parseKey(items, [COSIGNATURE, ML_DSA_44]);
        requireNewKey(this.witnesses, vkey);
        node.witness = this.witnesses.length;
        this.witnesses.push({ name: node.text, vkey, url });
        this.add(node);
    }

    takeGroup([name, rule, ...members]) {
        const node = this.newNode(name);
        require(rule !== undefined, "all, any or a number is missing");
        require(this.groupCount < KEYS_MAX, `over ${KEYS_MAX} groups`);
        for (const member of members) {
            const i = this.byName.get(member);
            require(i !== undefined && this.nodes[i].parent === null, `"${member}" cannot be a member`);
            this.nodes[i].parent = this.nodes.length;
            node.members.push(i);
        }
        require(members.length > 0, "a group has at least one member");
        const fixed = new Map([["all", members.length], ["any", 1]]);
        node.needed = fixed.get(rule) ?? Number(decimal(rule, BigInt(KEYS_MAX), "the number needed"));
        require(node.needed >= 1 && node.needed <= members.length, "the number needed is 1 to the number of members");
        this.groupCount++;
        this.add(node);
    }

    takeQuorum([name, ...rest]) {
        require(this.quorum === undefined, "a second quorum line");
        require(name !== undefined && rest.length === 0, "quorum has one name");
        require(name === "none" || this.byName.has(name), "quorum: not a name defined on an earlier line");
        this.quorum = name === "none" ? null : this.byName.get(name);
    }
}

// The sum of the `count` smallest.
function cheapest(costs, count) {
    return costs.sort((a, b) => a - b).slice(0, count).reduce((sum, cost) => sum + cost, 0);
}

export class Policy {
    constructor(bytes) {
        require(bytes.length <= POLICY_BYTES_MAX, "policy: too large");
        const parser = new Parser();
        const lines = octetsOf(bytes).split("\n");
        require(lines.pop() === "", "policy: no newline at the end");
        lines.forEach((line, i) => {
            try {
                parser.takeLine(line);
            } catch (error) {
                throw malformed(`policy: line ${i + 1}: ${error.message}`);
            }
        });
        require(parser.quorum !== undefined, "policy: no quorum line");
        this.logs = parser.logs;
        this.witnesses = parser.witnesses;
        this.nodes = parser.nodes;
        this.quorum = parser.quorum;
        this.sha256 = hex(sha256(bytes));
    }

    hasQuorum() {
        return this.quorum !== null;
    }

    // `present`: a Set of positions of witnesses.
    isMet(present) {
        if (this.quorum === null) {
            return true;
        }
        const met = [];
        for (const node of this.nodes) {
            const count = node.members.filter((i) => met[i]).length;
            met.push(node.witness === null ? count >= node.needed : present.has(node.witness));
        }
        return met[this.quorum];
    }

    // For each node the name of the witness that all keys below it are of; null when they are of several.
    holders() {
        const holders = [];
        for (const node of this.nodes) {
            const names = new Set(node.members.map((i) => holders[i]));
            const [one] = names;
            holders.push(node.witness !== null ? this.witnesses[node.witness].vkey.name : names.size === 1 ? one : null);
        }
        return holders;
    }

    isBelowQuorum(i) {
        while (i !== null && i !== this.quorum) {
            i = this.nodes[i].parent;
        }
        return i === this.quorum;
    }

    // Costs of each node from those of its members, in witnesses. One may have several keys: a node of its keys alone is
    // one place, and costs 1; a set of places has as many times fewer witnesses as one may have places.
    costOfQuorum(countOf) {
        if (this.quorum === null) {
            return 0;
        }
        const holders = this.holders();
        const costs = [];
        const places = new Map();
        this.nodes.forEach((node, i) => {
            const ofMembers = node.members.map((member) => costs[member]);
            costs.push(holders[i] === null ? cheapest(ofMembers, countOf(node)) : 1);
            const isTop = i === this.quorum || (node.parent !== null && holders[node.parent] === null);
            if (holders[i] !== null && isTop && this.isBelowQuorum(i)) {
                places.set(holders[i], (places.get(holders[i]) ?? 0) + 1);
            }
        });
        return Math.ceil(costs[this.quorum] / Math.max(1, ...places.values()));
    }

    // f: the fewest evil witnesses that let two quorums share no honest member.
    f() {
        return this.costOfQuorum((node) => Math.max(0, 2 * node.needed - node.members.length));
    }

    mayBeDown() {
        if (this.quorum === null) {
            return this.witnesses.length;
        }
        return this.costOfQuorum((node) => node.members.length - node.needed + 1) - 1;
    }

    // "2 of (w1, w2, w3)"
    rule(i = this.quorum) {
        if (i === null) {
            return "none";
        }
        const node = this.nodes[i];
        if (node.witness !== null) {
            return node.text;
        }
        return `${node.needed} of (${node.members.map((member) => this.rule(member)).join(", ")})`;
    }

    // A quorum stays one when witnesses are added, so the earliest that make one end it, or the latest. 0n: none is met.
    timeOfQuorum(times, fromLatest) {
        if (this.quorum === null) {
            return 0n;
        }
        const order = [...times].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0));
        const present = new Set();
        for (const [witness, time] of fromLatest ? order.reverse() : order) {
            present.add(witness);
            if (this.isMet(present)) {
                return time;
            }
        }
        return 0n;
    }

    // Reads a checkpoint note: { checkpoint, log, times: Map(witness, time), badSignatures, isMet, noLaterThan,
    // sequencedAfter, unchecked: witnesses whose kind of signature cannot be checked here, mayBeMet: with these }.
    async openCheckpoint(bytes) {
        const note = parseNote(bytes);
        const checkpoint = parseCheckpoint(note.text);
        const log = await this.findLog(note, checkpoint.origin);
        const { times, bad, unchecked } = await this.verifyWitnesses(note);
        return {
            note,
            checkpoint,
            log,
            times,
            badSignatures: bad,
            unchecked,
            isMet: this.isMet(new Set(times.keys())),
            mayBeMet: this.isMet(new Set([...times.keys(), ...unchecked])),
            noLaterThan: this.timeOfQuorum(times, false),
            sequencedAfter: this.timeOfQuorum(times, true),
        };
    }

    async findLog(note, origin) {
        const logs = this.logs.filter((log) => log.vkey.name === origin);
        if (logs.length === 0) {
            throw new Refused(UNKNOWN_LOG, `no log of the policy has the origin ${origin}`);
        }
        const found = new Set();
        let isUnchecked = false;
        for (const line of note.lines) {
            const log = logs.find((one) => isLineOf(line, one.vkey));
            if (log?.vkey.type === ML_DSA_44) {
                isUnchecked = true;
                continue;
            }
            if (log === undefined || found.has(log)) {
                continue;
            }
            if ((await verifyLine(log.vkey, note.text, line.signature)) === null) {
                throw new Refused(BAD_SIGNATURE, "the log's signature does not verify");
            }
            found.add(log);
        }
        if (isUnchecked && found.size === 0) {
            throw new Refused(BAD_SIGNATURE, "signed by a key of the log that cannot be checked here", true);
        }
        require(found.size > 0, "not signed by the log's key", BAD_SIGNATURE);
        return [...found][0];
    }

    async verifyWitnesses(note) {
        const times = new Map();
        const unchecked = new Set();
        let bad = 0;
        for (const line of note.lines) {
            const witness = this.witnesses.findIndex((one) => isLineOf(line, one.vkey));
            if (witness < 0 || times.has(witness)) {
                continue;
            }
            if (this.witnesses[witness].vkey.type === ML_DSA_44) {
                unchecked.add(witness);
                continue;
            }
            const time = await verifyLine(this.witnesses[witness].vkey, note.text, line.signature);
            if (time === null) {
                bad++;
            } else {
                times.set(witness, time);
            }
        }
        return { times, bad, unchecked };
    }
}
