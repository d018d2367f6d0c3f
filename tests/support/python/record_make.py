"""Makes operation records, payloads and disclosures after docs/record.md, honest ones and others.

The honest way is the one that tests/vectors/record.json holds; whoever wants another one changes what is in a
Record before it is signed. Not for production: seeds are kept in the open.
"""
import base64
import copy
import json

import record_check as check

TAG_PURPOSES = {"asset": "asset", "payee": "payee", "officer": "officer", "approver": "officer"}


def block_random(name, size=33 * 16 + 32):
    """SHA-256(name || u8 i) one behind the other, as the vectors have it."""
    out = b""
    while len(out) < size:
        out += check.sha256(name.encode(), bytes([len(out) // 32]))
    return out[:size]


class Submitter:
    def __init__(self, seed, name="court-0101.example"):
        self.seed, self.name = seed, name
        self.public = check.ed25519_public(seed)
        self.id = check.submitter_id(self.public)

    def registration(self, origin, courts=("测0101",), roles=(1,), start=29454480, end=0, minute=29542171):
        """A SUBMITTER record."""
        registration = {
            "key": self.public, "name": self.name.encode(), "roles": list(roles),
            "courts": sorted(check.court_tag(court) for court in courts), "from": start, "to": end,
        }
        message = {"version": 1, "kind": check.SUBMITTER, "minute": minute, "submitter": self.id,
                   "registration": registration}
        return sign(message, origin, self.seed)


def sign(message, origin, seed):
    unsigned = check.encode({**message, "signature": b""}, check.OPERATION)
    signed = check.with_origin(check.DOMAIN, origin) + unsigned
    return check.encode({**message, "signature": check.ed25519_sign(seed, signed)}, check.OPERATION)


class Record:
    """A draft as it stands in a payload; `bytes` is there after seal()."""

    def __init__(self, origin, case_key, submitter, number, draft, random=None, sealed=None,
                 is_vouched=False):
        draft = json.loads(draft) if isinstance(draft, str) else draft
        random = random or block_random(f"random of record {number}")
        self.origin, self.submitter, self.is_vouched = origin, submitter, is_vouched
        self.salts = [random[16 * i : 16 * i + 16] for i in range(32)]
        self.document_salt = random[512:528]
        self.document = bytes.fromhex(draft["document"]) if "document" in draft else None
        self.is_sealed = draft.get("sealed", False)
        self.seed = random[528:560] if self.is_sealed else submitter.seed
        self.key = check.ed25519_public(self.seed) if self.is_sealed else submitter.public
        self.tag = check.entry_tag_of(case_key, submitter.id, number)
        self.values = [None] * 32
        self.bytes = None
        self._fill(draft, case_key, number)
        self.message = {"version": 1, "entry_tag": self.tag}
        references = [bytes.fromhex(one) for one in draft.get("references", [])]
        if sealed is not None:
            references.insert(0, check.sha256(sealed.origin.encode()) + check.leaf_hash(sealed.bytes))
        if self.is_sealed:
            self._fill_sealed(draft, references)
        else:
            self._fill_clear(draft, references, case_key, sealed)

    def set(self, name, value):
        self.values[check.NUMBERS[name]] = value

    def get(self, name):
        return self.values[check.NUMBERS[name]]

    def _fill(self, draft, case_key, number):
        fields = dict(draft.get("fields", {}))
        if "officer" in draft:
            fields["officer"] = draft["officer"]
        for name, text in fields.items():
            if name in TAG_PURPOSES:
                self.set(name, check.person_tag_of(case_key, TAG_PURPOSES[name], text))
            else:
                self.set(name, check.value_of(check.NUMBERS[name], str(text)))
        self.set("number", check.u(8, number))
        self.set("court", draft["court"].encode())
        if "case-number" in check.KIND_NAMES[draft["kind"]].allowed:
            self.set("case-number", draft["case"].encode())

    def _fill_sealed(self, draft, references):
        self.message |= {"kind": check.SEALED, "one_time_key": self.key}
        signed = check.with_origin(b"courtroll/one-time-key/v1\n", self.origin) + self.key + self.tag
        self.certificate = self.submitter.id + check.ed25519_sign(self.submitter.seed, signed)
        self.set("kind", check.u(8, check.KIND_NAMES[draft["kind"]].number))
        self.set("minute", check.value_of(check.NUMBERS["minute"], draft["minute"]))
        self.set("submitter", self.submitter.id)
        self.set("certificate", self.certificate)
        self.set("references", b"".join(references))

    def _fill_clear(self, draft, references, case_key, sealed):
        kind = check.KIND_NAMES[draft["kind"]].number
        self.message |= {
            "kind": kind,
            "minute": int.from_bytes(check.value_of(check.NUMBERS["minute"], draft["minute"]), "big"),
            "court": check.court_tag(draft["court"]),
            "references": references,
            "submitter": self.submitter.id,
            "vouched": int(self.is_vouched),
        }
        if kind == check.CASE_FILED:
            self.message["case_commitment"] = check.case_commitment_of(case_key, draft["case"])
        if kind == check.CLOSED:
            counts = {bytes.fromhex(one): count for one, count in draft.get("counts", {}).items()}
            self.message["closed_counts"] = check.closed_counts_of(case_key, self.tag, counts)
        if kind == check.UNSEAL:
            self.message["openings"] = sealed.openings()

    def digests(self, version=1):
        context = check.context_of(self.origin, self.key, self.tag, version)
        return [check.digest_of(context, i, self.salts[i], self.values[i]) for i in range(32)]

    def openings(self):
        leaves = [check.leaf_hash(digest) for digest in self.digests()]
        made = []
        for name in ("kind", "minute", "court", "submitter", "certificate"):
            number = check.NUMBERS[name]
            hashes, row, at = b"", leaves, number
            while len(row) > 1:
                hashes += row[at ^ 1]
                row = [check.node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
                at //= 2
            made.append({"number": number, "salt": self.salts[number], "value": self.get(name),
                         "hashes": hashes})
        return made

    def seal(self, root=None):
        """Signs, with another root perhaps; returns itself."""
        self.message["fields_root"] = root or check.fields_root(self.digests())
        self.message["document"] = check.document_of(self.document_salt, self.document)
        if self.is_vouched:
            self.bytes = check.encode(self.message, check.OPERATION)
        else:
            self.bytes = sign(self.message, self.origin, self.seed)
        return self

    def _field(self, number):
        value = self.values[number]
        text = None if value is None else text_of(number, value)
        return {"name": check.FIELDS[number][0], "salt": self.salts[number].hex(), "value": text}

    def _document(self):
        return {"salt": self.document_salt.hex(), "sha256": self.document and self.document.hex()}

    def payload(self):
        return check.canonical({
            "document": self._document(),
            "fields": [self._field(i) for i in range(32)],
            "format": "courtroll payload v1",
            "origin": self.origin,
            "record": base64.b64encode(self.bytes).decode(),
            "signing_key": self.key.hex(),
        })

    def disclosure(self, hidden=(), proof=None, registration=None, has_document=True):
        """An object, to be changed and written with check.canonical. `registration`: (entry, proof)."""
        fields = []
        for i, digest in enumerate(self.digests()):
            name = check.FIELDS[i][0]
            is_hidden = name in hidden
            fields.append({"digest": digest.hex(), "name": name} if is_hidden else self._field(i))
        entry, entry_proof = registration or (None, None)
        return copy.deepcopy({
            "document": self._document() if has_document else None,
            "fields": fields,
            "format": "courtroll disclosure v1",
            "origin": self.origin,
            "proof": proof,
            "record": base64.b64encode(self.bytes).decode(),
            "registration": entry and base64.b64encode(entry).decode(),
            "registration_proof": entry_proof,
            "signing_key": self.key.hex(),
        })


def text_of(number, value):
    """The text of a value, whatever its bytes: what is no value has some text too."""
    kind = check.FIELDS[number][1]
    if kind in check.INTEGERS:
        integer = int.from_bytes(value, "big")
        if kind == "kind":
            return check.KINDS[integer].name
        if kind == "date":
            return (check.EPOCH + check.datetime.timedelta(days=integer)).strftime("%Y-%m-%d")
        if kind == "minute":
            return (check.EPOCH + check.datetime.timedelta(minutes=integer)).strftime("%Y-%m-%dT%H:%MZ")
        return str(integer)
    if kind == "references":
        return ",".join(value[i : i + 64].hex() for i in range(0, len(value), 64))
    return value.hex() if kind in check.FIXED else value.decode()
