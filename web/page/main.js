// The page: language, who served it, the two tabs.

import { logId } from "../core/code.js";
import { sha256 } from "../core/sha256.js";
import { hex, utf8 } from "../core/bytes.js";
import { fetchContext } from "../fetch/context.js";
import { byId, el } from "./dom.js";
import { ExploreView } from "./explore_view.js";
import { VerifyView } from "./verify_view.js";
import { chinese } from "./words_zh.js";
import { english } from "./words_en.js";

class Page {
    constructor() {
        this.language = navigator.language.toLowerCase().startsWith("zh") ? chinese : english;
        this.served = null;
        this.verify = new VerifyView(this);
        this.explore = new ExploreView(this);
    }

    words() {
        return this.language;
    }

    context() {
        return this.served;
    }

    logs() {
        return this.served?.logs ?? [];
    }

    // The server's policy for an origin, or for its only log; null when it has none to offer.
    offeredPolicy(origin) {
        const logs = this.logs();
        const log = origin === null ? (logs.length === 1 ? logs[0] : undefined) : logs.find((one) => one.origin === origin);
        return log?.policy === undefined || log.policy === null ? null : utf8(log.policy);
    }

    policyFor(origin) {
        return this.verify.given.get("policy")?.bytes ?? this.offeredPolicy(origin);
    }

    // -- rendering --

    renderWords() {
        const words = this.language;
        document.documentElement.lang = words.lang;
        document.title = words.pageTitle;
        for (const element of document.querySelectorAll("[data-word]")) {
            element.textContent = words[element.dataset.word];
        }
        byId("language").textContent = words.other;
        byId("language").lang = words === english ? "zh-Hans" : "en";
    }

    renderServer() {
        const words = this.language;
        const server = this.served?.server ?? "file";
        const name = this.served?.name ?? "";
        byId("server").replaceChildren(
            el("p", {}, `${words.server}: `, el("strong", {}, words.servedBy[server](name))),
            server === "log" ? el("p", { class: "notice", id: "self-notice" }, words.selfNotice) : "",
            server === "file" ? el("p", { class: "notice", id: "offline-notice" }, words.offline) : "");
        const pageHash = this.served?.page_sha256;
        byId("page-hash").replaceChildren(...(pageHash === undefined ? [] : [`${words.pageSha256}: `, el("code", {}, pageHash)]));
    }

    renderPolicy() {
        const words = this.language;
        const own = this.verify.given.get("policy");
        const origin = this.verify.code === null ? null
            : (this.logs().find((log) => logId(log.origin) === this.verify.code.logId)?.origin ?? null);
        const bytes = own?.bytes ?? this.offeredPolicy(origin);
        const server = this.served?.server ?? "file";
        const source = own !== undefined ? `${words.policyOwn}: ${own.name}`
            : bytes === null ? words.policyNone : words.policyOffered(words.servedBy[server](this.served.name));
        byId("policy-source").textContent = source;
        byId("policy-hash").replaceChildren(...(bytes === null ? [] : [`${words.policySha256}: `, el("code", { class: "large" }, hex(sha256(bytes)))]));
    }

    renderAll() {
        this.renderWords();
        this.renderServer();
        this.renderPolicy();
        this.verify.translate();
        if (byId("tab-explore").getAttribute("aria-selected") === "true") {
            this.explore.render();
        }
    }

    // -- behaviour --

    switchLanguage() {
        this.language = this.language === english ? chinese : english;
        this.renderAll();
    }

    openTab(name) {
        for (const one of ["verify", "explore"]) {
            const isOpen = one === name;
            byId(`tab-${one}`).setAttribute("aria-selected", String(isOpen));
            byId(`tab-${one}`).tabIndex = isOpen ? 0 : -1;
            byId(`panel-${one}`).hidden = !isOpen;
        }
        if (name === "explore") {
            this.explore.open();
        }
    }

    listenToTabs() {
        for (const name of ["verify", "explore"]) {
            const tab = byId(`tab-${name}`);
            tab.addEventListener("click", () => this.openTab(name));
            tab.addEventListener("keydown", ({ key }) => {
                if (key === "ArrowLeft" || key === "ArrowRight") {
                    const other = name === "verify" ? "explore" : "verify";
                    this.openTab(other);
                    byId(`tab-${other}`).focus();
                }
            });
        }
    }

    listenToDrops() {
        const zone = byId("drop");
        addEventListener("dragover", (event) => {
            event.preventDefault();
            zone.classList.add("over");
        });
        addEventListener("dragleave", () => zone.classList.remove("over"));
        addEventListener("drop", (event) => {
            event.preventDefault();
            zone.classList.remove("over");
            this.openTab("verify");
            this.verify.addFiles([...event.dataTransfer.files]);
        });
    }

    listen() {
        this.listenToTabs();
        this.listenToDrops();
        byId("language").addEventListener("click", () => this.switchLanguage());
        byId("files").addEventListener("change", ({ target }) => {
            const files = [...target.files];
            target.value = "";
            this.verify.addFiles(files);
        });
        byId("code-form").addEventListener("submit", (event) => {
            event.preventDefault();
            this.verify.useCode(byId("code").value);
        });
        addEventListener("hashchange", () => this.takeFragment());
    }

    // A code in the address is taken out of it at once: so it is in no history, no picture of the screen and no Referer.
    async takeFragment() {
        const fragment = location.hash.slice(1);
        if (!fragment.startsWith("c1.")) {
            return;
        }
        history.replaceState(null, "", location.pathname + location.search);
        byId("code").value = fragment;
        await this.verify.useCode(fragment);
    }

    async start() {
        this.listen();
        this.renderAll();
        this.served = await fetchContext();
        this.renderAll();
        document.body.dataset.ready = "true";
        if (!isSecureContext || crypto.subtle === undefined) {
            this.verify.show(this.verify.shownOf({ code: "CR-600", verdict: null, facts: null, why: "" }));
        }
        await this.takeFragment();
    }
}

new Page().start();
