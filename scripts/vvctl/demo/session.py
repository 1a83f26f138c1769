"""The demonstration: enrol in one call, verify in the next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from vvctl.demo import recording
from vvctl.demo.call import Call, Event
from vvctl.demo.client import Client, ServiceError
from vvctl.demo.display import EnrolmentView, VerificationView

REFRESH_HZ = 10


class Demo:
    """Calls the service for one speaker; `speed` 1 is the pace of speech."""

    def __init__(self, client: Client, console: Console, *, speaker: str, speed: float) -> None:
        self._client = client
        self._console = console
        self._speaker = speaker
        self._speed = speed

    def enrol(self, paths: Sequence[Path]) -> None:
        """Send the recordings until the voiceprint is stored; raises ServiceError when they are not enough."""
        audio = recording.read(paths)
        view = EnrolmentView(self._speaker)
        errors: list[ServiceError] = []

        def on_event(event: Event) -> None:
            match event["event"]:
                case "speech":
                    view.net_speech_s = event["net_speech_s"]
                case "enrolled":
                    view.enrolled = True
                case "error":
                    errors.append(_error(event))

        def begin(stream: str) -> None:
            view.required_s = self._client.enrol(stream, self._speaker)["required_s"]

        call = Call(self._client, on_event)
        with self._live(view):
            call.run(begin, recording.frames(audio), speed=self._speed, enough=lambda: view.enrolled or bool(errors))
        if errors:
            raise errors[0]
        if not view.enrolled:
            raise ServiceError("the call ended before the voiceprint was stored", hint="see the log of the service")

    def verify(self, paths: Sequence[Path]) -> str:
        """Send the recordings while the decision is shown; returns the outcome in one line. Raises ServiceError."""
        audio = recording.read(paths)
        view = VerificationView(self._speaker)
        errors: list[ServiceError] = []

        def on_event(event: Event) -> None:
            match event["event"]:
                case "speech":
                    view.audio_s = event["audio_s"]
                case "decision":
                    view.add(event)
                case "error":
                    errors.append(_error(event))

        call = Call(self._client, on_event)
        with self._live(view):
            call.run(
                lambda stream: view.add(self._client.verify(stream, self._speaker)),
                recording.frames(audio),
                speed=self._speed,
                enough=lambda: bool(errors),
            )
        if errors:
            raise errors[0]
        return view.summary()

    def _live(self, view: RenderableType) -> AbstractContextManager[object]:
        """Show `view` while it changes; where there is no terminal, the line at the end has to do."""
        if not self._console.is_terminal:
            return nullcontext()
        return Live(view, console=self._console, refresh_per_second=REFRESH_HZ)


def _error(event: Event) -> ServiceError:
    hint = "give more recordings before the last one" if "not_enough_speech" in event["reasons"] else ""
    return ServiceError(event["detail"].rstrip("."), hint=hint, code=event["code"])
