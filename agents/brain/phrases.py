"""The answers brain's own few words; everything else it says is quoted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agents.brain.spoken import listed
from agents.tools.builtin import ARITHMETIC, END_CALL, TIME

OFFERS = ("Shall I go on?", "Would you like to hear more?", "Do you want more on that?")
NO_MORE = "What else would you like to know?"
UNKNOWN = "I don't know that."

GREETING = "Hello. What would you like to know?"
HELLO = "Hello! Ask me a question, or ask what I can do."
WELL = "I'm fine, thank you. What would you like to know?"
WELCOME = "You're welcome. What else would you like to know?"
DECLINED = "All right. What else would you like to know?"
GOODBYE = "Goodbye! It was nice talking to you."
UNHEARD = "I didn't catch that. Could you say it again?"
NOTHING_SAID = "I haven't told you anything yet. What would you like to know?"
THAT_IS_ALL = "That is all I have on that. What else would you like to know?"
WHAT_ABOUT = "Gladly. What would you like to hear about?"
STEPS = "I can't change my speed, so here it is in smaller steps."

_SKILLS = {TIME: "tell the time", ARITHMETIC: "do sums", END_CALL: "end the call"}
_TOPICS_NAMED = 4


def offer(turns: int) -> str:
    """An offer to go on; it varies with the number of turns so far."""
    return OFFERS[turns % len(OFFERS)]


def without_offer(text: str) -> str:
    for ending in (*OFFERS, NO_MORE):
        text = text.removesuffix(ending).rstrip()
    return text


def unknown(topics: Sequence[str], turns: int) -> str:
    """That it does not know, and three topics it does know, others each time."""
    named = [topics[(3 * turns + step) % len(topics)] for step in range(min(3, len(topics)))]
    return f"{UNKNOWN} I can tell you about {listed(_as_words(named), 'or')}." if named else UNKNOWN


def capabilities(topics: Sequence[str], tools: Collection[str]) -> str:
    """What it can be asked: a few topics from all over the documents, and its tools."""
    step = max(1, len(topics) // _TOPICS_NAMED)
    named = list(topics[::step][:_TOPICS_NAMED])
    skills = [words for tool, words in _SKILLS.items() if tool in tools]
    parts = [f"I can tell you about {listed(_as_words(named))}."] if named else []
    if skills:
        parts.append(f"I can also {listed(skills)}." if named else f"I can {listed(skills)}.")
    return " ".join(parts) or "I have nothing to tell yet: I was given no documents."


def _as_words(titles: Sequence[str]) -> list[str]:
    """Titles as they stand inside a sentence: a first word in title case is put in lower case."""
    return [f"{title[0].lower()}{title[1:]}" if title.split()[0].istitle() else title for title in titles]
