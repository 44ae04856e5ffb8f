"""Quality on real data, as quality.py measures it: the network less the better of two others."""

from collections.abc import Iterator

import quality
from measure import Row, say


def rows() -> Iterator[Row]:
    ahead = []
    for name in quality.NAMES:
        if name == "credit_card_default" and not quality.CREDIT.exists():
            say(f"{name} is not measured: no {quality.CREDIT.name} beside the checkout")
            continue
        say(f"real: {name}")
        got = quality.measure(name)
        better = max("boosting", "linear", key=lambda kind: got[kind])
        ahead.append(got["network"] - got[better])
        shown = f"{got['network']:.4f}", f"{got[better]:.4f}"
        yield Row(f"quality on {name}", better, *shown, ahead[-1], -0.005, most=False)
    mean = sum(ahead) / len(ahead)
    yield Row("quality, mean over these", "the better of two", "", "", mean, 0, most=False)
