"""Are published schedules, as `imagenet18 recipes` prints them, what Python reads from the same text?

The original trainer evaluates --phases as Python. This reads each schedule's text with ast.literal_eval and compares
every entry with the TOML form that the program makes of what its own parser read.

Usage: phases.py IMAGENET18 WORKDIR
"""

# requires:

import ast
import json
import subprocess
import sys
import tomllib

program = sys.argv[1]


def recipes(*arguments):
    return subprocess.run([program, "recipes", *arguments], check=True, capture_output=True, text=True).stdout


def plain(value):
    """Pairs are tuples in Python and arrays in TOML."""
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


names = [json.loads(line)["name"] for line in recipes("--json").splitlines()]
assert names, "expected published schedules, got none"
for name in names:
    expected = [{key: plain(value) for key, value in phase.items()} for phase in ast.literal_eval(recipes(name).strip())]
    got = tomllib.loads(recipes(name, "--toml"))["phase"]
    assert got == expected, f"{name}: expected {expected}, got {got}"
print(f"{len(names)} schedules read as Python reads them")
