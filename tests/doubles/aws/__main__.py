"""Run the double alone: `python -m tests.doubles.aws PORT FOLDER`; prints its URL when it is ready."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from .server import Aws, serve

with serve(Aws(Path(sys.argv[2])), int(sys.argv[1])) as url:
    print(url, flush=True)
    threading.Event().wait()
