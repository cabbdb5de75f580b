"""Patterns for keys, tokens and passwords, and the judgement of what is only a stand-in."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credential:
    """A pattern for a secret, its group `v`, over the text with its case or in lower case."""

    pattern: re.Pattern[str]
    confidence: float
    check: Callable[[re.Match[str]], bool] | None = None
    cased: bool = True


# What people write where a secret will stand later.
PLACEHOLDER = re.compile(
    r"[$<{%\[(*]|\.{2}|x{3}|(?:your|my|the|some|insert|enter|put)[-_ ]|"
    r"(?:change|replace)[-_ ]?(?:me|this|it)|"
    r"(?:example|placeholder|dummy|redacted|masked|hidden|todo|tbd|none|null|nil|undefined|"
    r"required|optional|default|string|secretref|vault:|env[:.])"
)

# Names of algorithms and formats mix letters and digits as a secret does.
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
    """Tell a secret from a placeholder, an expression of code, or a plain name."""
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
    """Refuse the words that documentation writes for the password in a link."""
    value = match["v"].lower()
    return not PLACEHOLDER.match(value) and value not in DOCUMENTED_PASSWORDS


def has_digit(match: re.Match[str]) -> bool:
    """A token of a service is random, so one without any digit is a word."""
    return bool(re.search(r"\d", match["v"]))


DOCUMENTED_PASSWORDS = frozenset(
    {"pass", "password", "passwd", "pwd", "secret", "token", "postgres", "guest", "root", "user"}
)

# Prefixes that services give their keys so that scanners can find them.
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

# Each begins with a plain letter, which lets the search skip ahead. Longer names end in these.
NAMES = (
    r"(?:(?:api|access|private|auth|encryption|signing|account|subscription)[ _-]?keys?|"
    r"secret(?:[ _-]?(?:access)?[ _-]?key)?|pass(?:word|wd|phrase|code)|pwd|credentials?|token)"
)

CREDENTIALS = (
    Credential(re.compile(r"(?P<v>-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY-----)"), 0.99),
    *(
        Credential(
            re.compile(rf"(?<![A-Za-z0-9_-])(?P<v>{prefixed})(?![A-Za-z0-9_-])"), 0.98, has_digit
        )
        for prefixed in PREFIXED
    ),
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
    # Digits alone are a secret only where a person chose them.
    Credential(
        re.compile(
            r"p(?:ass(?:word|wd|phrase|code)|wd)[\"'`]?\s{0,3}[:=]\s{0,3}[\"'`]?(?P<v>\d{6,20})(?!\w)"
        ),
        0.8,
        cased=False,
    ),
    Credential(
        re.compile(
            rf"{NAMES}[\"'`]{{0,2}}\s{{0,3}}(?:[:=]=?>?|\bis\b(?: now)?)"
            r"\s{0,3}[\"'`]?(?P<v>[^\s\"'`,;|<>]{6,300})"
        ),
        0.85,
        is_secret,
        cased=False,
    ),
)
