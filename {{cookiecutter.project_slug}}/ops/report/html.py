"""The report as one page to look at locally: no network, no script, light and dark."""

import base64
import html
import re
from pathlib import Path

from markdown_it import MarkdownIt

from core.files import replacing
from core.paths import EVALUATION
from ops.report.context import Facts

STYLE = """
:root {
  color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #f6f8fa; --line: #d1d9e0
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0f6fc; --paper: #0d1117; --soft: #151b23; --line: #3d444d }
}
body { color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 56rem;
       padding: 0 1rem; font: 14px/1.5 system-ui, sans-serif }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 0 0 1rem }
th, td { border: 1px solid var(--line); padding: .35rem .75rem }
tr:nth-child(2n) { background: var(--soft) }
code, pre { background: var(--soft); border-radius: 6px; font: 12px/1.5 ui-monospace, monospace }
code { padding: .15rem .35rem } pre { padding: 1rem; overflow-x: auto } pre code { padding: 0 }
details { margin: .5rem 0 } summary { cursor: pointer; padding: .25rem 0 }
h3 { font-size: 1.3rem } img { max-width: 100%; height: auto }
"""
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body>
{body}
</body></html>
"""


def write(text: str, facts: Facts, path: Path) -> None:
    """Write the report `text` as HTML, with the picture of the evaluation."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    body = f"{reader.render(text)}\n{picture(facts)}"
    title = html.escape(re.sub("[#*`]", "", text.split("\n", 1)[0]).strip())
    with replacing(path) as temporary:
        page = HEAD.format(title=title, style=STYLE, body=body)
        temporary.write_text(page, encoding="utf-8")


def picture(facts: Facts) -> str:
    """Every plot of the evaluation, in the page itself; a line where it is not to be had."""
    if not facts.scored:
        return ""
    content = facts.here.bytes(EVALUATION)
    if content is None or facts.here.md5(EVALUATION) != facts.here.outputs.get(str(EVALUATION)):
        return f"<p>The picture of this evaluation is not here: dvc pull {EVALUATION}</p>"
    data = base64.b64encode(content).decode("ascii")
    return f'<img alt="Curves of the evaluation" src="data:image/png;base64,{data}">'
