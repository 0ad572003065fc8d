from bot.demo.limits import Bucket, Limits, Window


def test_a_channel_takes_a_burst_of_four_and_then_one_message_a_second():
    limits = Limits()

    assert [limits.post("C1", 100.0) for _ in range(5)] == [0, 0, 0, 0, 1]
    assert limits.post("C1", 100.9) == 1
    assert limits.post("C1", 101.0) == 0
    assert limits.post("C1", 101.0) == 1


def test_channels_do_not_share_their_second():
    limits = Limits()
    for _ in range(5):
        limits.post("C1", 100.0)

    assert limits.post("C2", 100.0) == 0


def test_a_workspace_takes_three_hundred_messages_a_minute():
    limits = Limits()

    assert [limits.post(f"C{number}", 100.0) for number in range(300)] == [0] * 300
    assert limits.post("C-new", 110.0) == 50
    assert limits.post("C-newer", 160.0) == 0


def test_edits_are_limited_to_fifty_a_minute_and_say_when_to_come_back():
    limits = Limits()

    assert [limits.call("chat.update", 100.0 + number / 10) for number in range(50)] == [0] * 50
    assert limits.call("chat.update", 130.0) == 30
    assert limits.call("chat.update", 160.0) == 0


def test_tiers_are_counted_per_method():
    limits = Limits()
    for _ in range(20):
        limits.call("users.list", 100.0)

    assert limits.call("users.list", 100.0) == 60
    assert limits.call("conversations.list", 100.0) == 0


def test_methods_without_a_tier_are_free():
    limits = Limits()

    assert [limits.call("auth.test", 100.0) for _ in range(1000)] == [0] * 1000


def test_opening_connections_is_rare_but_a_few_at_once_are_fine():
    limits = Limits()

    assert [limits.call("apps.connections.open", 100.0) for _ in range(6)] == [0, 0, 0, 0, 0, 60]


def test_a_clock_that_goes_back_never_gives_more():
    bucket, window = Bucket(1.0, 1.0), Window(1)

    assert (bucket.take(100.0), bucket.take(50.0)) == (0, 1)
    assert (window.take(100.0), window.take(50.0)) == (0, 110)
