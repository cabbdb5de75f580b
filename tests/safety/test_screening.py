"""Screening a redacted text again, with a peer that searches for patterns."""

import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from safety.document import MAX_TEXT_BYTES, Document, Place
from safety.exceptions import NoVerdict
from safety.findings import Kind
from safety.gate import ReflexGate
from safety.policy import PiiAction, Policy, Verdict
from safety.reflex_client.client import ReflexClient
from safety.reflex_client.guarded import GuardedClient
from safety.screening import MAX_REDACTIONS, Screening
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, answer, in_turn, says

REDACTING = Policy(pii=PiiAction.REDACT)
EMAIL = r"\w+@\w+"


@pytest.fixture
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


def screen(
    peer: ScriptedReflexLayer, fields: dict[str, Any], *, deadline_seconds: float = 20
) -> Screening:
    gate = ReflexGate(
        client=GuardedClient(
            ReflexClient(url=peer.url, connections=1),
            failures=10**9,
            reset_seconds=60,
            probe_deadline_seconds=20,
        ),
        policy=REDACTING,
        deadline_seconds=deadline_seconds,
    )
    return gate.screen(Document(fields), request_id="request-1")


def looks_for(peer: ScriptedReflexLayer, pii: dict[str, str], injection: str = "$^") -> Behaviour:
    """Find these patterns in each text, which must be ASCII."""

    def matches(pattern: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            {"start": match.start(), "end": match.end(), "matched_text": match[0]} | fields
            for match in re.finditer(pattern, peer.texts[-1])
        ]

    def behave(connection: socket.socket) -> bool:
        personal = [one for name, pattern in pii.items() for one in matches(pattern, pii_type=name)]
        injections = matches(injection, injection_type="DANVariant", severity="High")
        sent = answer(
            pii_detected=bool(personal),
            pii_matches=personal,
            injection_detected=bool(injections),
            injection_matches=injections,
        )
        return says(sent)(connection)

    return behave


def goal_of(screening: Screening) -> Any:
    assert screening.redaction
    return screening.redaction.document.fields["goal"]


def test_a_clean_text_is_screened_once(peer: ScriptedReflexLayer) -> None:
    screening = screen(peer, {"goal": "Plan"})

    assert peer.texts == ["Plan\n"]
    assert (screening.verdict, screening.redaction) == (Verdict.SAFE, None)


def test_a_redacted_text_is_screened_again(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"Email": EMAIL})

    screening = screen(peer, {"goal": "ask jane@x now"})

    assert peer.texts == ["ask jane@x now\n", "ask [EMAIL] now\n"]
    assert (screening.verdict, goal_of(screening)) == (Verdict.SAFE, "ask [EMAIL] now")


def test_a_finding_that_another_one_had_hidden_is_redacted_too(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"Email": EMAIL, "Phone": r"\] \d{4}|^\d{4}"})

    screening = screen(peer, {"goal": "jane@x 5550 and 5551"})

    assert goal_of(screening) == "[PHONE] and 5551"
    assert screening.redacted_types == ("Email", "Phone")
    # All places refer to the text that the client sent.
    assert [finding.places for finding in screening.findings] == [
        (Place(0, 0, 6),),
        (Place(0, 0, 11),),
    ]


def test_the_rest_of_a_token_is_redacted_with_the_finding(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"ApiKey": "hunter2", "Email": EMAIL})

    screening = screen(peer, {"goal": "password: hunter2,restOfIt77 of mary.o'jane@x."})

    assert goal_of(screening) == "password: [APIKEY] of [EMAIL]."


def test_a_finding_inside_a_label_does_not_count(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"Email": EMAIL, "ApiKey": "EMAIL"}, injection=r"\[EMAIL\]")

    screening = screen(peer, {"goal": "ask jane@x now"})

    assert (screening.verdict, goal_of(screening)) == (Verdict.SAFE, "ask [EMAIL] now")
    assert [finding.type for finding in screening.findings] == ["Email"]


def test_an_uncertain_finding_inside_a_label_counts(peer: ScriptedReflexLayer) -> None:
    email = {"pii_type": "Email", "start": 0, "end": 6, "matched_text": "jane@x"}
    # The quoted text is not at this place, so the place may be wrong.
    odd = {"pii_type": "Email", "start": 0, "end": 3, "matched_text": "odd"}
    peer.behaviour = in_turn(says(answer(pii_matches=[email])), says(answer(pii_matches=[odd])))

    screening = screen(peer, {"goal": "jane@x"})

    assert (screening.verdict, screening.blocked_for) == (Verdict.BLOCKED, {Kind.PII})


def test_an_injection_that_a_label_uncovers_blocks(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"Email": EMAIL}, injection=r"ignore \[")

    screening = screen(peer, {"goal": "ignore jane@x"})

    assert (screening.verdict, screening.blocked_for) == (Verdict.BLOCKED, {Kind.INJECTION})
    assert (screening.redaction, screening.redacted_types) == (None, ())
    assert [finding.type for finding in screening.findings] == ["Email", "DANVariant"]


def test_a_text_with_new_findings_after_each_redaction_is_refused(
    peer: ScriptedReflexLayer,
) -> None:
    # Each label turns the next word into a finding.
    peer.behaviour = looks_for(peer, {"Phone": r"^\w+|\] \w+"})

    screening = screen(peer, {"goal": "a b c d e f g"})

    assert len(peer.texts) == 1 + MAX_REDACTIONS
    assert (screening.verdict, screening.blocked_for) == (Verdict.BLOCKED, {Kind.PII})
    assert screening.reason == "findings remain after redaction"
    assert screening.redaction is None


def test_a_text_with_three_rounds_of_findings_is_redacted(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"Phone": r"^\w+|\] \w+"})

    screening = screen(peer, {"goal": "a b c"})

    assert (screening.verdict, goal_of(screening)) == (Verdict.SAFE, "[PHONE]")


def test_a_text_that_is_too_long_after_redaction_is_refused(peer: ScriptedReflexLayer) -> None:
    peer.behaviour = looks_for(peer, {"MedicalRecordNumber": r"^\d{4}"})
    longer_by = len("[MEDICALRECORDNUMBER]") - len("1234")
    # With its line end, the redacted text has exactly the largest allowed size.
    fits = "1234 ".ljust(MAX_TEXT_BYTES - longer_by - 1, "x")

    assert screen(peer, {"goal": fits}).verdict is Verdict.SAFE
    refused = screen(peer, {"goal": fits + "x"})
    assert (refused.verdict, refused.blocked_for) == (Verdict.BLOCKED, {Kind.PII})
    assert refused.reason == "text too long after redaction"


def test_all_rounds_share_one_deadline(peer: ScriptedReflexLayer) -> None:
    finds = looks_for(peer, {"Phone": r"^\w+|\] \w+"})

    def slow(connection: socket.socket) -> bool:
        threading.Event().wait(0.3)
        return finds(connection)

    peer.behaviour = slow

    with pytest.raises(NoVerdict, match="deadline exceeded"):
        screen(peer, {"goal": "a b c"}, deadline_seconds=0.5)
    assert len(peer.texts) == 2


def test_a_screening_that_was_flagged_stays_flagged(peer: ScriptedReflexLayer) -> None:
    email = {"pii_type": "Email", "start": 0, "end": 6, "matched_text": "jane@x"}
    link = {"injection_type": "DataExfiltration", "severity": "Low", "start": 0, "end": 6}
    flagged = answer(pii_matches=[email], injection_detected=True, injection_matches=[link])
    peer.behaviour = in_turn(says(flagged), says(answer()))

    screening = screen(peer, {"goal": "jane@x"})

    assert (screening.verdict, goal_of(screening)) == (Verdict.FLAGGED, "[EMAIL]")


def test_a_finding_that_remains_in_the_text_is_reported_once(peer: ScriptedReflexLayer) -> None:
    link = {"injection_type": "DataExfiltration", "severity": "Low"}
    found = {"start": 9, "end": 10, "matched_text": "y"}
    later = {"start": 10, "end": 11, "matched_text": "y"}
    email = {"pii_type": "Email", "start": 0, "end": 6, "matched_text": "jane@x"}
    first = answer(pii_matches=[email], injection_matches=[link | found])
    peer.behaviour = in_turn(says(first), says(answer(injection_matches=[link | later])))

    screening = screen(peer, {"goal": "jane@x , y"})

    assert [finding.type for finding in screening.findings] == ["Email", "DataExfiltration"]
