from html.parser import HTMLParser

import pytest

from bot.authoring.page import page
from bot.slack.kit import actions, button, context, fields, header, mrkdwn, section
from bot.slack.text import code, link, mrk

HOSTILE = '<script>alert(1)</script>"\'&<@U1> <!channel> *x* `y` <https://evil.example|z> "onload="x'


class _Seen(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def drawn(*blocks):
    return page("T", [("It", blocks)]).split("<article>")[1].split("</article>")[0]


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (header("Down & out"), "<h2>Down &amp; out</h2>"),
        (section("*bold* and `code`"), "<div><b>bold</b> and <code>code</code></div>"),
        (section("a &lt;b&gt; &amp;amp;"), "<div>a &lt;b&gt; &amp;amp;</div>"),
        (section("one", "two"), "<div>one<br>two</div>"),
        (section("```a &lt; b\n*c*```"), "<div><pre>a &lt; b\n*c*</pre></div>"),
        (
            section("<https://x.example/?a=1&amp;b=2|T>"),
            '<div><a href="https://x.example/?a=1&amp;b=2" rel="noreferrer">T</a></div>',
        ),
        (section("<!date^0^{time}|02:17 UTC>"), "<div>02:17 UTC</div>"),
        (section("<javascript:alert(1)|T>"), "<div>T</div>"),
        (fields([("Now", "1")]), '<div class="fields"><div><b>Now</b><br>1</div></div>'),
        (context("small"), '<div class="context">small</div>'),
        (
            actions("a", [button("Ack", "x", "y", "primary")]),
            '<div class="actions"><span class="primary">Ack</span></div>',
        ),
        ({"type": "image"}, '<p class="aside">image</p>'),
    ],
)
def test_a_block_as_slack_shows_it(block, shown):
    assert drawn(block) == shown


@pytest.mark.parametrize(
    "blocks",
    [
        [header(HOSTILE)],
        [section(mrk(HOSTILE, 3000))],
        [section(f"*{mrk(HOSTILE, 900)}*")],
        [section(f"```{code(HOSTILE, 3000)}```")],
        [section(link("https://x.example/" + HOSTILE, HOSTILE, 3000))],
        [section(HOSTILE)],  # not even made safe for Slack
        [{"type": "section", "text": mrkdwn('<https://x.example/"onclick="alert(1)|x>')}],
        [{"type": HOSTILE}],
        [actions("a", [button(HOSTILE, "x", "y")])],
    ],
)
def test_nothing_in_a_message_becomes_markup(blocks):
    seen = _Seen(page(HOSTILE, [(HOSTILE, blocks)], [HOSTILE]))
    assert not {tag for tag, _ in seen.tags} & {"script", "img", "iframe", "object", "base", "form"}
    assert {name for _, attributes in seen.tags for name in attributes} <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "href", "rel"),
    }
    assert all((given.get("href") or "https://").startswith("https://") for _, given in seen.tags)


def test_the_page_loads_nothing_and_fits_a_phone():
    text = page("T", [])
    metas = [given for tag, given in _Seen(text).tags if tag == "meta"]
    assert any(one.get("content") == "default-src 'none'; style-src 'unsafe-inline'" for one in metas)
    assert any(one.get("name") == "viewport" for one in metas)
    assert "url(" not in text
    assert "@import" not in text
