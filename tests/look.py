"""Read Markdown as GitHub does, with its own parser, and see what became of it."""

from html.parser import HTMLParser
from typing import NamedTuple

import cmarkgfm
from cmarkgfm.cmark import Options

VOID = {"br", "hr", "img", "input", "meta"}
EXTENSIONS = ("table", "autolink", "strikethrough", "tagfilter", "tasklist")


class Seen(NamedTuple):
    """`tags` occur; `words` stand as text, `code` in code; tables as rows of cells."""

    tags: set[str]
    words: str
    code: list[str]
    tables: list[list[list[str]]]
    fences: list[tuple[str, str]]  # language, content
    balanced: bool


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []
        self.code: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.fences: list[tuple[str, str]] = []
        self.balanced = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "pre":
            self.fences.append((dict(attrs).get("lang") or "", ""))
        elif tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        self.balanced &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        if "pre" in self.open:
            self.fences[-1] = (self.fences[-1][0], self.fences[-1][1] + data)
        elif "code" in self.open:
            self.code[-1] += data
        else:
            self.words.append(data)


def html(text: str) -> str:
    """The Markdown as HTML, raw HTML left in it."""
    options = Options.CMARK_OPT_GITHUB_PRE_LANG | Options.CMARK_OPT_UNSAFE
    options |= Options.CMARK_OPT_FOOTNOTES
    return str(cmarkgfm.markdown_to_html_with_extensions(text, options, EXTENSIONS))


def look(page: str) -> Seen:
    """What is in a page of HTML."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    words = "".join(reader.words)
    balanced = reader.balanced and not reader.open
    return Seen(reader.tags, words, reader.code, reader.tables, reader.fences, balanced)
