"""The variables of the environment that begin as ours do: settings, misspelt ones, and others'."""

import difflib
import re
from collections.abc import Collection, Iterable, MutableMapping
from typing import Final

PREFIX: Final = "ORCHESTRATOR_"
# Kubernetes describes each service to every container, in variables that begin with the name of
# the service: one named `orchestrator`, or `orchestrator-` and more, begins as our settings do.
_SERVICE_LINK: Final = re.compile(
    rf"{PREFIX}(SERVICE_\w+|PORT_\w+|\w+_SERVICE_(HOST|PORT\w*)|\w+_PORT_\d+_(TCP|UDP|SCTP)\w*)"
)
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")
# Names that stand for any number of variables would be a third pattern here.
_NOT_CHECKED: Final = (_SERVICE_LINK,)


def forget_service_addresses(environ: MutableMapping[str, str]) -> None:
    """Remove each `..._PORT` that Kubernetes has set to an address such as `tcp://10.0.0.1:80`.

    One of them is named as our own setting is, which has its default then.
    """
    for name in [*environ]:
        is_port = name.startswith(PREFIX) and name.endswith("_PORT")
        if is_port and _SERVICE_ADDRESS.match(environ[name]):
            del environ[name]


def unknown_variables(given: Iterable[str], known: Collection[str]) -> dict[str, list[str]]:
    """Return the faults of the variables that no setting reads, by their names."""
    return {
        name: [f"is unknown; the nearest known one is {_nearest(name, known)}"]
        for name in given
        if name.startswith(PREFIX)
        and name not in known
        and not any(pattern.fullmatch(name) for pattern in _NOT_CHECKED)
    }


def _nearest(name: str, known: Collection[str]) -> str:
    # Without the prefix, which makes all of them alike.
    names = [one.removeprefix(PREFIX) for one in known]
    [nearest] = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=0)
    return PREFIX + nearest
