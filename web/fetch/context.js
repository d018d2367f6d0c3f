// Who served the page, and what it offers: GET /verify.json. docs/verify-page.md. All of it is that server's word.

import { get } from "./get.js";

const CONTEXT_BYTES_MAX = 8 * 1024 * 1024;

// null: opened as a file, or the server does not answer.
export async function fetchContext() {
    if (!location.protocol.startsWith("http")) {
        return null;
    }
    try {
        const bytes = await get("/verify.json", CONTEXT_BYTES_MAX);
        const context = JSON.parse(new TextDecoder().decode(bytes));
        return Array.isArray(context.logs) ? context : null;
    } catch {
        return null;
    }
}

// What a page may say of alerts: null when nobody who knows has looked.
export function alertsOf(context, origin) {
    const log = context?.logs.find((one) => one.origin === origin);
    const isTold = context?.server === "monitor" && log?.alerts_checked === true && Array.isArray(log.alerts);
    if (!isTold) {
        return null;
    }
    return log.alerts.filter(({ state }) => state !== "resolved");
}
