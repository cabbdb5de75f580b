"""Screen one text and build the answer."""

from typing import Any

from .findings import Severity, merged, on_the_wire
from .injection.detection import find_injections
from .matching.folding import fold
from .pii.detection import find_pii


def screen(text: str, *, check_pii: bool = True, check_injection: bool = True) -> dict[str, Any]:
    """Return the fields of the protocol's answer that depend on the text.

    Only a critical injection makes the status `blocked`; the caller decides about all other
    findings.
    """
    folded = fold(text)
    pii = merged(find_pii(folded)) if check_pii else []
    injections = merged(find_injections(folded)) if check_injection else []
    critical = any(finding.severity is Severity.Critical for finding in injections)
    return {
        "status": "blocked" if critical else "success",
        "pii_detected": bool(pii),
        "injection_detected": bool(injections),
        "pii_matches": on_the_wire(pii, folded),
        "injection_matches": on_the_wire(injections, folded),
    }
