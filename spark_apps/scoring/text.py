"""The limits and the normalisation of a text before a model reads it: the same in training, export and scoring."""

import re

from spark_apps import html_text

# Training and export truncate a text to this number of tokens.
MAX_TOKENS = 128
# TweetEval (Barbieri et al., 2020) replaces every account by @user and every link by http, so that the model
# learns nothing about individual accounts. A mention does not follow a word character or @, which excludes e-mail
# addresses.
_MENTION = re.compile(r"(?<![\w@])@\w+")
_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
# Far more than `MAX_TOKENS` tokens: a longer text would only cost time and memory.
_MAX_CHARACTERS = 5_000


def normalise(text: str) -> str:
    """Return `text` as the model reads it.

    Decodes HTML entities, replaces accounts by @user and links by http, collapses white space, and truncates the result
    to 5,000 characters.
    """
    decoded = html_text.unescape(text)
    return _SPACE.sub(" ", _MENTION.sub("@user", _LINK.sub("http", decoded))).strip()[:_MAX_CHARACTERS]
