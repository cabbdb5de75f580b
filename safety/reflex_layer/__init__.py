"""The bundled Reflex Layer: a small, real service that screens text over HTTP.

It speaks the protocol of the public Reflex Layer (`POST /process`) and is served as its own
process by `python -m safety.reflex_layer`. It imports nothing of the Orchestrator Service.

    __main__ ──> app ──> screening ──> pii, injection ──> scanner ──> widening
                 app ──> request, metrics      pii, injection ──> findings ──> folding
"""

__version__ = "1.0.0"
