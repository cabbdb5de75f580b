"""The Django project of the OctoLLM Orchestrator: settings, serving, observability, console."""

VERSION = "1.0.0"
