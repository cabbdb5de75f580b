"""An arm that finds the sentiment of texts, without a model and without the internet.

It is a service of its own that speaks `octollm`, and uses nothing of the orchestrator.
"""

__version__ = "1.0.0"
