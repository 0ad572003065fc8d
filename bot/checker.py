"""The child process that judges a new configuration: sources on standard input, findings on standard output, as JSON.

It has little to import, so that a reload is quick.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict

from bot import logs
from bot.config import check
from bot.confinement import confine
from bot.sources import Sources


def main() -> None:
    confine()
    logs.set_up("checker")
    gc.disable()  # it is over before that could pay
    findings = check(Sources.from_json(json.loads(sys.stdin.read())))
    sys.stdout.write(json.dumps([asdict(finding) for finding in findings]))


if __name__ == "__main__":
    main()
