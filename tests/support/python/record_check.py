#!/usr/bin/python3
"""A second implementation of docs/record.md: records, disclosures and tlog-proofs, against a policy.

    record_check.py --policy P DISCLOSURE [DOCUMENT]

Written from that page (whose tables of fields and kinds it reads), RFC 6962 and the C2SP documents, with Python's
standard library and the openssl command: nothing of this project's code is behind it. Prints PASS or what is
wrong, as `courtroll record verify` does; exit code 0 or 1.
"""
import argparse
import base64
import binascii
import datetime
import functools
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "record.md")


class Refused(Exception):
    """`verdict` is the first words that are printed."""

    def __init__(self, verdict, why):
        super().__init__(why)
        self.verdict = verdict


def malformed(why):
    return Refused("MALFORMED", why)


def require(claim, why, verdict="MALFORMED"):
    if not claim:
        raise Refused(verdict, why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u(size, value):
    return value.to_bytes(size, "big")


# -- the tables --


def rows_of(heading):
    """The cells of the table below a heading that begins so."""
    with open(DOCS, encoding="utf-8") as file:
        text = file.read()
    section = text[text.index("\n## " + heading) + 4 :]
    section = section.split("\n## ")[0]
    for line in section.splitlines():
        if re.match(r"\| \d+ \|", line):
            yield [cell.strip().strip("`") for cell in line.strip("| ").split(" | ")]


FIELDS = [(name, kind) for _, name, kind in rows_of("5. Fields")]
NUMBERS = {name: i for i, (name, _) in enumerate(FIELDS)}
ROLES = ["", "enf", "cas", "ser", "evi", "ins", "med", "sup"]
SEALED_FIELDS = {"kind", "minute", "submitter", "certificate", "references"}


class Kind:
    def __init__(self, number, name, kind_class, sealed, roles, must, material, may):
        def names(cell):
            return set() if cell == "-" else set(cell.split())

        self.number, self.name, self.kind_class = int(number), name, kind_class
        self.may_be_sealed = sealed == "yes"
        self.roles = set(ROLES[1:]) if roles == "any" else names(roles)
        self.required = names(must)
        self.material = self.required | names(material)
        self.allowed = self.material | names(may)


KINDS = {kind.number: kind for kind in (Kind(*row) for row in rows_of("7. Kinds"))}
KIND_NAMES = {kind.name: kind for kind in KINDS.values()}
SEALED, UNSEAL, SUBMITTER, SUBMITTER_END, ANCHOR, DECOY, CASE_FILED, CLOSED = 1, 2, 3, 4, 5, 6, 16, 104

# -- Ed25519, by openssl --

P = 2**255 - 19
DER_PUBLIC = bytes.fromhex("302a300506032b6570032100")
DER_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
# RFC 7748's and RFC 8032's points of small order, by y: 0, 1, -1, and the two of order 8.
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER = {0, 1, P - 1, Y8, P - Y8}


def openssl(arguments, **files):
    """Runs openssl with files of these bytes; whether it succeeded, and its stdout."""
    with tempfile.TemporaryDirectory() as directory:
        paths = {}
        for name, data in files.items():
            paths[name] = os.path.join(directory, name)
            with open(paths[name], "wb") as file:
                file.write(data)
        line = [argument.format(**paths) for argument in arguments]
        done = subprocess.run(["openssl", *line], capture_output=True, check=False)
        return done.returncode == 0, done.stdout


@functools.lru_cache(maxsize=4096)
def ed25519_verify(public, message, signature):
    line = "pkeyutl -verify -pubin -keyform DER -inkey {key} -rawin -in {message} -sigfile {signature}"
    return openssl(line.split(), key=DER_PUBLIC + public, message=message, signature=signature)[0]


@functools.lru_cache(maxsize=4096)
def ed25519_sign(seed, message):
    line = "pkeyutl -sign -keyform DER -inkey {key} -rawin -in {message}"
    is_done, signature = openssl(line.split(), key=DER_PRIVATE + seed, message=message)
    assert is_done
    return signature


@functools.lru_cache(maxsize=64)
def ed25519_public(seed):
    line = "pkey -inform DER -in {key} -pubout -outform DER"
    is_done, public = openssl(line.split(), key=DER_PRIVATE + seed)
    assert is_done and public.startswith(DER_PUBLIC)
    return public[len(DER_PUBLIC) :]


def is_small_order(public):
    return (int.from_bytes(public, "little") & (1 << 255) - 1) % P in SMALL_ORDER


def aes256_ctr(key, data):
    line = ["enc", "-aes-256-ctr", "-K", key.hex(), "-iv", "00" * 16, "-in", "{data}"]
    is_done, out = openssl(line, data=data)
    assert is_done
    return out


# -- base64, hex, canonical JSON --


def unbase64(text, what):
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise malformed(f"{what}: not base64") from error
    require(base64.b64encode(data).decode() == text, f"{what}: not base64's one spelling")
    return data


def unhex(text, size, what):
    require(
        isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % (2 * size), text) is not None,
        f"{what}: not the hex of {size} bytes",
    )
    return bytes.fromhex(text)


def canonical(value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\u([0-9a-f]{4})", lambda m: m[1] + "\\u" + m[2].upper(), text)
    return text.encode() + b"\n"


def load_canonical(data, what):
    def pairs(items):
        made = dict(items)
        require(len(made) == len(items), f"{what}: a name twice")
        return made

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs)
        again = canonical(value)
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what}: not JSON") from error
    require(again == data, f"{what}: not canonical JSON")
    return value


def members(value, names, what):
    require(isinstance(value, dict) and set(value) == set(names), f"{what}: other members than {names}")
    return [value[name] for name in names]


# -- identifiers --

PROVINCES = "京津冀晋内辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川黔云藏陕甘青宁新军兵测"
COURT = f"(?:最高法|[{PROVINCES}](?:[0-9]{{4}}|[0-9]{{2}})?(?![0-9]))"
ORDINAL = "(?:之(?:[二三四五六七八九]?十[一二三四五六七八九]?|[一二三四五六七八九]))?"
TYPE = "(?:(?!号)[\u4e00-\u9fff]){1,3}"
CASE_NUMBER = re.compile(f"（[12][0-9]{{3}}）{COURT}{TYPE}[1-9][0-9]{{0,8}}号{ORDINAL}")
CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def fold(text):
    out = []
    for char in text:
        if "\uff01" <= char <= "\uff5e":
            char = chr(ord(char) - 0xFEE0)
        out.append(char.upper() if "a" <= char <= "z" else char)
    text = "".join(out)
    for pair in ("()", "〔〕"):
        if text[:1] == pair[0] and pair[1] in text:
            text = text.replace(pair[0], "（", 1).replace(pair[1], "）", 1)
    return text


def is_case_number(text):
    return CASE_NUMBER.fullmatch(text) is not None


def is_court(text):
    return re.fullmatch(COURT, text) is not None


def is_credit_code(text):
    if not re.fullmatch(f"[{CREDIT}]{{2}}[0-9]{{6}}[{CREDIT}]{{10}}", text):
        return False
    total = sum(CREDIT.index(char) * pow(3, i, 31) for i, char in enumerate(text[:17]))
    return CREDIT.index(text[17]) == (31 - total % 31) % 31


def is_citizen_id(text):
    if not re.fullmatch("[1-9][0-9]{16}[0-9X]", text):
        return False
    try:
        datetime.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(char) * weight for char, weight in zip(text, weights))
    return 1800 <= int(text[6:10]) <= 2199 and text[17] == "10X98765432"[total % 11]


def normal_identifier(kind, text):
    """The canonical form, or None."""
    text = fold(text)
    checks = {
        "case-number": is_case_number,
        "court": is_court,
        "credit-code": is_credit_code,
        "citizen-id": is_citizen_id,
        "party": lambda text: is_credit_code(text) or is_citizen_id(text),
    }
    return text if checks[kind](text) else None


# -- values: their texts to bytes, and back --

BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" \
    "\u2028\u2029\u202f\u205f\u3000"
CONTROLS = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
DAY_MAX = 2932896
INTEGERS = {"count": 2**64 - 1, "money": 2**53, "code": 65535, "date": DAY_MAX,
            "minute": DAY_MAX * 1440 + 1439, "kind": 2**32 - 1}
FIXED = {"tag": 16, "submitter": 16, "certificate": 80, "digest": 32}
EPOCH = datetime.datetime(1970, 1, 1)


def integer_of(kind, text):
    if kind in ("date", "minute"):
        form = "%Y-%m-%d" if kind == "date" else "%Y-%m-%dT%H:%MZ"
        pattern = r"\d{4}-\d\d-\d\d" + ("" if kind == "date" else r"T\d\d:\d\dZ")
        require(re.fullmatch(pattern, text, re.ASCII), "not a time")
        try:
            passed = datetime.datetime.strptime(text, form) - EPOCH
        except ValueError as error:
            raise malformed("no such time") from error
        return passed.days if kind == "date" else passed.days * 1440 + passed.seconds // 60
    if kind == "kind":
        require(text in KIND_NAMES and KIND_NAMES[text].may_be_sealed, "not a kind that may be sealed")
        return KIND_NAMES[text].number
    require(re.fullmatch("0|[1-9][0-9]{0,19}", text), "not a number")
    return int(text)


def check_text(text):
    require(0 < len(text.encode()) <= 1024, "no text of 1 to 1024 bytes")
    require(CONTROLS.search(text) is None, "control characters")
    require(text.strip(BLANKS) == text, "blanks around it")
    require(unicodedata.normalize("NFC", text) == text, "not NFC")


def value_of(number, text):
    """The bytes of a value from its one text."""
    name, kind = FIELDS[number]
    try:
        if kind in INTEGERS:
            integer = integer_of(kind, text)
            require(0 <= integer <= INTEGERS[kind], "out of range")
            return u(8, integer)
        if kind in FIXED:
            return unhex(text, FIXED[kind], "value")
        if kind == "references":
            parts = text.split(",") if text else []
            require(len(parts) <= 16, "too many")
            return b"".join(unhex(part, 64, "value") for part in parts)
        require(kind != "none", "always absent")
        if kind == "text":
            check_text(text)
        else:
            require(normal_identifier(kind, text) == text, f"no {kind} in its one spelling")
        return text.encode()
    except Refused as refused:
        raise malformed(f"field {name}: {refused}") from refused


# -- protobuf --

# number: (name, type); a type in brackets is repeated.
REGISTRATION = {1: ("key", "bytes"), 2: ("name", "bytes"), 3: ("courts", ["bytes"]), 4: ("roles", "packed"),
                5: ("from", "int"), 6: ("to", "int")}
OPENING = {1: ("number", "int"), 2: ("salt", "bytes"), 3: ("value", "bytes"), 4: ("hashes", "bytes")}
OPERATION = {
    1: ("version", "int"), 2: ("kind", "int"), 3: ("minute", "int"), 4: ("court", "bytes"),
    5: ("entry_tag", "bytes"), 6: ("document", "bytes"), 7: ("fields_root", "bytes"),
    8: ("references", ["bytes"]), 9: ("submitter", "bytes"), 10: ("one_time_key", "bytes"),
    11: ("vouched", "int"), 12: ("registration", REGISTRATION), 13: ("note", "bytes"),
    14: ("case_commitment", "bytes"), 15: ("closed_counts", "bytes"), 16: ("openings", [OPENING]),
    17: ("signature", "bytes"),
}


def put_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def take_varint(data, at):
    value = shift = 0
    while True:
        require(at < len(data) and shift < 70, "record: ends inside a number")
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            require(value < 1 << 64, "record: a number of more than 64 bits")
            return value, at


def put_data(number, data):
    return put_varint(number << 3 | 2) + put_varint(len(data)) + data


def encode(message, schema):
    out = b""
    for number, (name, kind) in schema.items():
        value = message.get(name)
        if isinstance(kind, list):
            for one in value or []:
                out += put_data(number, encode(one, kind[0]) if isinstance(kind[0], dict) else one)
        elif kind == "int":
            out += put_varint(number << 3) + put_varint(value) if value else b""
        elif kind == "packed":
            out += put_data(number, b"".join(map(put_varint, value))) if value else b""
        elif isinstance(kind, dict):
            out += put_data(number, encode(value, kind)) if value is not None else b""
        else:
            out += put_data(number, value) if value else b""
    return out


def decode(data, schema):
    """Leniently: what it understood is encoded again by the caller and compared."""
    message, at = {}, 0
    while at < len(data):
        key, at = take_varint(data, at)
        require(key >> 3 in schema and key & 7 in (0, 2), "record: an unknown field")
        name, kind = schema[key >> 3]
        value, at = take_varint(data, at)
        if key & 7 == 2:
            require(value <= len(data) - at, "record: ends inside a field")
            value, at = data[at : at + value], at + value
        is_int = kind == "int"
        require(is_int == (key & 7 == 0), "record: a field of another type")
        if isinstance(kind, list):
            one = decode(value, kind[0]) if isinstance(kind[0], dict) else value
            message.setdefault(name, []).append(one)
        elif kind == "packed":
            numbers, place = [], 0
            while place < len(value):
                number, place = take_varint(value, place)
                numbers.append(number)
            message[name] = numbers
        else:
            message[name] = decode(value, kind) if isinstance(kind, dict) else value
    return message


# -- the record --

DOMAIN = b"courtroll/operation/v1\n"
SIGNATURE_FIELD = 2 + 1 + 64


def submitter_id(public):
    return sha256(b"courtroll/submitter-key/v1\n", public)[:16]


def court_tag(code):
    return sha256(b"courtroll/court/v1\n", code.encode())[:8]


def with_origin(domain, origin):
    return domain + u(1, len(origin.encode())) + origin.encode()


def check_registration(message, submitter):
    label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    name = message.get("name", b"").decode("ascii", "replace")
    require(len(name) <= 253 and re.fullmatch(rf"{label}(?:\.{label})*", name), "registration: no DNS name")
    require(not name.split(".")[-1].isdigit(), "registration: an address")
    key, courts, roles = message.get("key", b""), message.get("courts", []), message.get("roles", [])
    require(len(key) == 32 and not is_small_order(key), "registration: key")
    require(submitter_id(key) == submitter, "registration: of another key than the submitter's")
    require(len(courts) <= 64 and all(len(tag) == 8 for tag in courts), "registration: courts")
    require(courts == sorted(set(courts)), "registration: courts not ascending")
    require(roles and roles == sorted(set(roles)) and 1 <= roles[0] and roles[-1] <= 7, "registration: roles")
    start, end = message.get("from", 0), message.get("to", 0)
    require(max(start, end) <= INTEGERS["minute"] and (end == 0 or end > start), "registration: to")


def check_openings(openings):
    names = ("kind", "minute", "court", "submitter", "certificate")
    require(len(openings) == len(names), "openings: not five")
    for opening, name in zip(openings, names):
        require(opening.get("number") == NUMBERS[name], "openings: of other fields")
        require(len(opening.get("salt", b"")) == 16, "openings: salt")
        require(len(opening.get("hashes", b"")) == 160, "openings: hashes")


def parse_record(data):
    """The message, of the one encoding and of its kind's form."""
    require(len(data) <= 61440, "record: too large")
    message = decode(data, OPERATION)
    require(encode(message, OPERATION) == data, "record: not in its one encoding")
    require(message.get("version") == 1, "record: another version")
    kind = KINDS.get(message.get("kind"))
    require(kind is not None and kind.kind_class != "inside", "record: unknown kind")
    number, is_of_log = kind.number, kind.kind_class == "log"
    is_of_case = kind.kind_class in ("case", "unseal")
    is_vouched = message.get("vouched", 0) == 1
    require(message.get("vouched", 0) <= 1, "record: vouched")
    require(not (is_vouched and number in (SEALED, SUBMITTER)), "record: cannot be vouched for")
    require(is_vouched or number != ANCHOR, "record: an anchor is vouched for")
    sizes = {
        "court": 8 if is_of_case else 0,
        "entry_tag": 0 if is_of_log else 32,
        "document": 0 if is_of_log else 32,
        "fields_root": 0 if is_of_log else 32,
        "submitter": 0 if number in (SEALED, ANCHOR) else 16,
        "one_time_key": 32 if number == SEALED else 0,
        "case_commitment": 32 if number == CASE_FILED else 0,
        "closed_counts": 160 if number == CLOSED else 0,
        "signature": 0 if is_vouched else 64,
    }
    for name, size in sizes.items():
        require(len(message.get(name, b"")) == size, f"record: {name} has not {size} bytes")
    minute = message.get("minute", 0)
    require(minute == 0 if number == SEALED else 0 < minute <= INTEGERS["minute"], "record: minute")
    references = message.get("references", [])
    require(len(references) <= (0 if number in (SEALED, ANCHOR) else 16), "record: references")
    require(all(len(one) == 64 for one in references), "record: references have 64 bytes")
    require(not is_small_order(message.get("one_time_key", b"\2")), "record: a key of small order")
    require(("registration" in message) == (number == SUBMITTER), "record: registration")
    require((number == ANCHOR) == bool(message.get("note")), "record: note")
    require(bool(message.get("openings")) == (number == UNSEAL), "record: openings")
    if number == SUBMITTER:
        check_registration(message["registration"], message["submitter"])
    if number == UNSEAL:
        require(references, "record: opens nothing")
        check_openings(message["openings"])
    return message


def signed_bytes(record, origin):
    return with_origin(DOMAIN, origin) + record[:-SIGNATURE_FIELD]


def check_signature(message, record, origin, public):
    if message.get("vouched") == 1:
        require(submitter_id(public) == message["submitter"], "not the submitter's key", "BAD SIGNATURE")
        return
    if message["kind"] == SEALED:
        require(public == message["one_time_key"], "not the one-time key", "BAD SIGNATURE")
    else:
        require(submitter_id(public) == message["submitter"], "not the submitter's key", "BAD SIGNATURE")
    good = ed25519_verify(public, signed_bytes(record, origin), message["signature"])
    require(good, "the record's signature", "BAD SIGNATURE")


# -- commitments --


def context_of(origin, public, entry_tag, version=1):
    return sha256(with_origin(b"courtroll/context/v1\n", origin), u(2, version), public, entry_tag)


def digest_of(context, number, salt, value):
    """`value` None: absent."""
    present, value = value is not None, value or b""
    head = b"courtroll/field/v1\n" + context + u(2, number) + u(1, present) + salt
    return sha256(head, u(4, len(value)), value)


def document_of(salt, digest):
    return sha256(b"courtroll/document/v1\n", u(1, digest is not None), salt, digest or bytes(32))


def leaf_hash(entry):
    return sha256(b"\0", entry)


def node_hash(left, right):
    return sha256(b"\1", left, right)


def tree_root(leaves):
    """RFC 6962 section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return node_hash(tree_root(leaves[:half]), tree_root(leaves[half:]))


def fields_root(digests):
    require(len(digests) == 32, "not 32 leaves")
    return tree_root([leaf_hash(digest) for digest in digests])


# -- the case key --


def case_hmac(key, *parts):
    return hmac.new(key, b"".join(parts), "sha256").digest()


def entry_tag_of(key, submitter, number):
    return case_hmac(key, b"courtroll/entry-tag/v1", submitter, u(8, number))


def person_tag_of(key, purpose, text):
    return case_hmac(key, f"courtroll/{purpose}-tag/v1".encode(), text.encode())[:16]


def case_commitment_of(key, case_number):
    return case_hmac(key, b"courtroll/case-number/v1", case_number.encode())


def closed_counts_of(key, entry_tag, counts):
    plain = b"".join(one + u(4, count) for one, count in sorted(counts.items())).ljust(160, b"\0")
    return aes256_ctr(case_hmac(key, b"courtroll/closed-counts/v1", entry_tag), plain)


# -- tlog-policy, signed notes, tlog-proof --


def parse_vkey(text):
    name, key_id, data = text.split("+", 2)
    data = base64.b64decode(data, validate=True)
    assert hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex() == key_id
    return name, data[0], data[1:], bytes.fromhex(key_id)


class Policy:
    """The operator's own file, which is trusted: read, not judged."""

    def __init__(self, text):
        self.logs, self.witnesses, self.groups, self.quorum = {}, {}, {}, None
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "log":
                key = parse_vkey(words[1])
                self.logs[key[0]] = key
            elif words[0] == "witness":
                self.witnesses[words[1]] = parse_vkey(words[2])
            elif words[0] == "group":
                needed = {"any": 1, "all": len(words) - 3}.get(words[2])
                self.groups[words[1]] = (needed or int(words[2]), words[3:])
            else:
                self.quorum = words[1]

    def is_met(self, present, name=None):
        name = name or self.quorum
        if name == "none":
            return True
        if name in self.witnesses:
            return name in present
        needed, names = self.groups[name]
        return sum(self.is_met(present, one) for one in names) >= needed

    def open_note(self, note):
        """(origin, size, root, whether there is a quorum) of a checkpoint that a listed log signed."""
        text, lines = split_note(note)
        parts = text.split("\n")
        require(len(parts) >= 4 and parts[0], "checkpoint: too short")
        origin, size, root = parts[0], parts[1], unbase64(parts[2], "checkpoint")
        require(re.fullmatch("0|[1-9][0-9]{0,18}", size, re.ASCII) and len(root) == 32, "checkpoint")
        require(origin in self.logs, "the policy does not list this log", "UNKNOWN LOG")
        is_signed = any(self.is_log_line(origin, text, line) for line in lines)
        require(is_signed, "the log's signature", "BAD SIGNATURE")
        present = {name for name, key in self.witnesses.items() if any(is_cosigned(key, text, line) for line in lines)}
        return origin, int(size), root, self.is_met(present)

    def is_log_line(self, origin, text, line):
        name, kind, public, key_id = self.logs[origin]
        assert kind == 1
        return line[:2] == (name, key_id) and ed25519_verify(public, text.encode(), line[2])


def is_cosigned(key, text, line):
    name, kind, public, key_id = key
    if line[:2] != (name, key_id) or kind != 4 or len(line[2]) != 72:
        return False
    time = int.from_bytes(line[2][:8], "big")
    return ed25519_verify(public, f"cosignature/v1\ntime {time}\n{text}".encode(), line[2][8:])


def split_note(note):
    """The text, with its last newline, and (name, key id, signature) of each line."""
    require("\n\n" in note and note.endswith("\n"), "note: no signatures")
    require(not any(ord(char) < 32 and char != "\n" for char in note), "note: control characters")
    at = note.rindex("\n\n")
    lines = []
    for line in note[at + 2 : -1].split("\n"):
        match = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line)
        require(match, "note: not a signature line")
        try:
            data = base64.b64decode(match[2], validate=True)
        except binascii.Error as error:
            raise malformed("note: not base64") from error
        require(len(data) > 4, "note: a short signature")
        lines.append((match[1], data[:4], data[4:]))
    return note[: at + 1], lines


def root_from_proof(index, size, leaf, hashes):
    """RFC 9162 section 2.1.3.2."""
    node, last, root = index, size - 1, leaf
    for one in hashes:
        require(last > 0, "the proof is too long", "MISMATCH")
        if node & 1 or node == last:
            root = node_hash(one, root)
            while not node & 1 and node > 0:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, one)
        node, last = node >> 1, last >> 1
    require(last == 0, "the proof is too short", "MISMATCH")
    return root


def check_proof(policy, origin, entry, proof):
    """(index, whether there is a quorum) of an entry that is on the policy's log of this origin."""
    head, separator, note = proof.partition("\n\n")
    lines = head.split("\n")
    require(separator and lines[0] == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    match = re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1] if len(lines) > 1 else "", re.ASCII)
    require(match, "tlog-proof: no index")
    hashes = [unbase64(line, "tlog-proof") for line in lines[2:]]
    require(len(hashes) <= 63 and all(len(one) == 32 for one in hashes), "tlog-proof: hashes")
    log, size, root, is_met = policy.open_note(note)
    index = int(match[1])
    require(index < size, "the index is beyond the tree", "MISMATCH")
    good = root_from_proof(index, size, leaf_hash(entry), hashes) == root
    require(good, "the entry is not at that index", "MISMATCH")
    require(log == origin, "the proof is of another log", "MISMATCH")
    return index, is_met


# -- disclosures --


class Disclosure:
    """Parsed; `values` has bytes, or None for absent, of the fields that are opened."""

    NAMES = ("document", "fields", "format", "origin", "proof", "record", "registration",
             "registration_proof", "signing_key")

    def __init__(self, data):
        require(len(data) <= 2621440, "too large")
        value = load_canonical(data, "disclosure")
        (self.document, fields, form, self.origin, self.proof, record, registration,
         self.registration_proof, key) = members(value, self.NAMES, "disclosure")
        require(form == "courtroll disclosure v1", "another format")
        require(isinstance(self.origin, str) and 0 < len(self.origin.encode()) < 256, "origin")
        require(isinstance(record, str), "record: no string")
        self.record = unbase64(record, "record")
        self.key = unhex(key, 32, "signing_key")
        self.registration = None
        if registration is not None:
            require(isinstance(registration, str) and registration, "registration: no string")
            self.registration = unbase64(registration, "registration")
        for text in (self.proof, self.registration_proof):
            require(text is None or (isinstance(text, str) and text), "proof: no string")
        require((self.registration is None) == (self.registration_proof is None), "half a registration")
        self.take_document()
        self.salts, self.values, self.hidden = {}, {}, {}
        require(isinstance(fields, list) and len(fields) == 32, "fields: not 32")
        for number, field in enumerate(fields):
            self.take_field(number, field)

    def take_document(self):
        self.document_salt = self.document_digest = None
        if self.document is not None:
            salt, digest = members(self.document, ("salt", "sha256"), "document")
            self.document_salt = unhex(salt, 16, "document")
            self.document_digest = None if digest is None else unhex(digest, 32, "document")

    def take_field(self, number, field):
        name = FIELDS[number][0]
        require(isinstance(field, dict) and field.get("name") == name, f"field {name}: another in its place")
        if "digest" in field:
            members(field, ("digest", "name"), f"field {name}")
            self.hidden[number] = unhex(field["digest"], 32, f"field {name}")
            return
        members(field, ("name", "salt", "value"), f"field {name}")
        self.salts[number] = unhex(field["salt"], 16, f"field {name}")
        text = field["value"]
        require(text is None or isinstance(text, str), f"field {name}: no string")
        self.values[number] = None if text is None else value_of(number, text)

    def get(self, name):
        """The value of an opened field; None when it is absent or hidden."""
        return self.values.get(NUMBERS[name])


def check_record(disclosure):
    """Steps 1 to 5 of section 11: the record's message, and its kind."""
    message = parse_record(disclosure.record)
    is_sealed = message["kind"] == SEALED
    require("entry_tag" in message, "a record without fields")
    check_signature(message, disclosure.record, disclosure.origin, disclosure.key)
    context = context_of(disclosure.origin, disclosure.key, message["entry_tag"])
    digests = [
        disclosure.hidden.get(i) or digest_of(context, i, disclosure.salts[i], disclosure.values[i])
        for i in range(32)
    ]
    require(fields_root(digests) == message["fields_root"], "the fields are others", "MISMATCH")
    if disclosure.document is not None:
        commitment = document_of(disclosure.document_salt, disclosure.document_digest)
        require(commitment == message["document"], "the document is another", "MISMATCH")
    kind = KINDS[message["kind"]]
    if is_sealed:
        require(disclosure.get("kind") is not None, "hides or lacks its kind")
        kind = KINDS[int.from_bytes(disclosure.get("kind"), "big")]
    check_fields(disclosure, kind, SEALED_FIELDS if is_sealed else set())
    court = disclosure.get("court")
    if court is not None and not is_sealed:
        require(court_tag(court.decode()) == message["court"], "another court", "MISMATCH")
    if is_sealed:
        mine = disclosure.get("certificate")[:16] == disclosure.get("submitter")
        require(mine, "the certificate is another submitter's", "MISMATCH")
    return message, kind


def check_fields(disclosure, kind, header):
    for number, value in disclosure.values.items():
        name = FIELDS[number][0]
        if value is None:
            require(name not in kind.required | header, f"field {name}: absent")
        else:
            require(name in kind.allowed | header, f"field {name}: not of {kind.name}")
    for number in disclosure.hidden:
        name = FIELDS[number][0]
        require(name not in kind.material | header, f"hides {name}")


def check_certificate(disclosure, message, public):
    certificate = disclosure.get("certificate")
    signed = with_origin(b"courtroll/one-time-key/v1\n", disclosure.origin)
    signed += message["one_time_key"] + message["entry_tag"]
    good = submitter_id(public) == certificate[:16] and ed25519_verify(public, signed, certificate[16:])
    require(good, "the certificate", "BAD SIGNATURE")


def check_submitter(policy, disclosure, message, kind, index):
    """Step 7: (name, whether there is a quorum)."""
    entry = disclosure.registration
    found = parse_record(entry)
    require(found["kind"] == SUBMITTER, "registration: another kind")
    registration = found["registration"]
    check_signature(found, entry, disclosure.origin, registration["key"])
    at, is_met = check_proof(policy, disclosure.origin, entry, disclosure.registration_proof)
    is_sealed = message["kind"] == SEALED
    submitter = disclosure.get("submitter") if is_sealed else message["submitter"]
    require(submitter_id(registration["key"]) == submitter, "registration: of another submitter", "MISMATCH")
    require(at < index, "registered after the record", "MISMATCH")
    minute, court = message.get("minute"), message.get("court")
    if is_sealed:
        check_certificate(disclosure, message, registration["key"])
        minute = int.from_bytes(disclosure.get("minute"), "big")
        court = court_tag(disclosure.get("court").decode())
    start, end = registration.get("from", 0), registration.get("to", 0)
    require(start <= minute and (end == 0 or minute < end), "registered for another time", "MISMATCH")
    courts = registration.get("courts", [])
    require(not courts or court in courts, "registered for other courts", "MISMATCH")
    roles = {ROLES[role] for role in registration["roles"]}
    require(not kind.roles or roles & kind.roles, "registered for other kinds", "MISMATCH")
    return registration["name"].decode(), is_met


def verify(policy, data, document=None):
    """What a disclosure says, as a dict with "verdict"; raises Refused. `document`: bytes, or None."""
    disclosure = Disclosure(data)
    message, kind = check_record(disclosure)
    require(disclosure.proof is not None, "no tlog-proof")
    index, is_met = check_proof(policy, disclosure.origin, disclosure.record, disclosure.proof)
    name = None
    if disclosure.registration is not None:
        name, is_registration_met = check_submitter(policy, disclosure, message, kind, index)
        is_met = is_met and is_registration_met
    if document is not None:
        good = disclosure.document_digest == hashlib.sha256(document).digest()
        require(good, "the document is another, or hidden", "MISMATCH")
    names = [one for one, _ in FIELDS]
    return {
        "verdict": "PASS" if is_met else "NO QUORUM",
        "index": index,
        "kind": kind.name,
        "vouched": message.get("vouched") == 1,
        "submitter": name,
        "opened": [names[i] for i, value in sorted(disclosure.values.items()) if value is not None],
        "absent": [names[i] for i, value in sorted(disclosure.values.items()) if value is None],
        "hidden": [names[i] for i in sorted(disclosure.hidden)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--policy", required=True)
    parser.add_argument("disclosure")
    parser.add_argument("document", nargs="?")
    arguments = parser.parse_args()
    with open(arguments.policy, encoding="utf-8") as file:
        policy = Policy(file.read())
    with open(arguments.disclosure, "rb") as file:
        data = file.read()
    document = None
    if arguments.document:
        with open(arguments.document, "rb") as file:
            document = file.read()
    try:
        said = verify(policy, data, document)
    except Refused as refused:
        print(f"{refused.verdict}\n  because       {refused}")
        return 1
    for label, value in said.items():
        print(value if label == "verdict" else f"  {label:14}{value}")
    return 0 if said["verdict"] == "PASS" else 1


if __name__ == "__main__":
    sys.exit(main())
