"""An arm that needs no model and no internet: it finds the sentiment of texts, and compares it.

It plans by the numbers and the order that a goal itself has, and validates by the forms of
criteria that rules can check. It is a service of its own that speaks `octollm`, and uses nothing of
the orchestrator but these forms.
"""

__version__ = "1.0.0"
