"""The other side of interop.rs: makes and checks access tokens with PyJWT.

    python3 -m venv venv && venv/bin/pip install pyjwt cryptography
    venv/bin/python pyjwt.py fixtures             # new keys and tokens, printed as the fixtures of this test
    venv/bin/python pyjwt.py sign   < request     # {"alg", "key", "kid", "claims"} -> token
    venv/bin/python pyjwt.py verify < request     # {"alg", "key", "token", "iss", "aud"} -> claims as JSON

`key` is PEM, or the secret for HS256, or a JWK as JSON.
"""

import json
import sys

import jwt
from jwt.algorithms import get_default_algorithms


def load(alg, key):
    if key.lstrip().startswith("{"):
        return jwt.PyJWK.from_json(key, algorithm=alg).key
    return key


def sign(alg, key, kid, claims):
    return jwt.encode(claims, load(alg, key), algorithm=alg, headers={"kid": kid, "typ": "at+jwt"})


def verify(alg, key, token, iss, aud):
    return jwt.decode(
        token,
        load(alg, key),
        algorithms=[alg],
        issuer=iss,
        audience=aud,
        # The fixtures are older than the day they are checked on.
        options={"require": ["iss", "aud", "sub", "jti", "iat", "exp"], "verify_exp": False},
    )


def fixtures():
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    claims = {
        "iss": "https://id.example",
        "aud": "https://api.example",
        "sub": "ada",
        "jti": "pyjwt-1",
        "iat": 1767225600,
        "exp": 1767226200,
        "roles": ["editor"],
        "scope": "notes:read notes:write",
        "plan": {"name": "gold", "seats": 3},
    }
    keys = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "PS256": rsa.generate_private_key(65537, 3072),
        "RS256": rsa.generate_private_key(65537, 2048),
    }
    out = {"HS256": {"private": "4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE"}}
    for alg, key in keys.items():
        out[alg] = {
            "private": key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode(),
            "public": key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode(),
        }
    for alg, entry in out.items():
        entry["token"] = sign(alg, entry["private"], "py-" + alg, claims)
    return out


def main():
    assert "EdDSA" in get_default_algorithms(), "pyjwt needs the package cryptography"
    what = sys.argv[1]
    if what == "fixtures":
        print(json.dumps(fixtures(), indent=2))
        return
    request = json.load(sys.stdin)
    if what == "sign":
        print(sign(**request))
    elif what == "verify":
        print(json.dumps(verify(**request)))
    else:
        sys.exit("fixtures, sign or verify")


main()
