"""Has cargo write the header from the Rust sources, without building the library."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from paths import ROOT


def generate() -> str:
    """The text of the header; errors of the Rust sources are shown as cargo shows them."""
    command = ["cargo", "check", "--quiet", "--lib", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    messages = (json.loads(line) for line in done.stdout.splitlines())
    # build.rs names the file that it wrote.
    names = (dict(message.get("env", ())).get("COREPROC_HEADER") for message in messages)
    return Path(next(filter(None, names))).read_text()
