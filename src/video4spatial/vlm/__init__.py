"""Asking a vision-language model: questions, an OpenAI-compatible server or a local model, answers kept on disk."""
