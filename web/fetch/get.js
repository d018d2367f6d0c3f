// Reading from the server that served the page, and from nobody else. What comes is bounded in size and time.

const TIMEOUT_MS = 30000;

export class Unreachable extends Error {}

// The bytes; null when the server says that there is no such thing.
export async function get(path, bytesMax) {
    let response;
    try {
        response = await fetch(path, {
            cache: "no-cache",
            credentials: "omit",
            redirect: "error",
            referrerPolicy: "no-referrer",
            signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        if (response.status === 404) {
            return null;
        }
        if (!response.ok) {
            throw new Unreachable(`${path}: ${response.status}`);
        }
        return await bodyOf(response, bytesMax);
    } catch (error) {
        throw error instanceof Unreachable ? error : new Unreachable(`${path}: ${error.message}`);
    }
}

async function bodyOf(response, bytesMax) {
    const reader = response.body.getReader();
    const pieces = [];
    let size = 0;
    for (;;) {
        const { done, value } = await reader.read();
        if (done) {
            break;
        }
        size += value.length;
        if (size > bytesMax) {
            await reader.cancel();
            throw new Unreachable("an answer that is too large");
        }
        pieces.push(value);
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
        all.set(piece, at);
        at += piece.length;
    }
    return all;
}
