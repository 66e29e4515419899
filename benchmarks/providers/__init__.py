"""A server that speaks the OpenAI API and does exactly what its script says, when it says."""
