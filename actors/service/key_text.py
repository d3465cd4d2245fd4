"""Write keys of the API so that anybody can see what they are, and that they were not mistyped.

    hr_live_<id, 12>_<secret, 28><CRC-32 of what stands before, 6>      in base 62

The prefix and the checksum let scanners of source code find a key that leaked, and let a service
refuse a wrong one without a look at its store. 28 digits are 166 bits of chance, so one round of
SHA-256 keeps the secret: there is nothing to guess that a slower hash would protect.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

PREFIX = "hr_live_"
ID_LENGTH = 12
SECRET_LENGTH = 28
CHECKSUM_LENGTH = 6
LENGTH = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID = slice(len(PREFIX), len(PREFIX) + ID_LENGTH)


def new_key() -> str:
    """A key that nobody has had before."""
    text = f"{PREFIX}{_chance(ID_LENGTH)}_{_chance(SECRET_LENGTH)}"
    return text + checksum(text)


def id_of(key: str) -> str | None:
    """The id within a key, or None if the text is no key: mistyped, cut, or something else."""
    if len(key) != LENGTH or not key.startswith(PREFIX) or not key.isascii():
        return None
    body = key[:-CHECKSUM_LENGTH]
    return key[_ID] if checksum(body) == key[-CHECKSUM_LENGTH:] else None


def digest(key: str) -> bytes:
    """What is kept of a key: SHA-256 of its whole text, 32 bytes."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def checksum(text: str) -> str:
    """CRC-32 of an ASCII text, as six digits in base 62."""
    number = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def _chance(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))
