"""SQL of the dashboard over the Gold tables sentiment, trends and mentions."""

from spark_apps.lake.query import Statement

# Types of Filters.parameters, which are $1, $2 and $3 of most statements. DataFusion removes a condition with a NULL
# parameter. The condition on `tweet_date` prunes the partitions of lakes that `relayout` has not rewritten.
_FILTERS = ("TIMESTAMP WITH TIME ZONE", "DATE", "VARCHAR[]")
# Leaves out tweets that could not be scored.
LABELLED_VIEW = "CREATE VIEW labelled AS SELECT * FROM sentiment WHERE label IS NOT NULL"
LANGUAGES = Statement(
    """
    SELECT lang, sum(tweets) AS tweets FROM trends GROUP BY lang ORDER BY tweets DESC, lang LIMIT 50
    """,
)
TWEETS_OVER_TIME = Statement(
    """
    SELECT date_bin($4, timestamp) AS time, label, count(*) AS tweets FROM labelled
    WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    GROUP BY 1, 2 ORDER BY 1
    """,
    *_FILTERS,
    "INTERVAL",
)
TRENDS_OVER_TIME = Statement(
    """
    SELECT date_bin($4, minute) AS time, label, CAST(sum(tweets) AS BIGINT) AS tweets FROM trends
    WHERE ($1 IS NULL OR minute >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    GROUP BY 1, 2 ORDER BY 1
    """,
    *_FILTERS,
    "INTERVAL",
)
# The charts begin at the 5th percentile of the times: a few late tweets do not stretch the axis.
SPAN_OF_TWEETS = Statement(
    """
    SELECT approx_percentile_cont(0.05) WITHIN GROUP (ORDER BY CAST(extract(epoch FROM timestamp) AS BIGINT)) AS first,
           CAST(max(extract(epoch FROM timestamp)) AS BIGINT) AS last FROM labelled
    WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    """,
    *_FILTERS,
)
SPAN_OF_TRENDS = Statement(
    """
    SELECT approx_percentile_cont_with_weight(tweets, 0.05)
             WITHIN GROUP (ORDER BY CAST(extract(epoch FROM minute) AS BIGINT)) AS first,
           CAST(max(extract(epoch FROM minute)) AS BIGINT) AS last FROM trends
    WHERE ($1 IS NULL OR minute >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    """,
    *_FILTERS,
)
TOTALS_OF_TWEETS = Statement(
    """
    SELECT label, count(*) AS tweets FROM labelled
    WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    GROUP BY label
    """,
    *_FILTERS,
)
TOTALS_OF_TRENDS = Statement(
    """
    SELECT label, CAST(sum(tweets) AS BIGINT) AS tweets FROM trends
    WHERE ($1 IS NULL OR minute >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    GROUP BY label
    """,
    *_FILTERS,
)
LANGUAGES_IN_TWEETS = Statement(
    """
    SELECT lang, count(*) FILTER (WHERE label = 'negative') AS negative,
           count(*) FILTER (WHERE label = 'neutral') AS neutral, count(*) FILTER (WHERE label = 'positive') AS positive
    FROM labelled
    WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    GROUP BY lang ORDER BY count(*) DESC, lang LIMIT $4
    """,
    *_FILTERS,
    "BIGINT",
)
LANGUAGES_IN_TRENDS = Statement(
    """
    SELECT lang, CAST(sum(CASE WHEN label = 'negative' THEN tweets ELSE 0 END) AS BIGINT) AS negative,
           CAST(sum(CASE WHEN label = 'neutral' THEN tweets ELSE 0 END) AS BIGINT) AS neutral,
           CAST(sum(CASE WHEN label = 'positive' THEN tweets ELSE 0 END) AS BIGINT) AS positive
    FROM trends
    WHERE ($1 IS NULL OR minute >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    GROUP BY lang ORDER BY sum(tweets) DESC, lang LIMIT $4
    """,
    *_FILTERS,
    "BIGINT",
)
MENTIONS_IN_TWEETS = Statement(
    """
    WITH mentioned AS (
      SELECT unnest(mentions) AS mention, label FROM labelled
      WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
    )
    SELECT mention, count(*) FILTER (WHERE label = 'negative') AS negative,
           count(*) FILTER (WHERE label = 'neutral') AS neutral, count(*) FILTER (WHERE label = 'positive') AS positive,
           count(*) AS total
    FROM mentioned GROUP BY mention ORDER BY total DESC, mention LIMIT $4
    """,
    *_FILTERS,
    "BIGINT",
)
# gold/mentions has days instead of timestamps: $1 is the first day, $2 the languages, $3 the limit.
MENTIONS_BY_DAY = Statement(
    """
    SELECT mention, CAST(sum(negative) AS BIGINT) AS negative, CAST(sum(neutral) AS BIGINT) AS neutral,
           CAST(sum(positive) AS BIGINT) AS positive, CAST(sum(total) AS BIGINT) AS total
    FROM mentions WHERE ($1 IS NULL OR tweet_date >= $1) AND ($2 IS NULL OR array_has($2, lang))
    GROUP BY mention ORDER BY total DESC, mention LIMIT $3
    """,
    "DATE",
    "VARCHAR[]",
    "BIGINT",
)
LATEST = Statement(
    """
    SELECT id, timestamp, lang, full_text, label, score, model_version, scored_at, landed_at FROM labelled
    WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
      AND ($4 IS NULL OR scored_at >= $4)
    ORDER BY scored_at DESC, timestamp DESC LIMIT $5
    """,
    *_FILTERS,
    "TIMESTAMP WITH TIME ZONE",
    "BIGINT",
)
LATEST_COLUMNS = (
    "id", "timestamp", "lang", "full_text", "label", "score", "model_version", "scored_at", "landed_at",
)  # fmt: skip
FRESHNESS = Statement(
    """
    WITH waited AS (
      SELECT extract(epoch FROM scored_at) - extract(epoch FROM landed_at) AS seconds FROM labelled
      WHERE $1 IS NULL OR scored_at >= $1
    )
    SELECT approx_percentile_cont(seconds, 0.5) AS median, approx_percentile_cont(seconds, 0.95) AS p95,
           count(*) AS tweets FROM waited
    """,
    "TIMESTAMP WITH TIME ZONE",
)
NO_HUMAN_LABELS_VIEW = "CREATE VIEW human_labels AS SELECT '' AS id"
# Tweets without a human label, the least certain first: the margin between the two highest probabilities, plus 1, is
# twice the highest plus the lowest. Copies of a text are offered once, as their original.
UNCERTAIN = Statement(
    """
    SELECT id, lang, full_text, label, score, model_version FROM labelled
    WHERE ($1 IS NULL OR timestamp >= $1) AND ($2 IS NULL OR tweet_date >= $2) AND ($3 IS NULL OR array_has($3, lang))
      AND ($4 IS NULL OR scored_at >= $4) AND ($5 IS NULL OR strpos(lower(full_text), lower($5)) > 0)
      AND retweet_of IS NULL AND id NOT IN (SELECT id FROM human_labels)
    ORDER BY 2 * greatest(negative, neutral, positive) + least(negative, neutral, positive), id LIMIT $6
    """,
    *_FILTERS,
    "TIMESTAMP WITH TIME ZONE",
    "VARCHAR",
    "BIGINT",
)
UNCERTAIN_COLUMNS = ("id", "lang", "full_text", "label", "score", "model_version")
