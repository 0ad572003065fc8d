from bot.promql.places import Places


def test_a_series_is_where_it_was_put_last():
    places = Places()
    places.put(5, 70)
    places.put(5, 80)
    places.put(5_000_000, 0)
    assert (places.get(5), places.get(5_000_000), len(places)) == (80, 0, 2)


def test_nobody_else_is_anywhere():
    places = Places()
    places.put(5, 70)
    assert [places.get(series) for series in (-1, 4, 6, 5_000_000)] == [-1] * 4
    places.drop(5)
    places.drop(5)
    places.drop(6)
    assert (places.get(5), 5 in places, len(places)) == (-1, False, 0)
