#!/usr/bin/python3
"""A second implementation of docs/certificate.md: takes the data out of a certificate and verifies them.

    certificate_check.py --policy P CERTIFICATE DOCUMENT

Written from that page, with Python's standard library and what record_check.py has (signatures by the openssl
command). Prints PASS or what is wrong; exit code 0 or 1. Whether the text of a page is what its data make it does not
say: that needs the template, which is in `courtroll verify`.
"""
import argparse
import base64
import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import record_check as record  # noqa: E402
from record_check import require  # noqa: E402

FIRST = b"courtroll certificate v1\n"
FIELDS = ["template", "program", "executable", "document-sha256", "document-bytes", "document-name", "address", "about",
          "policy", "proof", "anchor", "leaf-hash", "entry", "salt", "disclosure"]  # fmt: skip
BEGIN, END = b'\n<pre id="certificate-data">\n', b"</pre>\n"


def data_of_html(page):
    require(page.count(BEGIN) == 1, "the data are not there once")
    text = page.split(BEGIN)[1].split(END)[0]
    data = base64.b64decode(text.replace(b"\n", b""), validate=True)
    printed = re.search(rb'<code id="certificate-data-sha256">([0-9a-f]{64})</code>', page)
    require(printed and printed[1].decode() == hashlib.sha256(data).hexdigest(), "the data's SHA-256", "ALTERED")
    return data


def data_of_pdf(file):
    where = re.findall(rb"/CourtrollData \[(\d+) (\d+)\] >>\nstartxref\n\d+\n%%EOF\n$", file)
    require(len(where) == 1, "the PDF holds no data")
    offset, size = map(int, where[0])
    return file[offset : offset + size]


def data_of(file):
    return data_of_pdf(file) if file.startswith(b"%PDF-") else data_of_html(file)


def fields_of(data):
    """{name: bytes}, in order."""
    require(data.startswith(FIRST), "another format")
    at, fields, left = len(FIRST), {}, list(FIELDS)
    while at < len(data):
        head = re.compile(rb"([a-z0-9-]+) ([1-9][0-9]*)\n").match(data, at)
        require(head and head[1].decode() in left, "a field out of order")
        name, size = head[1].decode(), int(head[2])
        del left[: left.index(name) + 1]
        fields[name] = data[head.end() : head.end() + size]
        at = head.end() + size + 1
        require(len(fields[name]) == size and data[at - 1 : at] == b"\n", f"{name}: its length")
    return fields


def bytes_of(fields):
    return FIRST + b"".join(b"%s %d\n%s\n" % (name.encode(), len(value), value) for name, value in fields.items())


def with_data(page, data):
    """The page with other data, and their digest printed; its words as they were."""
    text = base64.b64encode(data)
    lines = b"".join(text[i : i + 76] + b"\n" for i in range(0, len(text), 76))
    head, rest = page.split(BEGIN)
    page = head + BEGIN + lines + END + rest.split(END, 1)[1]
    digest = hashlib.sha256(data).hexdigest().encode()
    return re.sub(rb'(data-sha256">)[0-9a-f]{64}', rb"\g<1>" + digest, page)


def check(file, policy_text, document):
    """The fields, of a certificate whose proof holds under the verifier's own policy, for this document."""
    fields = fields_of(data_of(file))
    digest = hashlib.sha256(document).digest()
    require(fields["document-sha256"].decode() == digest.hex(), "another document", "MISMATCH")
    require(int(fields["document-bytes"]) == len(document), "another size", "MISMATCH")
    require(len({"leaf-hash", "entry", "disclosure"} & set(fields)) == 1, "not one of leaf-hash, entry, disclosure")
    entry = document
    if "disclosure" in fields:
        disclosure = record.Disclosure(fields["disclosure"])
        record.check_record(disclosure)
        require(disclosure.document_digest == digest, "the record is of another document", "MISMATCH")
        entry = disclosure.record
    elif "entry" in fields:
        entry = fields["entry"]
        commitment = record.document_of(bytes.fromhex(fields["salt"].decode()), digest)
        require(record.parse_record(entry)["document"] == commitment, "the record's commitment", "MISMATCH")
    else:
        require(fields["leaf-hash"].decode() == record.leaf_hash(entry).hex(), "the leaf hash", "MISMATCH")
    proof = fields["proof"].decode()
    origin = proof.partition("\n\n")[2].split("\n")[0]
    _, is_met = record.check_proof(record.Policy(policy_text.decode()), origin, entry, proof)
    require(is_met, "too few witnesses", "NO QUORUM")
    return fields


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--policy", required=True)
    parser.add_argument("certificate")
    parser.add_argument("document")
    arguments = parser.parse_args()
    files = []
    for path in (arguments.certificate, arguments.policy, arguments.document):
        with open(path, "rb") as file:
            files.append(file.read())
    try:
        check(*files)
    except record.Refused as error:
        print(f"{error.verdict}: {error}")
        return 1
    print("PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
