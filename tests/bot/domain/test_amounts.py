import pytest

from bot.domain.amounts import size_text


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_500_000, "2.5 MB"), (999_400_000, "999 MB"),
        (999_600_000, "1 GB"), (6_938_000_000, "6.94 GB"), (2_000_000_000_000, "2,000 GB"),
    ],
)  # fmt: skip
def test_sizes_as_people_read_them(size, shown):
    assert size_text(size) == shown
