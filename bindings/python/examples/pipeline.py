"""Runs a pipeline file, shows the run live, and writes its Gantt chart.

python3 bindings/python/examples/pipeline.py FILE [CHART.svg [HISTORY.json]]

Returns 0 if the run succeeded, 1 if it did not, 2 if it could not be run.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A clone runs as it is, with nothing installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from coreproc import CoreprocError, History, Pipeline, Progress, ReportFormat, Service, SpecState


def run(file: str, chart: str | None = None, history_file: str | None = None) -> bool:
    pipeline = Pipeline.from_file(file)
    history = History(history_file, "example") if history_file else None
    with Service() as service:
        done = pipeline.run(service, progress=Progress(service, sys.stdout), history=history)
    if history:
        history.record(done)
    for result in done.results():
        if not result.ok:
            failed = result.state in (SpecState.FAILED, SpecState.TIMED_OUT)
            allowed = " (allowed)" if failed and result.allow_failure else ""
            print(f"{result.name}: {result.error}{allowed}")
        elif result.attempts > 1:
            print(f"{result.name}: passed at attempt {result.attempts}")
    if chart:
        Path(chart).write_text(done.report(ReportFormat.SVG), encoding="utf-8")
    return done.success


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 3:
        print("usage: pipeline.py FILE [CHART.svg [HISTORY.json]]", file=sys.stderr)
        return 2
    try:
        return 0 if run(*arguments) else 1
    except (CoreprocError, OSError) as error:
        print(f"pipeline: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
