"""One upgrade in this process: begun, or taken up again from its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vvctl.upgrade import places, providers
from vvctl.upgrade.appliance import Appliance
from vvctl.upgrade.context import Context
from vvctl.upgrade.display import Display
from vvctl.upgrade.errors import NothingToDo, UnderWay
from vvctl.upgrade.options import Options
from vvctl.upgrade.record import UpgradeRecord
from vvctl.upgrade.upgrade import Upgrade


@dataclass(frozen=True)
class Subject:
    """What is upgraded: the machine as its provider found it, and the API of the appliance on it."""

    provider: str
    facts: dict[str, Any]
    url: str
    ca_file: Path | None

    def appliance(self, key: str) -> Appliance:
        return Appliance(self.url, key, ca_file=self.ca_file)


@contextmanager
def begun(directory: Path, subject: Subject, key: str, options: Options, follower: Display) -> Iterator[Upgrade]:
    """Another upgrade. Raises UnderWay, JournalInUse, JournalDamaged and JournalFull."""
    places.clear(directory)
    record = UpgradeRecord(directory)
    try:
        if record.records:
            raise UnderWay("another process has just begun an upgrade of this machine")
        settings = {
            "url": subject.url,
            "ca_file": str(subject.ca_file.resolve()) if subject.ca_file is not None else None,
            "options": options.document(),
        }
        record.begin(subject.provider, subject.facts, settings)
        record.open()
        yield _upgrade(record, key, options, follower)
    finally:
        record.close()


@contextmanager
def taken_up(directory: Path, key: str, choose: Callable[[Options], Options], follower: Display) -> Iterator[Upgrade]:
    """The upgrade in `directory`, with what a person chose anew.

    Raises JournalInUse, JournalDamaged and JournalFull.
    """
    record = UpgradeRecord(directory)
    try:
        if not record.records:
            raise NothingToDo(f"{directory} holds no upgrade")
        record.open()
        yield _upgrade(record, key, choose(Options.of(record.settings["options"])), follower)
    finally:
        record.close()


def subject_of(settings: dict[str, Any], provider: str, facts: dict[str, Any]) -> Subject:
    """What a journal is about."""
    ca_file = settings["ca_file"]
    return Subject(provider, facts, settings["url"], Path(ca_file) if ca_file else None)


def chooser(drain_s: float | None, *, force_off: bool) -> Callable[[Options], Options]:
    """Another deadline for running calls, where one was given."""

    def choose(options: Options) -> Options:
        return replace(
            options,
            drain_s=options.drain_s if drain_s is None else drain_s,
            force_off=options.force_off or force_off,
        )

    return choose


def _upgrade(record: UpgradeRecord, key: str, options: Options, follower: Display) -> Upgrade:
    subject = subject_of(record.settings, record.provider, record.facts)
    context = Context(
        provider=providers.make(record.provider, record.facts, record.id, options.poll_s),
        appliance=subject.appliance(key),
        record=record,
        options=options,
        say=follower.say,
    )
    return Upgrade(context, follower)
