// The answer, for a person first and for an expert below.

import * as base64 from "../core/base64.js";
import { hex } from "../core/bytes.js";
import { el, facts, saveFile } from "./dom.js";
import { bothTimes } from "./time.js";

const GOOD = ["CR-100"];
const CAUTION = ["CR-101", "CR-102", "CR-103"];
const INCOMPLETE = ["CR-600", "CR-601", "CR-602", "CR-603", "CR-504"];

export function toneOf(code) {
    if (GOOD.includes(code)) {
        return "good";
    }
    if (CAUTION.includes(code)) {
        return "caution";
    }
    return INCOMPLETE.includes(code) ? "incomplete" : "bad";
}

const MARKS = { good: "✓", bad: "✕", caution: "!", incomplete: "…" };

function mono(text) {
    return el("code", {}, text);
}

function timeRow(term, seconds, lacking, words) {
    return [term, seconds === null ? lacking : `${bothTimes(seconds, words)}`];
}

function witnessLines(found, words) {
    return found.witnesses.map(({ name, time, isUnchecked }) => {
        if (isUnchecked) {
            return words.witnessUnchecked(name);
        }
        return time === null ? words.witnessNot(name) : words.witnessAt(name, bothTimes(time, words));
    });
}

function alertText(alerts, words) {
    if (alerts === null) {
        return words.alertsUnchecked;
    }
    return alerts.length === 0 ? words.alertsNone : words.alertsSome(alerts.length);
}

function checkedText(shown, words) {
    if (shown.isOfCertificate) {
        return words.checkedCertificate;
    }
    return shown.documentName === null ? words.checkedNoDocument : words.checkedDocument(shown.documentName);
}

function fieldsText(names, words) {
    return names.length === 0 ? words.none : names.join(", ");
}

function operationRows(found, words) {
    if (found.kind === null || found.kind === undefined) {
        return [];
    }
    const rows = [[words.kind, found.isSealed || found.kind === "SEALED" ? `${found.kind} (${words.sealed})` : found.kind]];
    if (found.opened !== undefined) {
        const opened = found.opened.map(({ name, text }) => `${name}: ${text}`);
        rows.push([words.submitter, found.isVouched ? words.vouched : (found.submitter ?? words.none)]);
        rows.push([words.opened, ...(opened.length === 0 ? [words.none] : opened)]);
        rows.push([words.hidden, fieldsText(found.hidden, words)]);
        rows.push([words.absent, fieldsText(found.absent, words)]);
    }
    return rows;
}

// What a person is told: terms and values.
function mainRows(shown, words) {
    const found = shown.answer.facts;
    return [
        [words.checked, checkedText(shown, words)],
        [words.deposit, mono(found.depositNumber)],
        timeRow(words.noLater, found.noLaterThan, words.noTime, words),
        timeRow(words.after, found.sequencedAfter, words.noAfter, words),
        [words.witnesses, ...witnessLines(found, words)],
        [words.quorum, found.quorum, words.fOf(found.f)],
        [words.policy, mono(found.policySha256), words.policyCompare],
        [words.alerts, alertText(shown.alerts, words)],
        ...operationRows(found, words),
    ];
}

function expertRows(shown, words) {
    const { facts: found, verdict, why, code } = shown.answer;
    const rows = [["courtroll verify", verdict ?? "–"], [words.codeOfAnswer, code]];
    if (why !== "") {
        rows.push([words.why, why]);
    }
    if (found !== null) {
        rows.push([words.origin, found.origin], [words.index, String(found.index)], [words.size, String(found.size)]);
        rows.push([words.root, mono(base64.encode(found.root))], [words.logKey, mono(found.logKey)]);
        rows.push([words.proofPath, ...(found.path.length === 0 ? [words.none] : found.path.map((one) => mono(base64.encode(one))))]);
    }
    if (shown.documentSha256 !== null) {
        rows.push(["SHA-256", mono(hex(shown.documentSha256))]);
    }
    return rows;
}

function plain(rows) {
    return rows.map(([term, ...values]) =>
        `${term}: ${values.flat().map((value) => (typeof value === "string" ? value : value.textContent)).join("; ")}`).join("\n");
}

function asText(shown, words) {
    const [title, text] = words.answers[shown.answer.code];
    const parts = [`${title} (${shown.answer.code})`, text];
    if (shown.answer.facts !== null) {
        parts.push(plain(mainRows(shown, words)));
    }
    parts.push(plain(expertRows(shown, words)), `${words.notSaid}:`, ...words.notSaidItems);
    return `${parts.join("\n\n")}\n`;
}

// shown: { answer (core/judge.js), documentName or null, documentSha256 or null, isOfCertificate, alerts }
export function renderAnswer(shown, words) {
    const { code, facts: found } = shown.answer;
    const tone = toneOf(code);
    const [title, text] = words.answers[code];
    return el("div", { class: `answer ${tone}` },
        el("p", { class: "verdict" },
            el("span", { class: "mark", "aria-hidden": "true" }, MARKS[tone]),
            el("strong", { id: "verdict" }, title),
            el("span", { class: "code" }, `${words[tone]} · ${code}`)),
        el("p", { class: "says" }, text),
        found === null ? null : facts(mainRows(shown, words)),
        found === null ? null : el("div", { class: "not-said" },
            el("h3", {}, words.notSaid), el("ul", {}, ...words.notSaidItems.map((item) => el("li", {}, item)))),
        el("details", { class: "expert" }, el("summary", {}, words.expert), facts(expertRows(shown, words))),
        el("p", { class: "actions" },
            el("button", { type: "button", onclick: () => saveFile(`${code}.txt`, "text/plain", asText(shown, words)) }, words.save),
            el("button", { type: "button", onclick: () => window.print() }, words.print)));
}
