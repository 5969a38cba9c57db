"""The environment of commands: that of the load tester, with our `hey` for where none is installed."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("programs")
"""Holds programs that `PATH` gets as its last folder, so that an installed one of the same name comes first."""
PYTHON: Final = "FLAGGER_PY_PYTHON"
_USUAL_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def environment(base: Mapping[str, str]) -> Mapping[str, str]:
    """What commands find in their environment."""
    return {**base, "PATH": f"{base.get('PATH') or _USUAL_PATH}{os.pathsep}{FOLDER}", PYTHON: sys.executable}
