// Hashing a file in a worker, with progress, so that the page stays usable and the file stays here.

/* global HASH_WORKER_SOURCE */

export class Cancelled extends Error {}

// { promise of { sha256, leafHash, size }, cancel }
export function hashFile(file, onProgress) {
    const url = URL.createObjectURL(new Blob([HASH_WORKER_SOURCE], { type: "text/javascript" }));
    const worker = new Worker(url);
    let stop;
    const promise = new Promise((resolve, reject) => {
        stop = reject;
        worker.onmessage = ({ data }) => {
            if (data.error !== undefined) {
                reject(new Error(data.error));
            } else if (data.sha256 !== undefined) {
                resolve(data);
            } else {
                onProgress(data.done, data.total);
            }
        };
        worker.onerror = () => reject(new Error("the worker failed"));
        worker.postMessage({ file });
    }).finally(() => {
        worker.terminate();
        URL.revokeObjectURL(url);
    });
    return { promise, cancel: () => stop(new Cancelled("cancelled")) };
}
