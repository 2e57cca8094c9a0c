"""Texts with an unambiguous sentiment, about companies that do not exist."""

import json
from pathlib import Path
from random import Random

# Mentioned accounts, and what people tweet about each of them.
TOPICS = {
    "northwindair": ("flight", "check-in", "cabin crew", "boarding"),
    "bluekettle": ("coffee", "breakfast", "cold brew", "new café"),
    "metroline": ("train", "night bus", "ticket app", "morning tram"),
    "pixelphones": ("phone", "camera", "battery", "update"),
    "rivercityfc": ("match", "first half", "new keeper", "season"),
    "lumenpower": ("power bill", "support line", "smart meter", "new tariff"),
    "opalbank": ("card", "app", "branch", "transfer"),
    "fernbakery": ("sourdough", "birthday cake", "queue", "cinnamon roll"),
    "orbitgames": ("new level", "server", "soundtrack", "patch"),
    "kitehotels": ("room", "front desk", "breakfast buffet", "pool"),
}

# Sentences by language and label. The sentiment of each is in its words: signs are an addition.
_PHRASES: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("phrases.json").read_text(encoding="utf-8")
)
_ENGLISH_SIGNS = {
    "negative": ("😡", "😞", "💔", "#fail", "ugh", "!!"),
    "neutral": ("", "#news", "🗓️", "(via the site)", "https://example.com/a", "…"),
    "positive": ("😍", "🎉", "❤️", "#happy", "yay", "!!"),
}
# Half of the texts in other languages have no sign, so that a model must read the words.
_OTHER_SIGNS = {
    "negative": ("", "", "", "😡", "💔", "!!"),
    "neutral": ("", "", "", "🗓️", "https://example.com/a", "…"),
    "positive": ("", "", "", "😍", "🎉", "!!"),
}
_LEADS = ("", "", "", "ok ", "so, ", "right: ", "today: ", "wow, ", "just saw it: ", "for the record: ")

# BCP 47 tags: `hi` is Hindi in Devanagari, `hi-Latn` in Latin letters.
LANGUAGES = tuple(_PHRASES)


def write(random: Random, mood: str, lang: str, mention: str) -> str:
    """Return a text with the sentiment label `mood`, in `lang` of LANGUAGES, that mentions an account of TOPICS."""
    phrase = random.choice(_PHRASES[lang][mood])
    text = phrase.format(at=f"@{mention}", thing=random.choice(TOPICS[mention]))
    if lang == "en":
        text = random.choice(_LEADS) + text
    sign = random.choice((_ENGLISH_SIGNS if lang == "en" else _OTHER_SIGNS)[mood])
    # The number makes nearly all texts different, like the texts of people.
    return f"{text} {sign} {random.randrange(10_000)}".replace("  ", " ")
