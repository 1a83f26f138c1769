"""`vvctl config`: check appliance.yml and renew what is derived from it."""

from __future__ import annotations

from typing import Annotated

import typer

from vvctl import generate
from vvctl.appliance import find_root, load
from vvctl.errors import ConfigurationError

app = typer.Typer(help="Check appliance.yml and renew what is derived from it.", no_args_is_help=True)


@app.command()
def check() -> None:
    """Refuse a wrong appliance.yml and derived files that no longer match it."""
    root = find_root()
    appliance = load(root / "appliance.yml")
    drifted = generate.drifted(root, appliance)
    if drifted:
        names = ", ".join(str(path.relative_to(root)) for path in drifted)
        raise ConfigurationError(f"not what appliance.yml says: {names}", hint="run `make generate` and commit")
    print(f"appliance.yml: {appliance.product.title} {appliance.product.version}, derived files match")


@app.command("generate")
def generate_files(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Write the derived files."""
    root = find_root()
    appliance = load(root / "appliance.yml")
    content = generate.derived(root, appliance)
    for path in generate.drifted(root, appliance):
        if not dry_run:
            path.write_text(content[path], encoding="utf-8")
        print(f"{'would renew' if dry_run else 'renewed'} {path.relative_to(root)}")
