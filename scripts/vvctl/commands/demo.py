"""`vvctl demo`: enrol and verify recordings over the WebSocket, as if they were calls.

The libraries of sound take a while to import, so the function does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vvctl._generated import API_PORT

# Beyond this the service is not asked to keep up.
MAX_SPEED = 20.0


def demo(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="ENROL... VERIFY",
            help="Recordings to enrol, then the one to verify. A single one is used for both.",
            show_default=False,
        ),
    ],
    speaker: Annotated[str, typer.Option(help="Identifier to enrol and verify.")] = "demo",
    url: Annotated[str, typer.Option(help="Where the service answers.")] = f"http://127.0.0.1:{API_PORT}",
    key: Annotated[
        str, typer.Option(envvar="VV_API_KEY", help="API key with the role integrator.", show_default=False)
    ] = "",
    speed: Annotated[float, typer.Option(min=0.1, max=MAX_SPEED, help="1 is the pace of speech.")] = 1.0,
) -> None:
    """Enrol a speaker and verify the next call, live, and show the decision moving.

    An enrolment takes 20 seconds of speech; shorter recordings are joined: vvctl demo a.wav b.wav c.wav VERIFY.wav
    """
    from vvctl.demo.client import Client, ServiceError  # noqa: PLC0415
    from vvctl.demo.session import Demo  # noqa: PLC0415

    if not key:
        raise ServiceError(
            "an API key is needed",
            hint="give it with --key or VV_API_KEY; make run keeps one in build/run/api-key",
            code="unauthenticated",
        )
    session = Demo(Client(url, key), Console(highlight=False), speaker=speaker, speed=speed)
    session.enrol(recordings[:-1] or recordings)
    print(session.verify(recordings[-1:]))
