#!/usr/bin/env bash
# Generate a project, train its model, show the scores: what a new user does, in one go.
set -euo pipefail
folder=$1
rm -rf "$folder"
mkdir -p "$folder"

# On a machine where Git does not know anybody yet, the demo commits as nobody in particular.
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.com
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.com

python -m cookiecutter --no-input --output-dir "$folder" .
cd "$folder/credit-risk"
dvc repro
echo
python -m ops compare
python -m ops gate
cat <<END

Where to look next, in $PWD
  reports/evaluation.png   every plot on one sheet
  reports/slices.json      scores of every protected group, and of the linear baseline
  params.yaml              every setting; then: dvc repro
  README.md                your own data, experiments, sharing
END
