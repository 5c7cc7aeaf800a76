"""When something was handed in: never some hours wrong without a word."""

from datetime import datetime

import pytest

from autograde.course.gradebook import read_timestamp
from autograde.course.timestamps import read_time

NOON = datetime(2030, 7, 1, 12)


@pytest.mark.parametrize(
    "text",
    [
        "2030-07-01 12:00:00 UTC",
        "2030-07-01 12:00:00.000000 UTC\n",
        "2030-07-01 12:00:00",
        "2030-07-01T12:00:00Z",
        "\ufeff2030-07-01 12:00 GMT",
        "2030-07-01 14:00:00 +0200",  # as nbgrader writes it, and reads it as 200 seconds
        "2030-07-01 14:00:00 +02:00",
        "2030-07-01T14:00:00+02:00",
        "2030-07-01 06:30:00 -0530",
        "2030-07-01 14:00:00 Europe/Berlin",
        "2030-07-01 12:00 PM",
    ],
)
def test_the_same_noon(text):
    assert read_time(text) == NOON


def test_summer_and_winter_time_have_their_own_hours():
    assert read_time("2030-01-01 13:00 Europe/Berlin") == datetime(2030, 1, 1, 12)
    assert read_time("2030-01-31 11:00 PM") == datetime(2030, 1, 31, 23)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2030-07-01 12:00:00 XEST", "a time zone that is not known here, 'XEST'"),
        ("01.02.2030 12:00", "no date that can be read"),
        ("tomorrow", "no date that can be read"),
        ("2030-13-45 12:00", "no date that can be read"),
    ],
)
def test_what_nobody_knows_is_said(tmp_path, text, said):
    (tmp_path / "timestamp.txt").write_text(text)
    assert read_timestamp(tmp_path) == (None, f"timestamp.txt holds {said}: {EXPECTED}")


EXPECTED = "expected one such as 2030-01-31 12:00:00 UTC, or +01:00 in place of UTC"
