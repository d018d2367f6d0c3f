// Elements, made of data: texts are always texts.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) {
            element.addEventListener(name.slice(2), value);
        } else if (value === true) {
            element.setAttribute(name, "");
        } else if (value !== null && value !== false) {
            element.setAttribute(name, value);
        }
    }
    element.append(...children.flat().filter((child) => child !== null));
    return element;
}

export function el(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
}

export function byId(id) {
    return document.getElementById(id);
}

// Rows of a list of terms; null rows are left out.
export function facts(rows) {
    return el("dl", { class: "facts" },
        ...rows.filter((row) => row !== null).flatMap(([term, ...values]) =>
            [el("dt", {}, term), ...values.flat().map((value) => el("dd", {}, value))]));
}

export function saveFile(name, type, text) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}
