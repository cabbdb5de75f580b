"""Environment variables with our prefix: settings, misspelt names, and those of Kubernetes."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from typing import Final

from tasks.arms.declared import Invalid, valid_secret

PREFIX: Final = "ORCHESTRATOR_"
# In every container, Kubernetes sets variables that describe each service and begin with its
# name. Those of a service named `orchestrator` or `orchestrator-...` have our prefix.
_SERVICE_LINK: Final = re.compile(
    rf"{PREFIX}(SERVICE_\w+|PORT_\w+|\w+_SERVICE_(HOST|PORT\w*)|\w+_PORT_\d+_(TCP|UDP|SCTP)\w*)"
)
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")
_ARM_SECRET: Final = re.compile(rf"{PREFIX}ARM_([A-Z][A-Z0-9_]*)_SECRET")
# A setting whose name has a variable part needs a pattern here.
_NOT_CHECKED: Final = (_SERVICE_LINK, _ARM_SECRET)


def forget_service_addresses(environ: MutableMapping[str, str]) -> None:
    """Remove each `..._PORT` that Kubernetes has set to an address such as `tcp://10.0.0.1:80`.

    One of them has the name of our own setting, which then takes its default.
    """
    for name in [*environ]:
        is_port = name.startswith(PREFIX) and name.endswith("_PORT")
        if is_port and _SERVICE_ADDRESS.match(environ[name]):
            del environ[name]


def unknown_variables(given: Iterable[str], known: Collection[str]) -> dict[str, list[str]]:
    """Return an error message for each variable that no setting reads, by its name."""
    return {
        name: [f"is unknown; the closest known variable is {_nearest(name, known)}"]
        for name in given
        if name.startswith(PREFIX)
        and name not in known
        and not any(pattern.fullmatch(name) for pattern in _NOT_CHECKED)
    }


def arm_secrets(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the secrets of arms by the arm's name, and error messages by the variable's name.

    An arm need not be declared to have a secret, because the console can register it.
    """
    secrets: dict[str, str] = {}
    faults: dict[str, list[str]] = {}
    for variable, value in environ.items():
        match = _ARM_SECRET.fullmatch(variable)
        if match is None or not value:
            continue
        try:
            secrets[match[1].lower().replace("_", "-")] = valid_secret(value)
        except Invalid as invalid:
            faults[variable] = [str(invalid)]
    return secrets, faults


def _nearest(name: str, known: Collection[str]) -> str:
    # Compare without the prefix, which would make all names similar.
    names = [one.removeprefix(PREFIX) for one in known]
    [nearest] = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=0)
    return PREFIX + nearest
