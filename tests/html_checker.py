"""Checks that a page is complete and safe."""

import re
from html.parser import HTMLParser


class Checker(HTMLParser):
    """Elements are closed in order; nothing is fetched and nothing runs."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.uses = [], [], [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        for name, value in attrs:
            assert not name.startswith("on") and name != "src"
            if name in ("href", "xlink:href"):
                assert value.startswith("#")
                self.uses.add(value[1:])
            self.ids += [value] if name == "id" else []
            self.uses |= set(re.findall(r"url\(#([^)]*)\)", value or ""))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == [] and "script" not in checker.seen
    assert len(set(checker.ids)) == len(checker.ids)
    assert checker.uses <= set(checker.ids)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    return checker
