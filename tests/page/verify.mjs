// The verification page in a browser: what a person gives it, and what it answers.
//
//     node verify.mjs FIXTURES.json
//
// test_verify_page.py makes the fixtures and reads what is printed: a line of JSON for each claim, {"claim", "error"}.
// NODE_PATH's first directory has playwright-core and axe-core.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const fixtures = JSON.parse(readFileSync(process.argv[2], "utf8"));
const require = createRequire(`${fixtures.modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { english } = await import(new URL("../../web/page/words_en.js", import.meta.url));
const { chinese } = await import(new URL("../../web/page/words_zh.js", import.meta.url));

const LANGUAGES = { en: { words: english, locale: "en-US" }, zh: { words: chinese, locale: "zh-CN" } };
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 360, height: 740 }, narrow: { width: 320, height: 640 } };
const { files, urls, codes } = fixtures;

mkdirSync(fixtures.screenshots, { recursive: true });

const browser = await chromium.launch({
    executablePath: fixtures.chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP insecure.example 127.0.0.1, MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
});

// A visit: a page of its own whose requests and errors are watched.
class Visit {
    static async open(url, { language = "en", size = "desktop", scheme = "light", fragment = "" } = {}) {
        const visit = new Visit();
        visit.words = LANGUAGES[language].words;
        visit.context = await browser.newContext({ locale: LANGUAGES[language].locale, viewport: SIZES[size], colorScheme: scheme,
            acceptDownloads: true });
        visit.page = await visit.context.newPage();
        visit.errors = [];
        visit.requests = [];
        visit.page.on("pageerror", (error) => visit.errors.push(String(error)));
        visit.page.on("console", (message) => {
            if (["error", "warning"].includes(message.type())) {
                visit.errors.push(message.text());
            }
        });
        visit.page.on("request", (request) => visit.requests.push(request));
        visit.origin = new URL(url).origin;
        const isFile = url.startsWith("file:");
        await visit.page.goto((isFile ? url : `${url}/verify`) + fragment);
        await visit.page.locator("body[data-ready=true]").waitFor();
        return visit;
    }

    async give(...names) {
        await this.page.setInputFiles("#files", names.map((name) => files[name]));
    }

    async code(text) {
        await this.page.fill("#code", text);
        await this.page.press("#code", "Enter");
    }

    // Waits for the answer and compares it, in the language of the visit.
    async says(code, verdict = undefined) {
        await this.page.locator("#answer .code", { hasText: code }).waitFor({ timeout: fixtures.timeoutMs });
        const text = await this.page.locator("#answer").innerText();
        const title = await this.page.locator("#verdict").innerText();
        assert.equal(title, this.words.answers[code][0], text);
        assert.ok(text.includes(code), text);
        assert.equal(await this.page.evaluate(() => document.activeElement.id), "answer");
        if (verdict !== undefined) {
            assert.match(await this.page.locator("#answer").evaluate((answer) => answer.textContent), verdict);
        }
        return text;
    }

    async close({ mayFail = false } = {}) {
        const origins = new Set(this.requests.map((request) => request.url()).filter((url) => !/^(blob|data):/.test(url))
            .map((url) => new URL(url).origin));
        assert.deepEqual([...origins].filter((origin) => origin !== this.origin), []);
        for (const request of this.requests) {
            const all = `${request.url()} ${JSON.stringify(await request.allHeaders())}`;
            for (const secret of fixtures.secrets) {
                assert.ok(!all.includes(secret), all);
            }
            assert.equal(request.method(), "GET");
        }
        if (!mayFail) {
            assert.deepEqual(this.errors, []);
        }
        await this.context.close();
    }

    async picture(name) {
        await this.page.screenshot({ path: `${fixtures.screenshots}/${name}.png`, fullPage: true });
    }

    async isAccessible() {
        await this.page.evaluate(axe);
        const { violations } = await this.page.evaluate(() => window.axe.run());
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 120))]), []);
    }
}

const claims = [];

function claim(name, run) {
    claims.push([name, run]);
}

// -- every answer, in both languages --

const ANSWERS = [
    ["CR-100", "log", ["order", "proof"], null],
    ["CR-100", "log", ["empty", "emptyProof"], null],
    ["CR-100", "log", ["disclosure", "paper"], null],
    ["CR-100", "log", ["large", "largeDisclosure"], null],
    ["CR-100", "witness", ["order", "proof", "policy"], null],
    ["CR-100", "log", ["paper"], "paper"],
    ["CR-100", "monitor", ["order"], "order"],
    ["CR-101", "alerted", ["order", "proof"], null],
    ["CR-102", "log", ["order", "proof", "nonePolicy"], null],
    ["CR-103", "log", [], "paper"],
    ["CR-200", "log", ["paper"], "wrongSalt"],
    ["CR-200", "log", ["paper"], "absent"],
    ["CR-200", "log", ["order"], "paper"],
    ["CR-200", "log", [], "absent"],
    ["CR-300", "log", ["flipped", "proof"], null],
    ["CR-300", "log", ["large", "proof"], null],
    ["CR-300", "log", ["order", "disclosure"], null],
    ["CR-400", "log", ["order", "fewProof"], null],
    ["CR-500", "log", ["order", "forgedProof"], null],
    ["CR-501", "log", ["order", "proof", "otherPolicy"], null],
    ["CR-502", "log", ["order", "brokenProof"], null],
    ["CR-602", "log", ["order"], null],
    ["CR-603", "witness", ["order", "proof"], null],
];

for (const language of ["en", "zh"]) {
    claim(`every answer, ${language}`, async () => {
        for (const [code, server, names, given] of ANSWERS) {
            const visit = await Visit.open(urls[server], { language });
            try {
                if (names.length > 0) {
                    await visit.give(...names);
                }
                if (given !== null) {
                    await visit.code(codes[given]);
                }
                await visit.page.locator("#answer .code", { hasText: code }).waitFor({ timeout: fixtures.timeoutMs });
                await visit.says(code);
                await visit.close();
            } catch (error) {
                throw new Error(`${code} at ${server} with ${names} ${given}: ${error.message} ${visit.errors}`);
            }
        }
    });
}

claim("absent, wrong and of another document look the same, whatever was asked", async () => {
    const texts = [];
    for (const given of ["wrongSalt", "absent"]) {
        const visit = await Visit.open(urls.log);
        await visit.give("paper");
        await visit.code(codes[given]);
        texts.push(await visit.says("CR-200"));
        await visit.close();
    }
    assert.equal(texts[0], texts[1]);
});

claim("times, witnesses, the policy's number and what is not said are there", async () => {
    const visit = await Visit.open(urls.log);
    await visit.give("order", "proof");
    const text = await visit.says("CR-100");
    for (const part of [fixtures.policySha256, fixtures.depositNumber, "2026-09-21 22:13:22 Beijing time (2026-09-21 14:13:22 UTC)",
        "w1: signed at", "w3: signed at", english.notSaidItems[0], english.fOf(1), english.alertsUnchecked]) {
        assert.ok(text.includes(part), `${part} in ${text}`);
    }
    await visit.close();
});

claim("who served the page is said, and a log is not asked about itself unsaid", async () => {
    for (const [server, isSelf] of [["log", true], ["witness", false], ["monitor", false]]) {
        const visit = await Visit.open(urls[server]);
        assert.equal(await visit.page.locator("#self-notice").count(), isSelf ? 1 : 0);
        assert.ok((await visit.page.locator("#server").innerText()).includes(`the ${server} `));
        await visit.close();
    }
});

claim("only a monitor that looked says that there is no alert", async () => {
    for (const [server, text] of [["log", english.alertsUnchecked], ["monitor", english.alertsNone], ["blind", english.alertsUnchecked],
        ["boastful", english.alertsUnchecked]]) {
        const visit = await Visit.open(urls[server]);
        await visit.give("order", "proof", "policy");
        assert.ok((await visit.says("CR-100")).includes(text), server);
        await visit.close();
    }
});

claim("a log that serves other bytes never gets a word of verification", async () => {
    for (const server of fixtures.evil) {
        const visit = await Visit.open(urls[server]);
        await visit.give("paper");
        await visit.code(codes.paper);
        await visit.page.locator("#verdict").waitFor();
        const text = await visit.page.locator("#answer").innerText();
        assert.doesNotMatch(text, /CR-10/, `${server}: ${text}`);
        await visit.close({ mayFail: true });
    }
});

claim("with the network unplugged a proof file is enough, and a code is not", async () => {
    const visit = await Visit.open(urls.log);
    await visit.context.setOffline(true);
    await visit.give("order", "proof");
    await visit.says("CR-100");
    await visit.code(codes.paper);
    await visit.page.locator("#answer .code", { hasText: "CR-601" }).waitFor();
    await visit.says("CR-601");
    await visit.close({ mayFail: true });
});

claim("opened as a file it works from proof, policy and document", async () => {
    for (const language of ["en", "zh"]) {
        const visit = await Visit.open(fixtures.pageFile, { language });
        await visit.give("order", "proof");
        await visit.says("CR-603");
        await visit.give("policy");
        await visit.page.locator("#answer .code", { hasText: "CR-100" }).waitFor();
        await visit.says("CR-100");
        await visit.code(codes.paper);
        await visit.page.locator("#answer .code", { hasText: "CR-601" }).waitFor();
        assert.deepEqual(visit.errors, []);
        await visit.context.close();
    }
});

claim("where the origin is not secure it says so", async () => {
    for (const language of ["en", "zh"]) {
        const visit = await Visit.open(urls.insecure, { language });
        await visit.says("CR-600");
        await visit.give("order", "proof");
        await visit.page.locator("#given li").nth(1).waitFor();
        await visit.says("CR-600");
        await visit.close();
    }
});

claim("a code in the address is used, taken out of it, and sent to nobody", async () => {
    const visit = await Visit.open(urls.log, { fragment: `#${codes.paper}` });
    await visit.says("CR-103");
    assert.equal(await visit.page.evaluate(() => location.href), `${urls.log}/verify`);
    assert.equal(await visit.page.evaluate(() => history.length), 2);
    await visit.give("paper");
    await visit.page.locator("#answer .code", { hasText: "CR-100" }).waitFor();
    await visit.close();
});

claim("what is no code is said so, and the field is marked", async () => {
    const visit = await Visit.open(urls.log);
    await visit.code("c1.not.a.code");
    await visit.page.locator("#code[aria-invalid=true]").waitFor();
    assert.equal(await visit.page.locator("#status").innerText(), english.codeBad);
    await visit.close();
});

claim("a certificate brings its proof, and the document is compared when it is there", async () => {
    const visit = await Visit.open(urls.log);
    await visit.give("certificate");
    assert.ok((await visit.says("CR-100")).includes(english.checkedCertificate));
    await visit.give("order");
    await visit.page.getByText(english.checkedDocument("order.txt")).waitFor();
    await visit.says("CR-100");
    await visit.give("flipped");
    await visit.page.locator("#answer .code", { hasText: "CR-300" }).waitFor();
    await visit.close();
});

claim("hashing shows how far it is and can be cancelled", async () => {
    const visit = await Visit.open(urls.log);
    await visit.give("large", "largeDisclosure");
    await visit.page.locator("#cancel").click();
    await visit.page.getByText(english.cancelled).waitFor();
    assert.equal(await visit.page.locator("#verdict").count(), 0);
    await visit.close();
});

claim("by keyboard alone", async () => {
    const visit = await Visit.open(urls.log);
    const { keyboard } = visit.page;
    const reached = [];
    for (let i = 0; i < 14; i++) {
        await keyboard.press("Tab");
        reached.push(await visit.page.evaluate(() => document.activeElement.id || document.activeElement.className));
    }
    for (const id of ["skip", "language", "tab-verify", "files", "code"]) {
        assert.ok(reached.includes(id), `${id} in ${reached}`);
    }
    await visit.page.locator("#tab-verify").focus();
    await keyboard.press("ArrowRight");
    await visit.page.locator("#panel-explore").waitFor();
    await keyboard.press("ArrowLeft");
    await visit.page.locator("#code").focus();
    await keyboard.type(codes.paper);
    await keyboard.press("Enter");
    await visit.says("CR-103");
    await visit.close();
});

claim("the answer can be saved as text", async () => {
    const visit = await Visit.open(urls.log);
    await visit.give("order", "proof");
    await visit.says("CR-100");
    const [download] = await Promise.all([visit.page.waitForEvent("download"), visit.page.getByText(english.save).click()]);
    const text = readFileSync(await download.path(), "utf8");
    assert.ok(text.includes(fixtures.policySha256) && text.includes("CR-100") && text.includes(english.notSaidItems[0]));
    await visit.close();
});

claim("the explorer: checkpoint, entry, header, path, growth", async () => {
    const visit = await Visit.open(urls.log);
    await visit.page.click("#tab-explore");
    await visit.page.getByText(fixtures.root).waitFor();
    await visit.page.locator(".growth").waitFor();
    await visit.page.fill("#entry-index", String(fixtures.recordIndex));
    await visit.page.press("#entry-index", "Enter");
    await visit.page.getByText(english.entryVerified).waitFor();
    const text = await visit.page.locator("#entry").innerText();
    assert.ok(text.includes("FREEZE") && text.includes(english.minute), text);
    await visit.page.fill("#entry-index", "999999");
    await visit.page.press("#entry-index", "Enter");
    await visit.page.getByText(english.entryNone(fixtures.size)).waitFor();
    await visit.close();
});

claim("an evil log's entry is not shown as verified", async () => {
    for (const server of fixtures.evil.filter((name) => name !== "evilNote")) {
        const visit = await Visit.open(urls[server]);
        await visit.page.click("#tab-explore");
        await visit.page.getByText(fixtures.root).waitFor();
        await visit.page.fill("#entry-index", String(fixtures.recordIndex));
        await visit.page.press("#entry-index", "Enter");
        await visit.page.locator("#entry .bad-text").waitFor();
        await visit.close({ mayFail: true });
    }
});

claim("no violation of accessibility, in both languages, light and dark, on all sizes", async () => {
    for (const [language, size, scheme] of [["en", "desktop", "light"], ["zh", "phone", "dark"], ["zh", "desktop", "light"],
        ["en", "narrow", "dark"]]) {
        const visit = await Visit.open(urls.log, { language, size, scheme });
        await visit.isAccessible();
        await visit.picture(`verify-start-${language}-${size}-${scheme}`);
        for (const [names, code] of [[["order", "proof"], "CR-100"], [["flipped"], "CR-300"]]) {
            await visit.give(...names);
            await visit.page.locator("#answer .code", { hasText: code }).waitFor();
            await visit.isAccessible();
            await visit.picture(`verify-${code}-${language}-${size}-${scheme}`);
        }
        const width = await visit.page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= SIZES[size].width, `${width} on ${size}`);
        await visit.page.click("#tab-explore");
        await visit.page.locator(".growth").waitFor();
        await visit.page.fill("#entry-index", String(fixtures.recordIndex));
        await visit.page.press("#entry-index", "Enter");
        await visit.page.locator("#entry .good-text").waitFor();
        await visit.isAccessible();
        await visit.picture(`explore-${language}-${size}-${scheme}`);
        await visit.close();
    }
});

claim("both languages have the same words", async () => {
    const shape = (value) => (typeof value === "object" ? Object.entries(value).map(([name, one]) => [name, shape(one)]) : typeof value);
    assert.deepEqual(shape(chinese), shape(english));
});

const only = process.argv[3];
let failures = 0;
for (const [name, run] of claims) {
    if (only !== undefined && !name.includes(only)) {
        continue;
    }
    const began = Date.now();
    let error = null;
    try {
        await run();
    } catch (thrown) {
        error = thrown.stack;
        failures++;
    }
    console.log(JSON.stringify({ claim: name, error, ms: Date.now() - began }));
}
await browser.close();
process.exit(failures === 0 ? 0 : 1);
