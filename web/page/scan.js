// Reading a QR code, where the browser can: with the camera, or from a picture.

export function canScan() {
    return "BarcodeDetector" in globalThis;
}

export function hasCamera() {
    return canScan() && navigator.mediaDevices?.getUserMedia !== undefined;
}

async function detect(source) {
    const detector = new globalThis.BarcodeDetector({ formats: ["qr_code"] });
    const [found] = await detector.detect(source);
    return found?.rawValue ?? null;
}

export async function scanPicture(file) {
    const picture = await createImageBitmap(file);
    try {
        return await detect(picture);
    } finally {
        picture.close();
    }
}

// Looks through the camera until a code is seen or `signal` says stop: its text, or null.
export async function scanCamera(video, signal) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    try {
        video.srcObject = stream;
        await video.play();
        while (!signal.aborted) {
            const text = await detect(video);
            if (text !== null) {
                return text;
            }
            await new Promise((resolve) => setTimeout(resolve, 150));
        }
        return null;
    } finally {
        stream.getTracks().forEach((track) => track.stop());
        video.srcObject = null;
    }
}
