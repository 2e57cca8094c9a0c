"""The steps of a starting demo: in memory, in the file that the dashboard reads, and on the page."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from spark_apps.dashboard.startup import FILE_ENV, LAST, MODEL, STEPS, Startup

APP = Path(__file__).parents[2] / "spark_apps" / "dashboard" / "app.py"
USUAL = sum(step.seconds for step in STEPS)


def test_the_remaining_time_falls_and_stays_positive() -> None:
    startup = Startup(began=1000.0)
    assert startup.remaining(1000.0) == USUAL
    assert startup.remaining(1002.0) == USUAL - 2
    # A step that takes longer than usual does not shorten the estimate of the other steps.
    assert startup.remaining(2000.0) == USUAL - STEPS[0].seconds + 1
    startup.done = {step.key: 1010.0 for step in STEPS[:-1]}
    assert startup.remaining(1010.0) == STEPS[-1].seconds
    assert startup.remaining(9999.0) == 1


def test_another_process_reads_the_finished_steps(tmp_path: Path) -> None:
    file = tmp_path / "startup.json"
    assert Startup.read(file) is None
    startup = Startup(file=file)
    startup.write()
    assert startup.finish(MODEL.key) and not startup.finish(MODEL.key)
    copy = Startup.read(file)
    assert copy is not None and copy == Startup(startup.began, startup.done)
    assert copy.current == STEPS[0] and not copy.is_complete
    startup.finish(LAST)
    copy = Startup.read(file)
    assert copy is not None and copy.is_complete


def test_the_page_of_a_starting_demo_shows_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    startup = Startup(file=tmp_path / "startup.json")
    startup.finish("spark")
    monkeypatch.setenv(FILE_ENV, str(startup.file))
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path / "none"))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception
    assert app.info[0].value.startswith("Starting: first tweets in about")
    startup.finish(LAST)
    app.run()
    assert "There are no tables in" in app.info[0].value
