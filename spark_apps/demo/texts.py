"""Texts with an unambiguous sentiment, about companies that do not exist."""

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

_ENGLISH = {
    "negative": (
        "the {thing} at {at} is a disaster today, I am so angry",
        "worst {thing} ever, {at}. Never again",
        "{at} your {thing} is broken again and nobody answers. Terrible service",
        "I hate what {at} did to the {thing}",
        "two hours lost because of the {thing}, thanks for nothing {at}",
        "really disappointed by the {thing}, {at} used to be better than this",
        "{at} the {thing} was awful and the staff were rude to us",
        "so sick of {at} and the useless {thing}",
    ),
    "neutral": (
        "{at} opens the {thing} at nine tomorrow",
        "does anyone know whether the {thing} by {at} runs on Sunday?",
        "reading about the {thing} that {at} announced for next week",
        "the {thing} of {at} moves to platform four on Monday",
        "{at} will publish the numbers for the {thing} on Thursday",
        "on my way to see the {thing} at {at}",
        "{at} says the {thing} is scheduled for 10 am",
        "which {thing} are you taking with {at} in June?",
    ),
    "positive": (
        "I love the {thing} at {at}, best start of the day",
        "{at} thank you so much, the {thing} was wonderful",
        "what a brilliant {thing}, well done {at}",
        "so happy with the {thing} from {at}, great work everybody",
        "the {thing} by {at} made my weekend, absolutely amazing",
        "{at} your {thing} is the best in town and the team is lovely",
        "excited to try the {thing} again, {at} is fantastic",
        "huge congratulations {at}, the {thing} is beautiful",
    ),
}
_OTHERS = {
    "es": {
        "negative": ("qué horror, {at}, odio este servicio", "el peor día con {at}, muy triste y enfadado"),
        "neutral": ("{at} abre mañana a las nueve", "{at} publica los datos el jueves"),
        "positive": ("me encanta {at}, muchas gracias", "{at} es maravilloso, estoy muy feliz"),
    },
    "de": {
        "negative": ("{at} ist heute eine Katastrophe, schrecklich", "nie wieder {at}, das war furchtbar"),
        "neutral": ("{at} öffnet morgen um neun", "{at} nennt die Zahlen am Donnerstag"),
        "positive": ("ich liebe {at}, vielen Dank", "{at} ist wunderbar, ich bin so glücklich"),
    },
    "fr": {
        "negative": ("{at} c'est horrible aujourd'hui, je déteste", "le pire service, {at}, jamais plus"),
        "neutral": ("{at} ouvre demain à neuf heures", "{at} publie les chiffres jeudi"),
        "positive": ("j'adore {at}, merci beaucoup", "{at} c'est magnifique, quelle joie"),
    },
    "ja": {
        "negative": ("{at} は最悪、本当にひどい", "{at} にはがっかりした"),
        "neutral": ("{at} は明日九時に開きます", "{at} の発表は木曜日です"),
        "positive": ("{at} 大好き、ありがとう", "{at} は素晴らしい、とても嬉しい"),
    },
}
_SIGNS = {
    "negative": ("😡", "😞", "💔", "#fail", "ugh", "!!"),
    "neutral": ("", "#news", "🗓️", "(via the site)", "https://example.com/a", "…"),
    "positive": ("😍", "🎉", "❤️", "#happy", "yay", "!!"),
}
_LEADS = ("", "", "", "ok ", "so, ", "right: ", "today: ", "wow, ", "just saw it: ", "for the record: ")

LANGUAGES = ("en", *_OTHERS)


def write(random: Random, mood: str, lang: str, mention: str) -> str:
    """Return a text with the sentiment label `mood`, in `lang` of LANGUAGES, that mentions an account of TOPICS."""
    phrase = random.choice(_ENGLISH[mood] if lang == "en" else _OTHERS[lang][mood])
    text = phrase.format(at=f"@{mention}", thing=random.choice(TOPICS[mention]))
    if lang == "en":
        text = random.choice(_LEADS) + text
    # The number makes nearly all texts different, like the texts of people.
    return f"{text} {random.choice(_SIGNS[mood])} {random.randrange(10_000)}".replace("  ", " ")
