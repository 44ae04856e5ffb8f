"""Every path that more than one file names."""

from pathlib import Path

RAW = Path("data/raw")  # what the stage prepare waits for
PREPARED = Path("data/prepared")
REFERENCE = Path("data/reference/profile.json")

PARAMS = Path("params.yaml")
SCHEMA = Path("schema.yaml")
GATES = Path("gates.yaml")
RETRAIN = Path("retrain.yaml")
MACHINE = Path("machine.yaml")
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
REQUIREMENTS = Path("requirements.txt")
CASES = Path("tests/model/critical_cases.csv")

PROFILE = Path("reports/profile.json")
VALIDATION = Path("reports/validation.json")
VALIDATED = Path("reports/validated.json")  # says no more than yes: train waits for it
SLICES = Path("reports/slices.json")
EVALUATION = Path("reports/evaluation.png")

MODEL = Path("models/model.safetensors")
BASELINE = Path("models/baseline.safetensors")
CHECKPOINT = Path("models/checkpoint.safetensors")
TRAINING = Path("metrics/training.json")
QUALITY = Path("metrics/quality.json")
COST = Path("metrics/cost.json")
TRAINING_CURVE = Path("plots/training.csv")
TEST_PLOTS = Path("plots/test")
CONFUSION = TEST_PLOTS / "confusion.csv"

VERDICT = Path("reports/gates.json")
CARD = Path("model-card.md")
