"""What a caller is doing with an utterance, when it is not asking something: greeting, thanking, going on …"""

from __future__ import annotations

import re
from enum import Enum, auto

from agents.knowledge.text import content_words, words


class Act(Enum):
    """In order of weight: of several in one utterance, the first counts."""

    GOODBYE = auto()
    SLOWER = auto()
    REPEAT = auto()
    CAPABILITIES = auto()
    NAME = auto()
    MORE = auto()
    NO = auto()
    HOW_ARE_YOU = auto()
    THANKS = auto()
    HELLO = auto()


_FILLER = (
    r"(?:(?:um|uh|well|oh|okay|ok|alright|all right|so|then|now|please|just|great|good|cool|nice|perfect|and|but) )*"
)
_TAIL = r"(?: (?:please|then|now|there|guide|again|for now|thanks|thank you|very much|so much|a lot|everyone))*"
_A_BIT = r"(?: a)?(?: (?:little|bit|lot))?(?: bit)?"
_CAN_YOU = r"(?:(?:can|could|would|will) you )?(?:please )?"
_YOU_ARE = r"(?:you're|you are|that's|that was|you speak|you talk)"
_ABOUT_THAT = r"(?: about (?:that|it|this))?"

# Each line is one way to say it; a clause must be one of them whole.
_WAYS = {
    Act.GOODBYE: (
        r"good ?bye|bye(?: ?bye)?|good night|farewell",
        r"see (?:you|ya)(?: later| soon)?|(?:talk|speak) to you later",
        r"have a (?:good|nice|great) (?:day|one|evening|night)",
        r"that's (?:all|it|everything)|that is all|(?:i'm|i am|we're|we are) (?:done|finished)",
        r"i (?:have to|must|gotta|need to) go",
        _CAN_YOU + r"(?:hang up|end (?:the|this) (?:call|conversation))",
    ),
    Act.SLOWER: (
        _CAN_YOU
        + r"(?:say|repeat|speak|talk|go|explain)(?: (?:it|that|this))?"
        + _A_BIT
        + r" (?:slower|more slowly|slowly)",
        _CAN_YOU + r"slow down(?: a (?:bit|little))?|(?:a (?:bit|little|little bit) )?(?:slower|more slowly)",
        _YOU_ARE + r"(?: going| speaking| talking)?(?: a bit| much| way)? too (?:fast|quick|quickly)",
    ),
    Act.REPEAT: (
        _CAN_YOU + r"repeat(?: (?:that|it|yourself|the (?:last )?answer|what you(?: just)? said))?",
        _CAN_YOU
        + r"(?:say (?:that|it|this)(?: once more| one more time)?|say again|come again|once more|one more time)",
        r"(?:i beg your )?pardon(?: me)?|sorry|excuse me|what",
        r"what (?:did|was that) you (?:just )?(?:say|said)|what was that",
        r"i (?:didn't|did not|couldn't|could not) (?:catch|hear|get|understand)(?: that| you| it)?",
    ),
    Act.CAPABILITIES: (
        r"what (?:can|could) (?:you|i) (?:do|ask|help|tell|talk)(?: you)?(?: for me| me| with| about)*",
        r"what (?:else )?(?:can|could|should) i ask(?: you)?(?: about)?|what else can you (?:do|tell me)",
        r"what (?:do|are) you (?:know|for|able to do|good at|good for)(?: about)?",
        r"how can you help(?: me)?|what are your (?:skills|capabilities|topics)",
        r"what (?:topics|subjects|questions)(?: (?:can|do|could) (?:you|i) (?:know|cover|ask|talk about|answer))?",
        _CAN_YOU + r"help(?: me)?|i need help",
    ),
    Act.NAME: (r"(?:what's|what is) your name|(?:do you have|have you got) a name",),
    Act.MORE: (
        r"yes|yeah|yep|yup|sure|of course|absolutely|certainly|definitely|i do",
        r"(?:i'd|i would) (?:like|love) (?:that|to|to hear more|more)",
        _CAN_YOU + r"(?:go on|go ahead|continue|keep going|carry on|proceed|explain (?:more|further)|do)",
        _CAN_YOU + r"(?:tell|give) me (?:(?:a bit |some )?more|(?:more )?details?)" + _ABOUT_THAT,
        r"(?:say more|more(?: details?)?)" + _ABOUT_THAT + r"|what else|anything else",
        r"(?:let's|let me) hear (?:it|more)",
    ),
    Act.NO: (
        r"no(?: need| more| way)?|nope|nah|not (?:now|really|today|yet)|never ?mind|forget it",
        r"that's (?:enough|fine|okay|ok)|(?:i'm|i am) (?:good|fine|okay)",
        r"(?:stop|enough|be quiet|quiet|wait|hold on|cancel)(?: it| that)?",
    ),
    Act.HOW_ARE_YOU: (r"how are you(?: doing)?(?: today)?|how's it going|how is it going|how do you do|are you okay",),
    Act.THANKS: (
        r"thanks?(?: you)?(?: (?:a lot|so much|very much|for (?:that|your help|the help|everything)))?",
        r"cheers|much appreciated|i see|got it|understood",
        r"(?:that's|that was|very|how) (?:very )?(?:helpful|great|good|interesting|kind(?: of you)?|nice)",
        r"okay|ok|alright|all right|right|great|cool|nice|perfect|wonderful|good",
    ),
    Act.HELLO: (
        r"hello|hi|hey|howdy|greetings|good (?:morning|afternoon|evening|day)",
        r"(?:can|do) you hear me|is (?:anybody|anyone|somebody) there|are you there|nice to meet you|testing",
    ),
}
_ACTS = {act: re.compile(f"{_FILLER}(?:{'|'.join(ways)}){_TAIL}") for act, ways in _WAYS.items()}
_CLAUSE = re.compile(r"[.,!?;:\u2026\u2014]+")
_ADDRESS = re.compile(
    r"^(?:(?:hello|hi|hey|okay|ok|um|uh|so|well|oh|thanks|thank you|yes|yeah|no|great|please|alright) )+"
)
_BACK_REFERENCES = frozenset(
    ["it", "its", "it's", "that", "this", "those", "these", "they", "them", "their", "he", "she", "there", "one"]
)
_CONTINUES = re.compile(r"^(?:and|but|so|then|also|or|what about|how about|why is that|why|how so|how come)\b")


def act(text: str) -> Act | None:
    """The one act that a whole utterance consists of; None if anything in it is more than that."""
    found: list[Act] = []
    for clause in _clauses(text):
        named = _act_of(clause)
        if named is None:
            return _act_of(" ".join(words(text)))
        found.append(named)
    if Act.NO in found and Act.THANKS in found:
        return Act.NO
    return min(found, key=lambda act: act.value, default=None)


def question(text: str) -> str:
    """The utterance without the pleasantries before what it asks."""
    clauses = _clauses(text)
    while len(clauses) > 1 and _act_of(clauses[0]) is not None:
        clauses = clauses[1:]
    asked = " ".join(clauses)
    return _ADDRESS.sub("", asked) or asked


def is_follow_up(text: str) -> bool:
    """Whether the question cannot be understood without the one before it."""
    heard = words(text)
    if not content_words(text) or _CONTINUES.match(" ".join(heard)):
        return True
    return bool(_BACK_REFERENCES.intersection(heard)) and len(content_words(text)) <= 3


def _clauses(text: str) -> list[str]:
    return [clause for part in _CLAUSE.split(text.replace("\u2019", "'")) if (clause := " ".join(words(part)))]


def _act_of(clause: str) -> Act | None:
    return next((act for act, pattern in _ACTS.items() if pattern.fullmatch(clause)), None)
