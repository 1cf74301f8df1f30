"""The HTTP server: OpenAI, Ollama and our own routes over one queue of answers."""
