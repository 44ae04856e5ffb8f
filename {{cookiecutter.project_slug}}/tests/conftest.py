"""Run the tests from anywhere: the pipeline reads and writes below the project's folder."""

import os
from pathlib import Path

os.chdir(Path(__file__).resolve().parent.parent)
