"""Make loan applications whose true probability of default is known.

    python benchmarks/loans.py ROWS FILE [SEED]

10,000 rows with seed 0 are the sample that every generated project ships.
"""

import sys

import numpy as np
import pandas as pd

LEVELS = {
    "purpose": (["car", "home", "debt", "education", "medical", "business"],
                [0.28, 0.2, 0.25, 0.1, 0.07, 0.1], [-0.2, -0.3, 0.3, 0.0, 0.3, 0.5]),
    "housing": (["rent", "mortgage", "own", "other"],
                [0.4, 0.35, 0.2, 0.05], [0.2, -0.2, -0.3, 0.4]),
    "education": (["school", "vocational", "bachelor", "master"],
                  [0.3, 0.3, 0.27, 0.13], [0.2, 0.0, -0.2, -0.3]),
    "employment": (["permanent", "temporary", "self_employed", "retired", "none"],
                   [0.6, 0.15, 0.13, 0.07, 0.05], [-0.4, 0.3, 0.2, 0.0, 1.0]),
    "region": (["north", "south", "east", "west", "centre"],
               [0.18, 0.25, 0.15, 0.22, 0.2], [0.0, 0.1, 0.15, -0.1, -0.1]),
    "gender": (["female", "male"], [0.48, 0.52], [0.0, 0.0]),
}  # fmt: skip


def loans(rows: int, seed: int = 0) -> pd.DataFrame:
    """`rows` applications and, as the last column, their true probability of default."""
    rng = np.random.default_rng(seed)
    age = np.clip(rng.gamma(9, 4.6, rows), 18, 85).astype(int)
    income = np.round(rng.lognormal(10.4, 0.45, rows) * (0.6 + np.minimum(age, 50) / 85), -2)
    amount = np.clip(np.round(rng.lognormal(9.1, 0.7, rows), -2), 500, 90_000)
    term = rng.choice([12, 24, 36, 48, 60, 84], rows, p=[0.1, 0.2, 0.3, 0.2, 0.15, 0.05])
    lines = rng.poisson(3, rows)
    debt = np.round(np.clip(rng.beta(2, 5, rows) + 0.02 * lines, 0, 0.95), 3)
    years = np.round(np.clip(rng.exponential(6, rows), 0, np.maximum(age - 16, 0)), 1)
    guarantor = rng.random(rows) < 0.12

    chosen, score = {}, np.full(rows, -1.75)
    for name, (levels, shares, effects) in LEVELS.items():
        codes = rng.choice(len(levels), rows, p=shares)
        chosen[name] = np.array(levels)[codes]
        score += np.array(effects)[codes]
    rate = np.round(3 + 6 * debt + 0.02 * term + rng.gamma(2, 0.9, rows), 2)
    burden = amount * (1 + rate / 100) ** (term / 12) / term * 12 / income
    score += 1.5 * np.tanh(3 * (burden - 0.25)) + 2.4 * debt + 0.12 * (rate - 7)
    score += 0.9 * np.exp(-years / 2) + 0.0012 * (age - 46) ** 2 - 0.35
    score += 0.7 * (lines > 5) - 0.9 * guarantor * (burden > 0.3)
    chance = 1 / (1 + np.exp(-1.35 * score - 0.1))

    applied = np.datetime64("2023-01-01") + rng.integers(0, 730, rows).astype("timedelta64[D]")
    table = pd.DataFrame(
        {
            "application_id": np.arange(100_001, 100_001 + rows),
            "applied_on": np.sort(applied),
            "age": age,
            "gender": chosen["gender"],
            "education": chosen["education"],
            "employment": chosen["employment"],
            "years_employed": np.where(rng.random(rows) < 0.06, np.nan, years),
            "income": income.astype(int),
            "housing": chosen["housing"],
            "region": chosen["region"],
            "open_lines": lines,
            "debt_to_income": debt,
            "purpose": chosen["purpose"],
            "loan_amount": amount.astype(int),
            "term_months": term,
            "interest_rate": rate,
            "has_guarantor": guarantor,
        }
    )
    table["defaulted"] = (rng.random(rows) < chance).astype(int)
    table["chance"] = chance
    return table


def write(rows: int, path: str, seed: int = 0) -> None:
    """Write `rows` applications to a CSV, without their true probability."""
    table = loans(rows, seed).drop(columns="chance")
    table["has_guarantor"] = np.where(table["has_guarantor"], "true", "false")
    table.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    write(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 0)
