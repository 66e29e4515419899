"""How the admin presents each field of an AgentSpec: in which tab, under which label, with what help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """`rows` asks for a text area of that height."""

    label: str
    help: str = ""
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    fields: dict[str, Text]
    description: str = ""


_FALLBACKS = 'Accounts to try in this order when the first fails, with commas between; "embedded" is one.'
_SPEED = "1 is natural; 0.25 is slowest, 1.5 fastest."

SECTIONS = (
    Section(
        "Instructions & greeting",
        {
            "name": Text("Name", "Shown to people; the slug if empty."),
            "instructions": Text(
                "Instructions",
                "Who the agent is and how it speaks. A language model gets them before each conversation.",
                rows=12,
            ),
            "greeting": Text("Greeting", "Spoken as soon as a caller is connected. Empty: the caller begins.", rows=3),
            "apology": Text("Apology", "Spoken when a model fails and no fallback helps.", rows=2),
        },
    ),
    Section(
        "Brain",
        {
            "brain": Text(
                "Brain",
                '"answers" finds answers in the knowledge bases and needs no language model; "llm" talks with one; '
                '"rules" follows the rules below.',
            ),
            "llm.account": Text("Account", 'Where the language model runs. "embedded" runs a GGUF file here.'),
            "llm.model": Text("Model", "Its name at the account; with the embedded account the path of a GGUF file."),
            "llm.temperature": Text("Temperature", "0 to 2; higher is more varied. Empty: the model's own default."),
            "llm.max_output_tokens": Text("Longest reply", "In tokens, 1 to 32768."),
            "llm.context_tokens": Text(
                "Context",
                "Tokens that the model can read at once, 512 to 10000000. Past it the oldest of a conversation is left "
                "out. A GGUF file has 8192.",
            ),
            "llm.max_tool_rounds": Text("Tool rounds", "How often in one reply the model may call tools, 0 to 20."),
            "llm.fallbacks": Text("Fallbacks", _FALLBACKS),
            "rules": Text(
                "Rules",
                "A YAML list. Each has a name, an expression as when, and what to do when it holds: say a text, decide "
                "a value, or call a tool with arguments. The first that holds counts.",
                rows=16,
            ),
        },
    ),
    Section(
        "Events",
        {
            "feed.mode": Text(
                "Mode",
                '"text" decides on pushed events beside the conversation, in text; "speech" speaks in it; "off" takes '
                "no events.",
            ),
            "feed.take": Text(
                "Take", 'A decision answers the news of "all" keys, or of the "one" whose news is oldest.'
            ),
            "feed.deadline_ms": Text(
                "Deadline", "Ms from the arrival of an event to the decision on it, 0 to 60000. 0: none."
            ),
            "feed.interval_ms": Text(
                "Interval", "Least ms from the beginning of one decision to the next, 0 to 60000."
            ),
            "feed.memory": Text("Memory", "How many past decisions a language model is shown, 0 to 20."),
            "feed.schema": Text(
                "Schema", "The JSON schema, written as YAML, that each decision must satisfy. Empty: any text.", rows=8
            ),
            "feed.series": Text(
                "Series",
                "A YAML list of figures kept of each key: name, of (the path of a number), kind (mean, ewma, min, max, "
                "previous) and span (a number of events).",
                rows=6,
            ),
        },
        "What the agent makes of events that a client pushes: market ticks, game state.",
    ),
    Section(
        "Ears",
        {
            "stt.account": Text("Account", "Where speech becomes text."),
            "stt.model": Text("Model", "Empty: the account's default."),
            "stt.streaming": Text(
                "Stream while speaking",
                "Send the audio while it is spoken, over the server's Realtime API (/realtime?intent=transcription), "
                "and show the words as they come. Off: one request after the utterance.",
            ),
            "stt.language": Text("Language", 'A two-letter code such as "en".'),
            "stt.prompt": Text("Vocabulary", "Names and rare words to expect.", rows=2),
            "stt.fallbacks": Text("Fallbacks", _FALLBACKS),
        },
    ),
    Section(
        "Voice",
        {
            "tts.account": Text("Account", "Where text becomes speech."),
            "tts.model": Text("Model", "Empty: the account's default."),
            "tts.voice": Text("Voice", "Its name at the account. Empty: the default voice."),
            "tts.speed": Text("Speed", _SPEED),
            "tts.fallbacks": Text("Fallbacks", _FALLBACKS),
        },
    ),
    Section(
        "Turn detection",
        {
            "turn_detection.type": Text(
                "Type",
                '"server_vad" ends a turn after a silence. "semantic_vad" also asks a model whether the sentence is '
                'finished. "none" leaves turns to the client.',
            ),
            "turn_detection.silence_duration_ms": Text(
                "Silence", "Ms of silence that end a turn, 0 to 10000. Shorter answers faster and cuts in more."
            ),
            "turn_detection.threshold": Text(
                "Threshold", "How sure the detector must be, 0 to 1, that it hears speech. Raise it in noise."
            ),
            "turn_detection.prefix_padding_ms": Text("Padding", "Ms of audio kept from before the speech, 0 to 5000."),
            "turn_detection.eagerness": Text(
                "Eagerness", "How soon an unfinished sentence is answered all the same; for semantic_vad."
            ),
            "turn_detection.idle_timeout_ms": Text(
                "Idle timeout", "Ms of silence, 5000 to 30000, after which the agent speaks up. Empty: never."
            ),
            "turn_detection.create_response": Text("Answer each turn", "Off: only when the client asks for a reply."),
            "turn_detection.interrupt_response": Text("Can be interrupted", "Speech of the caller stops the agent."),
        },
        "When the caller's turn begins and ends. Names and ranges are those of OpenAI Realtime.",
    ),
    Section(
        "Latency",
        {
            "latency.first_chunk": Text(
                "Start with", "Speak the first clause as soon as it ends, or wait for the whole sentence."
            ),
            "latency.lead_ms": Text(
                "Lead", "Ms that audio is sent ahead of real time, 40 to 5000. More survives a worse network."
            ),
            "latency.first_delta_ms": Text("First piece", "Ms of audio in the first event of a reply, 20 to 200."),
            "latency.delta_ms": Text("Later pieces", "Ms of audio in each later event, 20 to 400."),
            "latency.optimistic": Text(
                "Optimistic replies",
                "Begin to answer as soon as the caller may have finished, and let it be heard once that is certain. If "
                "they go on, what was begun is thrown away: that costs tokens.",
            ),
            "latency.optimistic_attempts": Text(
                "Attempts", "How often in one turn an answer is begun early, 1 to 20. A GGUF model here: once."
            ),
            "latency.optimistic_tokens": Text(
                "Tokens in vain",
                "Of the language model's, a minute and caller, 0 to 10000000. Beyond, answers are begun when the turn "
                "is over.",
            ),
            "acknowledgement.phrases": Text(
                "Acknowledgements",
                'A YAML list of short phrases ("Let me see.") that take turns: one is spoken when the answer is not '
                "ready in time. Their audio is made when a session begins. Empty: none.",
                rows=3,
            ),
            "acknowledgement.after_ms": Text(
                "Acknowledge after",
                "Ms from the end of the caller's turn, 0 to 5000. An answer by then stands alone.",
            ),
            "filler.phrases": Text(
                "Fillers",
                'A YAML list of phrases ("One moment.") that take turns while a tool of the agent\'s keeps the caller '
                "waiting. Empty: none.",
                rows=3,
            ),
            "filler.after_ms": Text("Fill after", "Ms that a tool has run, 200 to 30000."),
        },
        "Trades between promptness and smoothness.",
    ),
    Section(
        "Tools & knowledge",
        {
            "tools": Text("Tools", "What the agent may do. Webhooks are added under Tools."),
            "knowledge": Text("Knowledge", "Where the agent looks things up."),
        },
    ),
    Section(
        "Clients",
        {
            "overrides.server_keys": Text("With an API key", "What a server may change in its session."),
            "overrides.ephemeral": Text("With a client secret", "What a browser or phone may change in its session."),
        },
        "What a client asks for beyond this is ignored, and the session says so.",
    ),
    Section(
        "Privacy",
        {
            "store_text": Text(
                "Store text", "Keep what was said, for 7 days. Off: only times and counts are kept, never words."
            ),
        },
    ),
)

TEXTS = {path: text for section in SECTIONS for path, text in section.fields.items()}
