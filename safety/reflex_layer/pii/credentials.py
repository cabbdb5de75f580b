"""Patterns for keys, tokens and passwords, and checks that reject placeholders."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..matching.patterns import as_folded


@dataclass(frozen=True, slots=True)
class Credential:
    """A pattern whose group `v` is a secret, for the text with its case or in lower case."""

    pattern: re.Pattern[str]
    confidence: float
    check: Callable[[re.Match[str]], bool] | None = None
    cased: bool = True


# Placeholders that people write instead of a secret.
PLACEHOLDER = re.compile(
    r"[$<{%\[(*]|\.{2}|x{3}|(?:your|my|the|some|insert|enter|put)[-_ ]|"
    r"(?:change|replace)[-_ ]?(?:me|this|it)|"
    r"(?:example|placeholder|dummy|redacted|masked|hidden|todo|tbd|none|null|nil|undefined|"
    r"required|optional|default|string|secretref|vault:|env[:.])"
)

# Names of algorithms and formats mix letters and digits, like secrets.
ALGORITHM = re.compile(
    r"(?:sha|md|hs|rs|es|ps|aes|rsa|ed|x|base|utf|oauth|argon2?i?d?|bcrypt|pbkdf|scrypt|uuid|"
    r"http|tls|ipv|v|rot|k8s|s3|ec|e2e|p)-?\d*[a-z]?"
)
CODE = re.compile(
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[A-Za-z_][\w.]*[(\[{].*|~?\.{0,2}/.*|[a-z0-9+]{2,10}://.*"
)
MARK = re.compile(r"[!@#$%^&*+?~]")
NAME_PART = re.compile(r"[a-z]+|v?\d{1,2}")
FEWEST_CHARACTERS = 6
FEWEST_CHARACTERS_WITH_MARK = 8


def is_secret(match: re.Match[str]) -> bool:
    """Distinguish a secret from a placeholder, an expression of code, or a plain name."""
    value = match["v"].rstrip(".,:)]}>")
    lower = value.lower()
    if len(value) < FEWEST_CHARACTERS or PLACEHOLDER.match(lower) or CODE.fullmatch(value):
        return False
    if MARK.search(value) and re.search("[a-z]", lower):
        return len(value) >= FEWEST_CHARACTERS_WITH_MARK
    parts = [part for part in re.split(r"[-_./:,]", lower) if part]
    is_name = all(NAME_PART.fullmatch(part) or ALGORITHM.fullmatch(part) for part in parts)
    return not is_name and bool(re.search("[a-z]", lower) and re.search(r"\d", lower))


def is_link_password(match: re.Match[str]) -> bool:
    """Reject words that documentation uses as the password in a link."""
    value = match["v"].lower()
    return not PLACEHOLDER.match(value) and value not in DOCUMENTED_PASSWORDS


def has_digit(match: re.Match[str]) -> bool:
    """Reject values without a digit: tokens are random, so such a value is a word."""
    return bool(re.search(r"\d", match["v"]))


DOCUMENTED_PASSWORDS = frozenset(
    {"pass", "password", "passwd", "pwd", "secret", "token", "postgres", "guest", "root", "user"}
)

# Services give their keys these prefixes so that scanners can find them.
PREFIXED = (
    r"sk-[A-Za-z0-9_-]{16,250}",  # OpenAI, Anthropic
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,250}|whsec_[A-Za-z0-9]{16,100}",  # Stripe
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{20,250}|github_pat_[A-Za-z0-9_]{20,250}",
    r"glpat-[A-Za-z0-9_-]{16,100}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",  # Slack
    r"AIza[A-Za-z0-9_-]{30,40}|ya29\.[A-Za-z0-9_-]{20,250}",  # Google
    r"hf_[A-Za-z0-9]{30,50}|npm_[A-Za-z0-9]{30,50}|pypi-[A-Za-z0-9_-]{50,250}",
    r"SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{16,60}",  # SendGrid
    r"dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-f]{32}",  # DigitalOcean, Shopify
    r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}",  # Telegram
    r"eyJ[A-Za-z0-9_-]{5,2000}\.[A-Za-z0-9_-]{5,4000}\.[A-Za-z0-9_-]{2,1000}",  # JSON web token
)

# Longer names may end in these.
CHOSEN_NAMES = (
    "(?:p(?:ass(?:word|wort|wd|phrase|code)|wd?)|kennwort|mot de passe|contrasena|senha|"
    "parola d.ordine|wachtwoord|passord|adgangskode|losenord|hasło|heslo|sifre|пароль|пароля|"
    "密码|密碼|パスワード|비밀번호)"
)
NAMES = as_folded(
    r"(?:(?:api|access|private|auth|encryption|signing|account|subscription)[ _-]?key|"
    rf"secret(?:[ _-]?(?:access)?[ _-]?key)?|credential|{CHOSEN_NAMES})s?"
)
# The text between a name and its value; in a nested object, it may contain more names.
GIVES = as_folded(
    r"[\"'`]{0,2}(?: (?:for|of|to|für|pour|para|per|voor|de|del|do|для|от)(?: [^\s:=]{1,30}){1,4})?"
    r"\s{0,3}(?:[:=]=?>?|->|→|\b(?:is(?: now)?|ist|lautet|est|es|e|era)\b|是|为)\s{0,3}"
    r"(?:[\"'`]?[a-z0-9_][a-z0-9_.-]{0,31}[\"'`]?: ){0,19}[\"'`]?"
)

# The characters between two lines of a key: line ends, escaped line ends, and the marks of a
# quotation, a list or a diff.
BREAK = r"(?:[\s>|\"'`,+#*]|\\{1,4}[nrt])"
# An ordinary word is shorter, and has no digit and no capital after a lower-case letter.
KEY_LINE = (
    r"(?=[A-Za-z0-9+/=]{24}|[A-Za-z]{0,63}(?:[0-9+/=]|[a-z][A-Z]))[A-Za-z0-9+/=]+"
    rf"(?={BREAK}|[\\)}}\]<]|--|\Z)"
)
KEY_LINES = rf"(?:{BREAK}{{1,80}}{KEY_LINE})*"
KEY_HEADERS = rf"(?:{BREAK}{{1,80}}[A-Z][A-Za-z-]{{2,20}}: [^\n\\]{{0,200}}){{0,8}}"
KEY_LABEL = r"(?:[A-Z0-9]{2,10} ){0,4}PRIVATE KEY(?: BLOCK)?"
# A block ends with its END line. Without one, it ends where the lines no longer look like those of
# a key. Neither form goes past two dashes, so the search can continue with the next key.
KEY_BLOCK = (
    rf"-{{2,6}} ?BEGIN {KEY_LABEL} ?-{{2,6}}"
    rf"(?:[^-]*(?:-(?!-)[^-]*)*-{{2,6}} ?END {KEY_LABEL} ?-{{2,6}}|{KEY_HEADERS}{KEY_LINES})"
)
# The first bytes of keys of OpenSSH, PKCS #1 and PKCS #8, to find keys without their BEGIN line.
KEY_BYTES = r"(?:b3BlbnNzaC1rZXktdjE|MII[A-Za-z0-9+/]{3}IB(?:AAKC|ADAN))"


def is_encoded_key(match: re.Match[str]) -> bool:
    """Distinguish a private key in base64 from a certificate, which begins in the same way."""
    start = match["v"][:80].translate(URLSAFE)
    try:
        return b"PRIVATE KEY" in base64.b64decode(start[: len(start) // 4 * 4])
    except binascii.Error:
        return False


URLSAFE = str.maketrans("-_", "+/")

CREDENTIALS = (
    Credential(re.compile(rf"(?P<v>{KEY_BLOCK})"), 0.99),
    Credential(re.compile(rf"(?P<v>Private-Lines: \d{{1,3}}{KEY_LINES})"), 0.99),  # PuTTY
    Credential(
        re.compile(rf"(?<![A-Za-z0-9+/])(?P<v>{KEY_BYTES}[A-Za-z0-9+/=]+{KEY_LINES})"), 0.98
    ),
    # "-----BEGIN " in base64, as in a Kubernetes secret.
    Credential(re.compile(r"(?P<v>LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]+)"), 0.98, is_encoded_key),
    *(
        Credential(
            re.compile(rf"(?<![A-Za-z0-9_-])(?P<v>{prefixed})(?![A-Za-z0-9_-])"), 0.98, has_digit
        )
        for prefixed in PREFIXED
    ),
    # A key of this service, also with other characters around it.
    Credential(re.compile(r"(?P<v>octollm_[A-Za-z0-9]{57})"), 0.99),
    Credential(
        re.compile(
            r"hooks\.slack\.com/services/(?P<v>T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}/[A-Za-z0-9]{16,40})"
        ),
        0.98,
    ),
    # The password in a link or a database URL.
    Credential(
        re.compile(r"://[^\s/:@\"'<>]{0,64}:(?P<v>[^\s/@\"'<>]{3,128})@(?=[\w\[])"),
        0.9,
        is_link_password,
    ),
    Credential(
        re.compile(r"(?:bearer|basic)\s{1,3}(?P<v>[a-z0-9._~+/-]{16,500}=*)"),
        0.9,
        has_digit,
        cased=False,
    ),
    # Only a secret that a person chose may consist of digits alone.
    Credential(
        re.compile(rf"{as_folded(CHOSEN_NAMES)}s?{GIVES}(?P<v>\d{{6,20}})(?!\w)"),
        0.8,
        cased=False,
    ),
    Credential(
        re.compile(rf"{NAMES}{GIVES}(?P<v>[^\s\"'`,;|<>]{{6,300}})"),
        0.85,
        is_secret,
        cased=False,
    ),
    Credential(
        re.compile(rf"tokens?{GIVES}(?P<v>[^\s\"'`,;|<>]{{12,300}})"),
        0.85,
        is_secret,
        cased=False,
    ),
)
