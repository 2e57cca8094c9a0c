"""Makes labelled tweets of the labels that people gave on the dashboard: the table `human_labels`."""

from pathlib import Path
from zlib import crc32

from spark_apps.labels import LABELS
from spark_apps.lake.commits import LakeError
from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.lake.status import check_exists
from spark_apps.model.dataset import Split, write_split
from spark_apps.tables import GOLD_SENTIMENT, HUMAN_LABELS

# One tweet in this number is in the split val. The id decides: a tweet stays in its split when labels are added.
_VALIDATION = 5
# An erased tweet is not in gold/sentiment any more.
_LABELLED = Statement(
    """
    WITH last AS (
      SELECT id, label, row_number() OVER (PARTITION BY id ORDER BY labelled_at DESC) AS number FROM human_labels
    )
    SELECT sentiment.id, full_text, lang, last.label, extract(year FROM timestamp) AS year
    FROM sentiment JOIN last ON sentiment.id = last.id WHERE number = 1 AND last.label IS NOT NULL ORDER BY 1
    """
)


def write_human_labels(lake: str, folder: Path) -> dict[str, int]:
    """Write the labelled tweets of a lake as the splits train and val; return the number of tweets in each.

    Raises:
        LakeError: the lake is not readable, or has too few labels for two splits.
    """
    check_exists(lake)
    query = LakeQuery.open(lake, sentiment=GOLD_SENTIMENT, human_labels=HUMAN_LABELS)
    rows = query.rows(_LABELLED) if query else []
    splits = {name: _split([row for row in rows if _split_of(row["id"]) == name]) for name in ("train", "val")}
    if not all(map(len, splits.values())):
        raise LakeError(
            f"{HUMAN_LABELS.path(lake)} has labels of {len(rows)} tweets, too few for training and validation: label "
            "more tweets on the dashboard (TWEETS_LABELLING=true)"
        )
    for name, split in splits.items():
        write_split(folder, name, split)
    return {name: len(split) for name, split in splits.items()}


def _split_of(id_: str) -> str:
    return "val" if crc32(id_.encode()) % _VALIDATION == 0 else "train"


def _split(rows: list[dict[str, str]]) -> Split:
    return Split(
        [row["full_text"] for row in rows],
        [LABELS.index(row["label"]) for row in rows],
        [row["lang"] for row in rows],
        [f"human_labels_{row['year']}" for row in rows],
    )
