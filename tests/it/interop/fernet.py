"""The other side of fernet.rs: writes rows as a Python service with `cryptography` would have.

    python3 -m venv venv && venv/bin/pip install cryptography==50.0.2
    venv/bin/python fernet.py > fixtures_fernet.json

Every run gives other tokens: time and IV are new.
"""

import base64
import json
import sys

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

SECRET = "correct horse battery staple"
SALT = "stable_salt"
ROUNDS = 100_000
TEXTS = [
    "",
    "a",
    "grüße",
    "fifteen letters",
    "sixteen letters!",
    "seventeen letters",
    "\N{LOCK}\u0000\n\"'; DROP TABLE notes; -- ñandú 你好",
    "Fernet " * 200,
]


def derived(secret, salt, rounds):
    kdf = PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=salt.encode(), iterations=rounds)
    return base64.urlsafe_b64encode(kdf.derive(secret.encode()))


def rows(fernet, wrap):
    for text in TEXTS:
        token = fernet.encrypt(text.encode())
        stored = base64.urlsafe_b64encode(token) if wrap else token
        yield {"text": text, "time": fernet.extract_timestamp(token), "stored": stored.decode()}


def main():
    key = derived(SECRET, SALT, ROUNDS)
    old, new = Fernet.generate_key(), Fernet.generate_key()
    both = MultiFernet([Fernet(new), Fernet(old)])
    before = list(rows(Fernet(old), wrap=False))
    rotated = [{**row, "stored": both.rotate(row["stored"].encode()).decode()} for row in before]
    fixtures = {
        "passphrase": {
            "secret": SECRET,
            "salt": SALT,
            "rounds": ROUNDS,
            "key": key.decode(),
            "rows": list(rows(Fernet(key), wrap=True)),
        },
        "rotation": {"old": old.decode(), "new": new.decode(), "before": before, "after": rotated},
    }
    json.dump(fixtures, sys.stdout, indent=1)
    print()


main()
