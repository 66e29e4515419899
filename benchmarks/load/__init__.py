"""Many clients with open microphones: who was answered, how soon, and whether the answers had holes.

    python -m benchmarks.load --url ws://localhost:8000 --key rp_… --agent bench --sessions 20 --seconds 60

Each client sends a frame of 20 ms whenever a microphone would have filled one, on an absolute schedule with a
phase of its own: a recorded room at -50 dBFS, and an utterance at moments fixed in advance, whether the last one
was answered or not. The clients live in processes of their own. A run in which they were late themselves is void.
"""
