// The first tab: files and codes in, one answer out.

import { parseCode, logId } from "../core/code.js";
import { NO_NETWORK, NOT_DEPOSITED, NOTHING_GIVEN, judge } from "../core/judge.js";
import { alertsOf } from "../fetch/context.js";
import { Unreachable } from "../fetch/get.js";
import { LogReader } from "../fetch/log_reader.js";
import { renderAnswer } from "./answer.js";
import { byId, el } from "./dom.js";
import { Cancelled, hashFile } from "./hasher.js";
import { openCertificate, sortFile } from "./intake.js";
import { canScan, hasCamera, scanCamera, scanPicture } from "./scan.js";

const nothing = { verdict: null, facts: null, why: "" };

export class VerifyView {
    constructor(page) {
        this.page = page; // { words, context, offeredPolicy(origin or log id) }
        this.clear();
        this.run = 0;
    }

    clear() {
        this.given = new Map(); // kind: { name, file, bytes } of each kind one
        this.digests = null; // of the document
        this.code = null;
        this.shown = null;
        this.hashing?.cancel();
    }

    // -- what goes in --

    async addFiles(files) {
        for (const file of files) {
            const sorted = await sortFile(file);
            this.given.set(sorted.kind, { name: file.name, file, bytes: sorted.bytes });
            if (sorted.kind === "document") {
                this.digests = null;
            }
        }
        await this.refresh();
    }

    async useCode(text) {
        const words = this.page.words();
        try {
            this.code = parseCode(text);
        } catch {
            this.say(words.codeBad);
            byId("code").setAttribute("aria-invalid", "true");
            byId("code").focus();
            return;
        }
        byId("code").removeAttribute("aria-invalid");
        this.given.set("code", { name: `${this.code.logId}-${this.code.index}`, file: null, bytes: null });
        await this.refresh();
    }

    async remove(kind) {
        this.given.delete(kind);
        if (kind === "document") {
            this.hashing?.cancel();
            this.digests = null;
        }
        if (kind === "code") {
            this.code = null;
            byId("code").value = "";
        }
        await this.refresh();
        byId("files").focus();
    }

    async startAgain() {
        this.clear();
        byId("code").value = "";
        await this.refresh();
        byId("files").focus();
    }

    // -- the answer --

    async refresh() {
        const run = ++this.run;
        this.render();
        try {
            const isHashed = await this.hashDocument();
            if (run !== this.run || !isHashed) {
                return;
            }
            const shown = await this.answer();
            if (run === this.run) {
                this.show(shown);
            }
        } catch (error) {
            if (!(error instanceof Cancelled)) {
                throw error;
            }
            if (run === this.run) {
                this.say(this.page.words().cancelled);
            }
        }
    }

    async hashDocument() {
        const document = this.given.get("document");
        if (document === undefined || this.digests !== null) {
            return true;
        }
        const words = this.page.words();
        this.hashing?.cancel();
        this.hashing = hashFile(document.file, (done, total) => this.progress(document.name, done, total));
        this.progress(document.name, 0, document.file.size);
        byId("status").replaceChildren(words.hashing(document.name));
        try {
            this.digests = await this.hashing.promise;
        } finally {
            byId("progress").replaceChildren();
        }
        return true;
    }

    progress(name, done, total) {
        const words = this.page.words();
        const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
        const bar = byId("progress").querySelector("progress");
        if (bar !== null) {
            bar.value = percent;
            byId("percent").textContent = words.percent(percent);
            return;
        }
        byId("progress").replaceChildren(
            el("label", { for: "bar" }, words.hashing(name)),
            el("progress", { id: "bar", max: 100, value: percent }),
            el("span", { id: "percent" }, words.percent(percent)),
            el("button", { type: "button", id: "cancel", onclick: () => this.hashing.cancel() }, words.cancel));
    }

    // The question, out of what was given; null while there is nothing to ask.
    async question() {
        const certificate = this.given.get("certificate");
        const question = { document: this.digests, proof: this.given.get("proof")?.bytes ?? null, entry: null, salt: null,
            anchor: this.given.get("anchor")?.bytes ?? null, isOfCertificate: false };
        if (certificate !== undefined) {
            const inside = openCertificate(certificate.bytes);
            question.proof = inside.proof;
            question.entry = inside.entry;
            question.salt = inside.salt;
            question.anchor ??= inside.anchor;
            if (question.document === null) {
                question.isOfCertificate = true;
                question.document = { sha256: inside.documentSha256, leafHash: inside.leafHash, size: 0 };
            }
        }
        return question;
    }

    policy(id) {
        return this.given.get("policy")?.bytes ?? this.page.offeredPolicy(id);
    }

    async answer() {
        if (this.code !== null) {
            return this.answerCode();
        }
        if (!["proof", "certificate"].some((kind) => this.given.has(kind))) {
            const isEmpty = this.given.size === 0 || (this.given.size === 1 && this.given.has("policy"));
            return isEmpty ? null : this.shownOf({ ...nothing, code: NOTHING_GIVEN });
        }
        let question;
        try {
            question = await this.question();
        } catch (error) {
            return this.shownOf({ ...nothing, code: "CR-502", verdict: error.verdict ?? null, why: error.message });
        }
        const answer = await this.judge({ ...question, policy: this.policy(null) });
        return this.shownOf(answer, question.isOfCertificate);
    }

    // Judged twice where a monitor knows of alerts: the origin is only known once the proof was read.
    async judge(question) {
        const answer = await judge(question);
        const alerts = answer.facts === null ? null : alertsOf(this.page.context(), answer.facts.origin);
        return alerts === null || alerts.length === 0 ? answer : judge({ ...question, alerts });
    }

    async answerCode() {
        const log = this.page.logs().find((one) => logId(one.origin) === this.code.logId);
        if (this.page.context() === null) {
            return this.shownOf({ ...nothing, code: NO_NETWORK });
        }
        if (log === undefined || log.tiles === null) {
            return this.shownOf({ ...nothing, code: NOT_DEPOSITED });
        }
        byId("status").replaceChildren(this.page.words().looking);
        try {
            const reader = new LogReader(log.tiles);
            const note = await reader.fetchCheckpoint();
            const found = note === null ? null : await reader.fetchEntry(this.code.index, note);
            if (found === null) {
                return this.shownOf({ ...nothing, code: NOT_DEPOSITED });
            }
            const question = { document: this.digests, ...found, salt: this.code.salt, policy: this.policy(log.origin) };
            return this.shownOf(await this.judge(question));
        } catch (error) {
            if (error instanceof Unreachable) {
                return this.shownOf({ ...nothing, code: NO_NETWORK, why: error.message });
            }
            // What the log served is not what it should be: nothing of it is shown.
            return this.shownOf({ ...nothing, code: "CR-502", verdict: error.verdict ?? null, why: error.message });
        }
    }

    shownOf(answer, isOfCertificate = false) {
        return {
            answer,
            documentName: this.given.get("document")?.name ?? null,
            documentSha256: this.digests?.sha256 ?? null,
            isOfCertificate,
            alerts: answer.facts === null ? null : alertsOf(this.page.context(), answer.facts.origin),
        };
    }

    // -- what is seen --

    say(text) {
        byId("status").replaceChildren(text);
    }

    show(shown) {
        this.shown = shown;
        byId("status").replaceChildren();
        this.renderAnswer();
        if (shown !== null) {
            byId("answer").focus();
        }
    }

    renderAnswer() {
        const words = this.page.words();
        const place = byId("answer");
        place.hidden = this.shown === null;
        place.replaceChildren();
        if (this.shown !== null) {
            place.append(el("h2", {}, words.answerTitle), renderAnswer(this.shown, words));
        }
    }

    renderGiven() {
        const words = this.page.words();
        const place = byId("given");
        place.hidden = this.given.size === 0;
        const items = [...this.given].map(([kind, { name }]) => el("li", {},
            el("span", { class: "kind" }, words.kinds[kind]), " ", el("span", { class: "name" }, name), " ",
            el("button", { type: "button", "aria-label": words.remove(name), onclick: () => this.remove(kind) }, "×")));
        place.replaceChildren(el("h3", {}, words.given), el("ul", {}, ...items),
            el("button", { type: "button", id: "start-again", onclick: () => this.startAgain() }, words.startAgain));
    }

    render() {
        this.shown = null;
        byId("progress").replaceChildren();
        byId("status").replaceChildren();
        this.renderGiven();
        this.page.renderPolicy();
        this.renderAnswer();
    }

    // In another language: the same answer.
    translate() {
        this.renderGiven();
        this.renderAnswer();
        this.renderScanning();
    }

    // -- scanning --

    renderScanning() {
        const words = this.page.words();
        if (!canScan()) {
            byId("scan").replaceChildren(el("p", { class: "hint" }, words.scanHow));
            return;
        }
        const picture = el("input", { type: "file", accept: "image/*", id: "picture", class: "unseen",
            onchange: ({ target }) => this.scanPicture(target.files[0]) });
        byId("scan").replaceChildren(
            hasCamera() ? el("button", { type: "button", onclick: () => this.scanCamera() }, words.scanCamera) : "",
            el("label", { class: "button", for: "picture" }, words.scanPicture), picture);
    }

    async scanPicture(file) {
        const text = file === undefined ? null : await scanPicture(file).catch(() => null);
        await this.take(text);
    }

    async scanCamera() {
        const words = this.page.words();
        const stop = new AbortController();
        const video = el("video", { playsinline: true, muted: true, "aria-label": words.scanCamera });
        byId("scan").replaceChildren(video,
            el("button", { type: "button", onclick: () => stop.abort() }, words.scanStop));
        try {
            await this.take(await scanCamera(video, stop.signal));
        } catch {
            this.say(words.scanFailed);
        } finally {
            this.renderScanning();
        }
    }

    async take(text) {
        if (text === null) {
            this.say(this.page.words().scanNothing);
            return;
        }
        byId("code").value = text;
        await this.useCode(text);
    }
}
