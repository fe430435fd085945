"""Run every notebook from top to bottom in a process of its own; the first error is fatal.

`ELUDER_SMOKE=1` (set here unless it is set already) asks the notebooks for small sizes.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the notebooks; return 1 if one fails."""
    environment = {"ELUDER_SMOKE": "1", "MPLBACKEND": "Agg", **os.environ}
    for notebook in sorted(HERE.glob("*.py")):
        if notebook.name == "run.py":
            continue
        start = time.perf_counter()
        code = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", str(notebook)], env=environment
        ).returncode
        print(
            f"{notebook.name}: {'ok' if code == 0 else 'failed'}, {time.perf_counter() - start:.1f} s",
            flush=True,
        )
        if code:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
