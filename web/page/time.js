// Times for people: Beijing first, as on paper, and UTC, as inside.

const BEIJING_S = 8 * 3600;

function text(seconds) {
    return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

export function bothTimes(seconds, words) {
    return `${text(seconds + BEIJING_S)} ${words.beijing} (${text(seconds)} UTC)`;
}

export function utc(seconds) {
    return `${text(seconds)} UTC`;
}
