#!/bin/sh
# The main use case on real packages: build, make an environment, refresh, list, install another, refresh.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}

say "Build"
run make --quiet build
PATH=$PWD/${CARGO_TARGET_DIR:-target}/release:$PATH
export PATH

say "Make an environment with real packages"
run "$python" -m venv "$work/venv"
run "$work/venv/bin/pip" --quiet --disable-pip-version-check install \
    pytest pytest-cov pytest-xdist flake8 sphinx keyring stevedore twisted flask jupyter-core black

say "Index it: every distribution is read once"
run epcache refresh --venv "$work/venv"

say "What plugins are there for pytest?"
run epcache list --venv "$work/venv" --group pytest11

say "Install one more package; only what changed is read"
run "$work/venv/bin/pip" --quiet --disable-pip-version-check install pytest-timeout
run epcache refresh --venv "$work/venv" --json
run epcache list --venv "$work/venv" --group pytest11

say "The same question asked by Python, in a fresh process each"
sleep 3
run epcache refresh --venv "$work/venv"
# Both modules have been imported before, as on a machine in use; neither leaves files in the tree.
unset PYTHONDONTWRITEBYTECODE
PYTHONPATH=$PWD/python
PYTHONPYCACHEPREFIX=$work/bytecode
export PYTHONPATH PYTHONPYCACHEPREFIX
"$work/venv/bin/python" -c 'import importlib.metadata, epcache'
for module in importlib.metadata epcache; do
    "$work/venv/bin/python" - "$module" <<'ASK'
import sys, time
module = sys.argv[1]
start = time.perf_counter()
exec(f"from {module} import entry_points")
found = sorted(entry_point.name for entry_point in entry_points(group="pytest11"))
took = (time.perf_counter() - start) * 1e3
print(f"{module:18} {took:8.2f} ms with its import: {' '.join(found)}")
ASK
done
