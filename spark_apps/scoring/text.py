"""Normalisation of tweet text before it is tokenised, the same in training and in scoring."""

import html
import re

# TweetEval (Barbieri et al., 2020) replaces every account by @user and every link by http, so that the model
# learns nothing about who is spoken of. A mention starts after anything but a word character: an e-mail
# address is none.
_MENTION = re.compile(r"(?<![\w@])@\w+")
_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
# A model reads some hundred tokens of a text, which are far fewer characters than these; what follows only takes time
# and memory.
_READ = 5_000


def normalise(text: str) -> str:
    """Return `text` as the model reads it: entities decoded, @user, http, single spaces, at most 5,000 characters."""
    decoded = html.unescape(text)
    return _SPACE.sub(" ", _MENTION.sub("@user", _LINK.sub("http", decoded))).strip()[:_READ]
