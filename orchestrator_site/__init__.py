"""The composition root of the OctoLLM Orchestrator."""

VERSION = "1.0.0"
