"""The bundled Reflex Layer: a small, real service that screens text over HTTP.

It speaks the protocol of the public Reflex Layer (`POST /process`) and is served by processes of
its own with `python -m safety.reflex_layer`. It imports nothing of the Orchestrator Service.

    __main__ ──> app ──> processing ──> screening ──> pii, injection ──> scanner ──> widening
                  │          │                              └────> findings ──> folding
                  │          └──> request, answers
                  └──> pool ──> template ┄┄> template_process ──> processing

    pii ──> cards, phones, credentials ──> patterns
    injection ──> injection_rules, persona ──> languages
"""

__version__ = "1.0.0"
