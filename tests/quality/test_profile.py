"""The population stability index (PSI), and profiles as text in tags."""

from hypothesis import given
from hypothesis import strategies as st

from spark_apps.quality.profile import FIGURES, Profile, largest_change, psi

COUNTS = st.lists(st.integers(0, 100_000), min_size=3, max_size=3)


@given(COUNTS, st.integers(1, 50))
def test_equal_shares_have_a_psi_of_zero(counts: list[int], times: int) -> None:
    assert psi(counts, [count * times for count in counts]) < 1e-12


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_not_negative_and_finite(first: list[int], second: list[int]) -> None:
    value = psi(first, second)
    assert 0 <= value < 100
    assert abs(value - psi(second, first)) < 1e-9


def test_psi_agrees_with_a_calculation_by_hand() -> None:
    # (0.5 - 0.25) ln 2 + (0.25 - 0.5) ln (1 / 2) + 0
    assert abs(psi([50, 25, 25], [25, 50, 25]) - 0.3466) < 1e-4
    assert psi([330, 330, 340], [300, 350, 350]) < 0.01
    assert psi([600, 200, 200], [300, 350, 350]) > 0.25


def test_a_profile_can_be_read_back_from_a_tag() -> None:
    profile = Profile(1_000_000, {name: [100_000] * len(of) for name, of in FIGURES.items()})
    assert Profile.from_text(str(profile)) == profile
    assert len(str(profile)) < 400
    # If another version of the program counts lengths in other bins, lengths are not comparable.
    assert set(Profile.from_text('{"tweets": 3, "counts": {"label": [1, 1, 1], "length": [3]}}').counts) == {"label"}


def test_the_bin_that_moved_most_is_named() -> None:
    now, before = (Profile(100, {"label": counts}) for counts in ([60, 20, 20], [30, 40, 30]))
    assert largest_change("label", now, before) == ("negative", 0.6, 0.3)
