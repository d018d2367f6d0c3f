// The second tab: the latest checkpoint, an entry with its proof, and how the log grew. All of it is verified here.

import * as base64 from "../core/base64.js";
import { decimal, hex } from "../core/bytes.js";
import { SIZE_MAX } from "../core/checkpoint.js";
import { leafHash } from "../core/merkle.js";
import { parseOperation } from "../core/operation.js";
import { Policy } from "../core/policy.js";
import { parseTlogProof, verifyTlogProof } from "../core/tlog_proof.js";
import { LogReader } from "../fetch/log_reader.js";
import { byId, el, facts, svg } from "./dom.js";
import { bothTimes, utc } from "./time.js";

const POINTS = 24; // of the chart, each of them one request

function mono(text) {
    return el("code", {}, text);
}

function textOf(entry) {
    try {
        const text = new TextDecoder("utf-8", { fatal: true }).decode(entry.subarray(0, 2048));
        return /[\0-\x08\x0b-\x1f]/.test(text) ? null : text;
    } catch {
        return null;
    }
}

export class ExploreView {
    constructor(page) {
        this.page = page;
        this.origin = null;
        this.latest = null; // { note, verdict, error }
        this.entry = null; // { index, entry, proof, error }
        this.points = []; // [{ time, size }]
    }

    log() {
        const logs = this.page.logs().filter(({ tiles }) => tiles !== null);
        return logs.find(({ origin }) => origin === this.origin) ?? logs[0];
    }

    policy() {
        const bytes = this.page.policyFor(this.log().origin);
        return bytes === null ? null : new Policy(bytes);
    }

    async open() {
        if (this.log() !== undefined && this.latest === null) {
            await this.fetchLatest();
        }
        this.render();
    }

    async fetchLatest() {
        const reader = new LogReader(this.log().tiles);
        try {
            const note = await reader.fetchCheckpoint();
            const verdict = note === null ? null : await this.policy()?.openCheckpoint(note.bytes);
            this.latest = { note, verdict: verdict ?? null, error: null };
        } catch (error) {
            this.latest = { note: null, verdict: null, error: error.message };
        }
        this.render();
        await this.fetchGrowth(reader);
        this.render();
    }

    // A few of the published notes, by size, from the first to the last.
    async fetchGrowth(reader) {
        const { verdict } = this.latest;
        const points = new Map();
        if (verdict === null) {
            return;
        }
        const size = verdict.checkpoint.size;
        try {
            for (let i = 0n; i < BigInt(POINTS); i++) {
                const bytes = await reader.fetchArchived((size * i) / BigInt(POINTS));
                if (bytes === null) {
                    break;
                }
                const found = await this.policy().openCheckpoint(bytes);
                points.set(Number(found.checkpoint.size), Number(found.noLaterThan));
            }
        } catch {
            // What there is so far is drawn.
        }
        points.set(Number(size), Number(verdict.noLaterThan));
        this.points = [...points].map(([count, time]) => ({ time, size: count }))
            .filter(({ time }) => time > 0).sort((a, b) => a.size - b.size);
    }

    async fetchEntry(text) {
        const words = this.page.words();
        const reader = new LogReader(this.log().tiles);
        try {
            const index = decimal(text.trim(), SIZE_MAX - 1n, words.index);
            const note = await reader.fetchCheckpoint();
            const found = note === null ? null : await reader.fetchEntry(index, note);
            if (found === null) {
                this.entry = { index, error: words.entryNone(String(note?.checkpoint.size ?? 0)) };
            } else {
                const proof = parseTlogProof(found.proof);
                const verdict = await verifyTlogProof(proof, this.policy(), leafHash(found.entry));
                this.entry = { index, entry: found.entry, proof, verdict, error: null };
            }
        } catch (error) {
            this.entry = { index: null, error: `${words.unverified} ${error.message}` };
        }
        this.render();
        byId("entry").focus();
    }

    // -- what is seen --

    render() {
        const words = this.page.words();
        const place = byId("explore");
        if (this.log() === undefined) {
            place.replaceChildren(el("p", {}, words.noLogHere));
            return;
        }
        const hadIndex = byId("entry-index")?.value ?? "";
        place.replaceChildren(
            this.renderChoice(words),
            el("section", { "aria-labelledby": "latest-title" }, el("h2", { id: "latest-title" }, words.latest), this.renderLatest(words),
                el("button", { type: "button", id: "again", onclick: () => this.fetchLatest() }, words.refresh)),
            el("section", { "aria-labelledby": "entry-title" }, el("h2", { id: "entry-title" }, words.entryTitle), this.renderForm(words, hadIndex),
                el("div", { id: "entry", tabindex: "-1" }, this.renderEntry(words))),
            el("section", { "aria-labelledby": "growth-title" }, el("h2", { id: "growth-title" }, words.growth), this.renderGrowth(words)));
    }

    renderChoice(words) {
        const logs = this.page.logs().filter(({ tiles }) => tiles !== null);
        if (logs.length < 2) {
            return el("p", { class: "hint" }, `${words.chooseLog}: ${this.log().origin}`);
        }
        const options = logs.map(({ origin }) => el("option", { value: origin, selected: origin === this.log().origin }, origin));
        const choose = ({ target }) => {
            this.origin = target.value;
            this.latest = this.entry = null;
            this.points = [];
            this.open();
        };
        return el("p", {}, el("label", { for: "log" }, words.chooseLog), " ", el("select", { id: "log", onchange: choose }, ...options));
    }

    renderLatest(words) {
        if (this.latest === null) {
            return el("p", {}, words.looking);
        }
        const { verdict, error } = this.latest;
        if (verdict === null) {
            return el("p", {}, error === null ? words.policyNone : `${words.unverified} ${error}`);
        }
        const policy = this.policy();
        const lines = policy.witnesses.map(({ name }, i) =>
            verdict.times.has(i) ? words.witnessAt(name, bothTimes(Number(verdict.times.get(i)), words)) : words.witnessNot(name));
        return facts([
            [words.origin, verdict.checkpoint.origin],
            [words.size, String(verdict.checkpoint.size)],
            [words.root, mono(base64.encode(verdict.checkpoint.root))],
            [words.witnesses, ...(lines.length === 0 ? [words.none] : lines)],
            [words.quorum, `${policy.rule()}: ${verdict.isMet ? words.good : words.bad}`],
        ]);
    }

    renderForm(words, value) {
        const submit = (event) => {
            event.preventDefault();
            this.fetchEntry(byId("entry-index").value);
        };
        return el("form", { onsubmit: submit, class: "row" },
            el("label", { for: "entry-index" }, words.entryIndex),
            el("input", { id: "entry-index", inputmode: "numeric", autocomplete: "off", size: 12, value }),
            el("button", { type: "submit", id: "entry-show" }, words.entryShow));
    }

    renderEntry(words) {
        if (this.entry === null) {
            return "";
        }
        if (this.entry.error !== null) {
            return el("p", { class: "bad-text" }, this.entry.error);
        }
        const { entry, proof, index } = this.entry;
        const text = textOf(entry);
        return el("div", {},
            facts([
                [words.index, String(index)],
                [words.leafHash, mono(hex(leafHash(entry)))],
                ["", words.entryBytes(entry.length)],
                ...this.headerRows(entry, words),
                [words.proofPath, ...(proof.hashes.length === 0 ? [words.none] : proof.hashes.map((one) => mono(base64.encode(one))))],
            ].filter(([term]) => term !== "")),
            el("p", { class: "good-text" }, `✓ ${words.entryVerified}`),
            this.renderPath(),
            text === null ? null : el("pre", { tabindex: "0", "aria-label": words.entryBytes(entry.length) }, text));
    }

    headerRows(entry, words) {
        let operation;
        try {
            operation = parseOperation(entry);
        } catch {
            return [[words.header, words.notOperation]];
        }
        const { kind, minute, court, entryTag, submitter, references = [] } = operation;
        return [
            [words.kind, operation.isSealed ? `${kind.name} (${words.sealed})` : kind.name],
            minute === undefined ? null : [words.minute, bothTimes(Number(minute) * 60, words)],
            court === undefined ? null : [words.court, mono(hex(court))],
            entryTag === undefined ? null : [words.entryTag, mono(hex(entryTag))],
            submitter === undefined ? null : [words.submitterId, mono(hex(submitter))],
            references.length === 0 ? null : [words.references, ...references.map((one) => mono(hex(one)))],
            operation.isVouched ? [words.submitter, words.vouched] : null,
        ].filter((row) => row !== null);
    }

    // The way up: at each step the node that is known, and its sibling from the proof.
    renderPath() {
        const { proof } = this.entry;
        const steps = proof.hashes.length;
        const width = 40 * (steps + 1) + 20;
        const shapes = [];
        for (let i = 0; i <= steps; i++) {
            const x = 20 + 40 * i;
            const y = 90 - (80 * i) / Math.max(1, steps);
            if (i < steps) {
                const nextY = 90 - (80 * (i + 1)) / steps;
                shapes.push(svg("line", { x1: x, y1: y, x2: x + 40, y2: nextY, class: "way" }));
                shapes.push(svg("line", { x1: x + 28, y1: y + 14, x2: x + 40, y2: nextY, class: "side" }));
                shapes.push(svg("rect", { x: x + 23, y: y + 9, width: 10, height: 10, class: "sibling" }));
            }
            shapes.push(svg("circle", { cx: x, cy: y, r: i === 0 || i === steps ? 7 : 5, class: "node" }));
        }
        return svg("svg", { viewBox: `0 0 ${width} 115`, class: "path", "aria-hidden": "true" }, ...shapes);
    }

    renderGrowth(words) {
        if (this.points.length < 2) {
            return el("p", { class: "hint" }, words.growthNone);
        }
        const [first, last] = [this.points[0], this.points.at(-1)];
        const span = Math.max(1, last.time - first.time);
        const at = ({ time, size }) => `${(10 + (580 * (time - first.time)) / span).toFixed(1)},${(130 - (120 * size) / last.size).toFixed(1)}`;
        const title = words.growthAxis(utc(first.time), utc(last.time), last.size);
        return el("figure", {},
            svg("svg", { viewBox: "0 0 600 140", class: "growth", role: "img", "aria-label": title },
                svg("line", { x1: 10, y1: 130, x2: 590, y2: 130, class: "axis" }),
                svg("polyline", { points: this.points.map(at).join(" "), class: "line" }),
                ...this.points.map((point) => svg("circle", { cx: at(point).split(",")[0], cy: at(point).split(",")[1], r: 3, class: "node" }))),
            el("figcaption", {}, title, ". ", words.growthSource));
    }
}
