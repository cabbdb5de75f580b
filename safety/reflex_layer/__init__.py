"""The bundled Reflex Layer: a small service that screens text over HTTP.

It implements the protocol of the public Reflex Layer (`POST /process`) and runs in processes of
its own: `python -m safety.reflex_layer`. It imports nothing from the Orchestrator Service.

    __main__ ──> app ──> processing ──> screening ──> pii/, injection/ ──> matching/
                  │          └──> request, answers           └──> findings
                  └──> pool ──> template ┄┄> template_process ──> processing

    pii/        personal data: detection ──> cards, phones, credentials, checks ──> check_digits
    injection/  prompt injection: detection ──> rules, persona ──> languages ──> ignoring
    matching/   pattern matching: scanner ──> widening; patterns ──> folding
"""

__version__ = "1.0.0"
