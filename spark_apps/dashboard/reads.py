"""Reads of the lake and of the registry, cached for all panels and browsers."""

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from spark_apps.dashboard import queries
from spark_apps.dashboard.descriptions import ModelDescriptions
from spark_apps.dashboard.production import ProductionVersion
from spark_apps.lake.status import LakeStatus, read_status
from spark_apps.monitoring.stream_reports import read_reports
from spark_apps.monitoring.stream_states import StreamState, stream_states
from spark_apps.quality.shadow import ShadowFigures
from spark_apps.quality.shadow_scores import read_shadow
from spark_apps.settings import Settings

# The panels are drawn at this interval.
REFRESH_SECONDS = 3.0
_SHADOW_SECONDS = 15.0


@st.cache_data(ttl=1.0, show_spinner=False, max_entries=4)
def status(lake: str) -> LakeStatus:
    """Read the status of the lake at most once a second, for all panels and browsers."""
    return read_status(lake, missing_ok=True)


@st.cache_resource(show_spinner=False)
def production(registry: str, timeout: float) -> ProductionVersion:
    """Return one `ProductionVersion` for all browsers."""
    return ProductionVersion(registry, timeout)


@st.cache_resource(show_spinner=False)
def descriptions(registry: str | None, timeout: float) -> ModelDescriptions:
    """Return one `ModelDescriptions` for all browsers."""
    return ModelDescriptions(registry, timeout)


@st.cache_data(ttl=REFRESH_SECONDS, show_spinner=False, max_entries=1)
def newest_version(lake: str) -> str | None:
    """Return the version that scored the newest tweet, for all panels and browsers; None if no tweet is scored."""
    return queries.newest_model_version(lake, status(lake))


@st.cache_data(ttl=_SHADOW_SECONDS, show_spinner=False, max_entries=2)
def shadow_figures(lake: str, version: str) -> ShadowFigures | None:
    """Read the figures of the shadow version, for all panels and browsers: this reads all of its tweets."""
    return read_shadow(lake, version)


@st.cache_data(ttl=REFRESH_SECONDS, show_spinner=False, max_entries=1)
def _read_states(lake: str, folder: Path | None, runbook: str) -> list[StreamState]:
    """Read the state of all streams once, for all panels and browsers."""
    return stream_states(status(lake), read_reports(folder), runbook, datetime.now(UTC))


def states(settings: Settings) -> list[StreamState]:
    return _read_states(str(settings.lake), settings.stream_status, settings.runbook)
