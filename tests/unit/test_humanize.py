import pytest

from bot.humanize import (
    go_exponent,
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
)

# Printed by promtool 2.42 for these values.
TRUTH = [
    (0.0, "0", "0s", "0%", "0", "1970-01-01 00:00:00 +0000 UTC"),
    (1.0, "1", "1s", "100%", "1", "1970-01-01 00:00:01 +0000 UTC"),
    (99999.0, "100k", "1d 3h 46m 39s", "1e+07%", "97.66ki", "1970-01-02 03:46:39 +0000 UTC"),
    (12345678.5, "12.35M", "142d 21h 21m 18s", "1.235e+09%", "11.77Mi", "1970-05-23 21:21:18.5 +0000 UTC"),
    (0.00001234, "12.34u", "12.34us", "0.001234%", "1.234e-05", "1970-01-01 00:00:00 +0000 UTC"),
    (-90061.7, "-90.06k", "-1d 1h 1m 1s", "-9.006e+06%", "-87.95ki", "1969-12-30 22:58:58.3 +0000 UTC"),
    (59.99, "59.99", "59.99s", "5999%", "59.99", "1970-01-01 00:00:59.99 +0000 UTC"),
    (61.5, "61.5", "1m 1s", "6150%", "61.5", "1970-01-01 00:01:01.5 +0000 UTC"),
    (-0.25, "-250m", "-250ms", "-25%", "-0.25", "1969-12-31 23:59:59.75 +0000 UTC"),
    (123456.789, "123.5k", "1d 10h 17m 36s", "1.235e+07%", "120.6ki", "1970-01-02 10:17:36.789 +0000 UTC"),
    (1048576.0, "1.049M", "12d 3h 16m 16s", "1.049e+08%", "1Mi", "1970-01-13 03:16:16 +0000 UTC"),
    (999.99999, "1000", "16m 39s", "1e+05%", "1000", "1970-01-01 00:16:39.999 +0000 UTC"),
    (float("nan"), "NaN", "NaN", "NaN%", "NaN", "NaN"),
    (float("inf"), "+Inf", "+Inf", "+Inf%", "+Inf", "+Inf"),
]


@pytest.mark.parametrize("row", TRUTH, ids=[str(row[0]) for row in TRUTH])
def test_numbers_read_as_prometheus_writes_them(row):
    value, *texts = row
    functions = (humanize, humanize_duration, humanize_percentage, humanize1024, humanize_timestamp)
    assert [function(value) for function in functions] == texts


def test_an_instant_beyond_sixty_four_bits_of_nanoseconds_is_a_value_error():
    with pytest.raises(ValueError, match="1e\\+20 cannot be represented"):
        humanize_timestamp(1e20)


@pytest.mark.parametrize(("value", "text"), [(1.0, "1e+00"), (0.0, "0e+00"), (12345.678, "1.2345678e+04")])
def test_the_api_writes_values_with_an_exponent(value, text):
    assert go_exponent(value) == text
