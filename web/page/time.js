// Times for people: Beijing first, as on paper, and UTC, as inside.

const BEIJING_S = 8 * 3600;

// A witness may sign any time: what no calendar has is shown as it is.
function text(seconds) {
    const date = new Date(seconds * 1000);
    return Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString().slice(0, 19).replace("T", " ");
}

export function bothTimes(seconds, words) {
    return `${text(seconds + BEIJING_S)} ${words.beijing} (${text(seconds)} UTC)`;
}

export function utc(seconds) {
    return `${text(seconds)} UTC`;
}
