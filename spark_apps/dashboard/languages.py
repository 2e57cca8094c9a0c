"""The table of sentiment by language. Language tags come from outside: the table escapes them."""

import html
import re

import pandas as pd
from babel.core import Locale, get_global, parse_locale

from spark_apps.dashboard.charts import COLOURS
from spark_apps.dashboard.components import TEXT_COLOURS
from spark_apps.dashboard.descriptions import DescriptionResult
from spark_apps.labels import LABELS
from spark_apps.scoring.description import Description

# At 50 tweets, the 95 % interval of a share is up to ±14 points. With fewer tweets, chance outweighs most differences
# between languages, so the table has no shares.
_MIN_TWEETS = 50
_ENGLISH = Locale("en")
# Former tags that Twitter still assigns: `in` is `id` today.
_ALIASES = get_global("language_aliases")
# Tags that name no language. Twitter assigns private tags, such as `qme` to tweets that are only a link to media.
_NO_LANGUAGE = re.compile("und|mul|mis|zxx|q[a-t][a-z]")


def table(counts: pd.DataFrame, description: Description | None) -> str:
    """Return the table as HTML.

    Args:
        counts: result of `queries.by_language`.
        description: description of the model that scored the tweets. It marks the languages on which the model was not
            trained. None, or a description without languages, marks none.
    """
    headings = "".join(f'<th style="color:{TEXT_COLOURS[label]}">{label}</th>' for label in LABELS)
    rows = [
        _row(str(lang), dict(zip(LABELS, tweets, strict=True)), description)
        for lang, *tweets in counts[["lang", *LABELS]].itertuples(index=False)
    ]
    return (
        f'<table class="languages"><thead><tr><th>language</th><th>tweets</th>{headings}<th></th><th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def why_unmarked(version: str, result: DescriptionResult) -> str:
    """Return why the table marks no language, as Markdown; empty if the description has the training languages."""
    # A URI may have characters that Markdown would format.
    if problem := result.problem.replace("`", "'"):
        return f"No language is marked, because the training languages of version {version} are unknown: `{problem}`"
    if result.description is None:
        return f"reading the training languages of version {version} …"
    if result.description.languages is None:
        return (
            f"No language is marked, because the description of version {version} does not name its training languages."
        )
    return ""


def name(tag: str) -> str:
    """Return the English name of a BCP 47 tag, such as "Hindi (Latin)"; the tag itself if it has no name."""
    try:
        language, territory, script, *_ = parse_locale(tag, sep="-")
    except ValueError:
        return tag
    known = _ENGLISH.languages.get(language) or _ENGLISH.languages.get(_ALIASES.get(language, ""))
    if known is None:
        return tag
    details = [_ENGLISH.scripts.get(script), _ENGLISH.territories.get(territory)]
    return f"{known} ({', '.join(filter(None, details))})" if any(details) else str(known)


def _row(tag: str, tweets: dict[str, int], description: Description | None) -> str:
    total = sum(tweets.values())
    trained_on = _training_tweets(tag, description)
    mark = ""
    if trained_on:
        mark = f"trained on {trained_on:,} tweets"
    elif trained_on == 0:
        mark = '<span class="mark">not trained on this language</span>'
    if total < _MIN_TWEETS:
        shares = f'<td class="few" colspan="4">fewer than {_MIN_TWEETS} tweets: no shares</td>'
    else:
        numbers = "".join(
            f'<td class="share" style="color:{TEXT_COLOURS[label]}">{tweets[label] / total:.0%}</td>'
            for label in LABELS
        )
        parts = "".join(
            f'<i style="width:{tweets[label] / total:.2%};background:{COLOURS[label]}"></i>' for label in LABELS
        )
        shares = f'{numbers}<td class="bar"><div>{parts}</div></td>'
    style = ' class="untrained"' if trained_on == 0 else ""
    return (
        f'<tr{style}><th scope="row">{html.escape(name(tag))} <small>{html.escape(tag)}</small></th>'
        f'<td>{total:,}</td>{shares}<td class="training">{mark}</td></tr>'
    )


def _training_tweets(tag: str, description: Description | None) -> int | None:
    """Return the number of training tweets of a language; None if it is unknown, or if the tag names no language."""
    if description is None or _NO_LANGUAGE.fullmatch(tag.lower()):
        return None
    return description.training_tweets(tag) or description.training_tweets(_ALIASES.get(tag, tag))
