"""The bundled Reflex Layer: a small, real service that screens text over HTTP.

It speaks the protocol of the public Reflex Layer (`POST /process`) and is served by processes of
its own with `python -m safety.reflex_layer`. It imports nothing of the Orchestrator Service.

    __main__ ──> app ──> processing ──> screening ──> pii/, injection/ ──> matching/
                  │          └──> request, answers           └──> findings
                  └──> pool ──> template ┄┄> template_process ──> processing

    pii/        personal data: detection ──> cards, phones, credentials, checks ──> check_digits
    injection/  prompt injection: detection ──> rules, persona ──> languages ──> ignoring
    matching/   texts against patterns: scanner ──> widening; patterns ──> folding
"""

__version__ = "1.0.0"
