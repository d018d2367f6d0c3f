// Case numbers, court codes, credit codes (GB 32100-2015) and citizen ids (GB 11643-1999), in their one spelling.
// docs/record.md section 2.

const PROVINCES = "京津冀晋内辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川黔云藏陕甘青宁新军兵测";
const COURT = `(?:最高法|[${PROVINCES}](?:[0-9]{4}|[0-9]{2})?(?![0-9]))`;
const ORDINAL = "(?:之(?:[二三四五六七八九]?十[一二三四五六七八九]?|[一二三四五六七八九]))?";
const TYPE = "(?:(?!号)[\u4e00-\u9fff]){1,3}";
const CASE_NUMBER = new RegExp(`^（[12][0-9]{3}）${COURT}${TYPE}[1-9][0-9]{0,8}号${ORDINAL}$`, "u");
const COURT_CODE = new RegExp(`^${COURT}$`, "u");
const CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY";
const CREDIT_CODE = new RegExp(`^[${CREDIT}]{2}[0-9]{6}[${CREDIT}]{10}$`);
const CITIZEN_ID = /^[1-9][0-9]{16}[0-9X]$/;
const CITIZEN_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

export function isCaseNumber(text) {
    return CASE_NUMBER.test(text) && [...text].length <= 40;
}

export function isCourtCode(text) {
    return COURT_CODE.test(text);
}

export function isCreditCode(text) {
    if (!CREDIT_CODE.test(text)) {
        return false;
    }
    let sum = 0;
    let weight = 1;
    for (const char of text.slice(0, 17)) {
        sum += CREDIT.indexOf(char) * weight;
        weight = (weight * 3) % 31;
    }
    return CREDIT.indexOf(text[17]) === (31 - (sum % 31)) % 31;
}

export function isCitizenId(text) {
    if (!CITIZEN_ID.test(text)) {
        return false;
    }
    const [year, month, day] = [text.slice(6, 10), text.slice(10, 12), text.slice(12, 14)].map(Number);
    const date = new Date(Date.UTC(year, month - 1, day));
    const isDate = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
    const sum = CITIZEN_WEIGHTS.reduce((total, weight, i) => total + weight * Number(text[i]), 0);
    return isDate && year >= 1800 && year <= 2199 && text[17] === "10X98765432"[sum % 11];
}

function holdsIdentifier(text) {
    const isNumber = (text.match(/[0-9]+/g) ?? []).some((digits) =>
        (digits.length >= 15 && digits.length <= 19) || /^(?:86)?1[3-9][0-9]{9}$/.test(digits));
    return isNumber || Array.from(text, (_, at) => text.slice(at, at + 18)).some((part) =>
        isCitizenId(part) || (/^[1-9ANY][1-9]/.test(part) && isCreditCode(part)));
}

function withoutDigests(text) {
    return text.replace(/[0-9A-Z]{32,}/g, (run) => (/^[0-9A-F]*[A-F][0-9A-F]*$/.test(run) ? "." : run));
}

// Whether a DNS name holds what looks like a bank account, a mobile number, a citizen id or a credit code, in groups
// too; digests in hex are none.
export function isIdentifierIn(name) {
    const whole = withoutDigests(name.toUpperCase());
    return holdsIdentifier(whole) || holdsIdentifier(withoutDigests(whole.replaceAll("-", "")));
}
