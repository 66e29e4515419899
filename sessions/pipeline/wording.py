"""What the words of a pause say: whether more must come, or whether they only say "I am listening".

Lists are short and of words whose meaning at this place is plain. A language without a list is judged by the rules
that need none: figures, single letters, addresses, a comma at the end.
"""

from __future__ import annotations

import re


def _words(lists: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in lists.items()}


CONNECTIVES = _words(
    {
        "en": "and or but so because cause with to the a an of for from my your our their his if when while although "
        "since than um uh er erm uhm hmm i'm i'd i'll it's that's",
        "de": "und oder aber weil denn dass der die das den dem ein eine einen einem von für mein meine dein wenn als "
        "ob äh ähm öh hm",
        "fr": "et ou mais donc car parce que qui avec à le la les un une des du de pour dans en sur mon ma mes votre "
        "si quand euh heu ben",
        "es": "y e o u pero porque que con a el la los las un una de del para por en mi su si cuando eh este",
        "it": "e o ma perché che con a il lo la i gli le un una di del della per da in mio mia se quando ehm eh",
        "nl": "en of maar want omdat dat de het een van voor mijn uw als eh uhm",
        "pt": "e ou mas porque que com a o os as um uma de do da para por em meu minha se quando hum",
    }
)
"""Words that a sentence does not end with, and the sounds of thinking, by ISO 639-1 code."""
NUMBERS = _words(
    {
        "en": "zero oh one two three four five six seven eight nine ten double triple hundred thousand",
        "de": "null eins zwei zwo drei vier fünf sechs sieben acht neun zehn hundert tausend",
        "fr": "zéro un deux trois quatre cinq six sept huit neuf dix cent mille",
        "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez cien mil",
        "it": "zero uno due tre quattro cinque sei sette otto nove dieci cento mille",
        "nl": "nul een twee drie vier vijf zes zeven acht negen tien honderd duizend",
        "pt": "zero um dois três quatro cinco seis sete oito nove dez cem mil",
    }
)
ADDRESS = _words(
    {
        "en": "at dot slash underscore dash hyphen colon www http https",
        "de": "at punkt schrägstrich unterstrich bindestrich doppelpunkt www http https",
        "fr": "arobase point slash tiret www http https",
        "es": "arroba punto barra guion guión www http https",
        "it": "chiocciola punto barra trattino www http https",
        "nl": "apenstaartje punt slash streepje www http https",
        "pt": "arroba ponto barra hífen www http https",
    }
)
"""What stands between the parts of a spoken e-mail or web address."""
BACKCHANNELS = {
    "en": r"m+h+m+|mm+|h+m+|mm hm+|u+h huh|a+h|o+h|aha|yeah|yep|yup|yes|ok|okay|right|all right|alright|sure|i see"
    r"|got it|wow|cool|nice|great|true|exactly|of course|go on|really",
    "de": r"m+h+m+|mm+|h+m+|aha|ach|ach so|ja|jaja|jo|ok|okay|gut|genau|klar|stimmt|verstehe|richtig|alles klar",
    "fr": r"m+h+m+|mm+|h+m+|ah|oui|ouais|ok|okay|d'accord|bien|voilà|je vois|exactement|bien sûr",
    "es": r"m+h+m+|mm+|aj[aá]|ah|sí|ya|ok|okay|vale|claro|bien|bueno|de acuerdo|entiendo|exacto",
    "it": r"m+h+m+|mm+|ah|sì|già|ok|okay|va bene|certo|bene|capisco|esatto|giusto",
    "nl": r"m+h+m+|mm+|h+m+|aha|ja|jaja|jo|ok|oké|okay|goed|precies|klopt|juist|ik snap het",
    "pt": r"m+h+m+|mm+|ah|aham|sim|ok|okay|tá|tá bom|certo|claro|bem|entendo|exato|pois",
}
"""What a listener says while the other speaks, and means nothing by but "go on"."""

MOST_BACKCHANNELS = 4
NUMBER_DIGITS = 10
"""A number that is dictated has seldom fewer figures, and a reader of longer ones pauses as if at an end."""

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪")
_WHOLE_ADDRESS = re.compile(r"\.[^\W\d_]{2,}$")


def wordless(text: str) -> bool:
    """Whether a transcript has no word: it is empty, or only says what sound there was, "[coughs]"."""
    return not _TOKEN.search(_ASIDE.sub(" ", text))


def is_backchannel(text: str, language: str) -> bool:
    """Whether all of it only says that the speaker listens."""
    spoken = " ".join(_TOKEN.findall(_ASIDE.sub(" ", text).casefold().replace("’", "'")))
    known = BACKCHANNELS.get(language[:2], BACKCHANNELS["en"])
    return re.fullmatch(rf"(?:(?:{known})(?: |$)){{1,{MOST_BACKCHANNELS}}}", spoken) is not None


def unfinished(text: str, language: str) -> bool:
    """Whether the speaker can hardly have finished: a word, a number, a spelling or an address is still to come."""
    said = text.strip().casefold().replace("’", "'")
    if not said or said.endswith("?"):
        return False
    if said.endswith((",", "…", "...", "-", "–", ":")):
        return True
    tokens = _TOKEN.findall(said)
    if not tokens:
        return False
    return (
        tokens[-1] in _listed(CONNECTIVES, language)
        or tokens[-1] in _listed(ADDRESS, language)
        or _half_an_address(said)
        or _dictated(tokens, language)
    )


def _listed(lists: dict[str, frozenset[str]], language: str) -> frozenset[str]:
    return lists.get(language[:2], frozenset())


def _half_an_address(said: str) -> bool:
    """Written as an address already, but without its end: "anna@example", "www.example"."""
    last = said.rsplit(maxsplit=1)[-1].rstrip(".!")
    if "@" in last:
        return not _WHOLE_ADDRESS.search(last)
    return last.startswith(("www.", "http")) and last.count(".") < 2


def _dictated(tokens: list[str], language: str) -> bool:
    """Figures or letters said one by one, and not yet as many as make a telephone number."""
    numbers = _listed(NUMBERS, language)
    letters = figures = parts = 0
    for token in reversed(tokens):
        if token.isdecimal():
            figures += len(token)
        elif token in numbers:
            figures += 1
        elif len(token) == 1:
            letters += 1
        else:
            break
        parts += 1
    alone = parts == 1 and not (tokens[-1].startswith("0") and figures > 1)
    return not alone and 2 <= letters + figures < NUMBER_DIGITS
