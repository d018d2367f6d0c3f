"""A certificate authority of a test's own, by openssl's command line.

    authority = Authority(directory)
    authority.ca                         # PEM file
    cert, key = authority.issue("server")
"""
import os
import subprocess


class Authority:
    def __init__(self, directory, name="ca"):
        self.dir = directory
        self.name = name
        self.ca = os.path.join(directory, f"{name}.pem")
        self._key = os.path.join(directory, f"{name}.key")
        self._openssl("req", "-x509", *self._new_key(self._key), "-subj", f"/CN={name}", "-days", "2",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-out", self.ca)  # fmt: skip

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    def issue(self, name, alternatives="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key) as PEM files."""
        base = os.path.join(self.dir, f"{self.name}-{name}")
        self._openssl("req", *self._new_key(base + ".key"), "-subj", f"/CN={name}", "-out",
                      base + ".csr")  # fmt: skip
        with open(base + ".ext", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={alternatives}\n")
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca, "-CAkey", self._key,
                      "-CAcreateserial", "-days", "2", "-extfile", base + ".ext", "-out",
                      base + ".pem")  # fmt: skip
        return base + ".pem", base + ".key"
