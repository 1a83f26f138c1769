"""`vvctl local`: an appliance in QEMU on this computer that keeps running, and that `vvctl upgrade` takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from vvctl import appliance as appliances
from vvctl.errors import VvctlError
from vvctl.machine.command import Hardware

app = typer.Typer(help="The appliance in QEMU on this computer, running until it is stopped.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the machine.", file_okay=False)]
_DEFAULT = Hardware(firmware="bios")


class StillRuns(VvctlError):
    """The guest did not shut down."""

    code = "still_runs"


@app.command()
def create(
    directory: Directory,
    *,
    ova: Annotated[Path, typer.Option(metavar="FILE", help="The image.", dir_okay=False)],
    forward: Annotated[
        list[str] | None,
        typer.Option(metavar="PORT:GUEST", help="Offer a TCP port of the guest on 127.0.0.1; repeatable."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--property", metavar="KEY=VALUE", help="A property of the OVF environment; repeatable."),
    ] = None,
    cores: Annotated[int, typer.Option(min=1)] = _DEFAULT.cores,
    memory_mb: Annotated[int, typer.Option(min=128)] = _DEFAULT.memory_mb,
) -> None:
    """Make a machine from an OVA, switched off."""
    from vvctl.upgrade.local.create import Order  # noqa: PLC0415
    from vvctl.upgrade.local.create import create as make  # noqa: PLC0415

    root = appliances.find_root()
    declared = appliances.load(root / "appliance.yml")
    order = Order(
        hardware=Hardware(firmware=declared.ovf.firmware, cores=cores, memory_mb=memory_mb),
        forwards={int(port): int(guest) for port, guest in _pairs(forward, ":", "--forward 8000:8000").items()},
        properties=_pairs(setting, "=", "--property hostname=voice"),
        suite=declared.os.suite,
        emulator_cache=root / "build/cache",
    )
    print(make(directory, ova, order).path)


@app.command()
def start(directory: Directory) -> None:
    """Switch on the system that is in charge; it runs on when this command has ended."""
    from vvctl.upgrade.local import power  # noqa: PLC0415
    from vvctl.upgrade.local.facts import in_charge  # noqa: PLC0415

    home, system = in_charge(directory)
    power.start(home, system)
    print(f"{system.name} runs; console: {system.console}")


@app.command()
def stop(
    directory: Directory,
    within: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long it may take.")] = 180.0,
) -> None:
    """Shut the system that is in charge down in order."""
    from vvctl.upgrade.local import power  # noqa: PLC0415
    from vvctl.upgrade.local.facts import in_charge  # noqa: PLC0415

    _, system = in_charge(directory)
    power.power_button(system)
    deadline = time.monotonic() + within
    while power.process(system) is not None:
        if time.monotonic() > deadline:
            raise StillRuns(f"{system.name} still runs after {within:.0f} s", hint=f"see {system.console}")
        time.sleep(0.2)
    print(f"{system.name} is off")


def _pairs(texts: list[str] | None, separator: str, example: str) -> dict[str, str]:
    found = {}
    for text in texts or []:
        left, found_separator, right = text.partition(separator)
        if not left or not found_separator:
            raise typer.BadParameter(f"{text} is not like {example}")
        found[left] = right
    return found
