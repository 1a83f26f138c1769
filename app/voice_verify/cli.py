"""`voice-verify`: run the service, migrate its database, make its API keys."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from voice_verify import __version__, logs, settings
from voice_verify.errors import StartError, VoiceVerifyError
from voice_verify.services.keys import KeyService, Role
from voice_verify.settings import Settings
from voice_verify.store import AuditAction, Database, KeyStore, encryption, open_vault

# The API answers a frame beyond its limit with an error; only one this much larger is cut off by the protocol.
PROTOCOL_FRAME_FACTOR = 4
# Running calls lose nothing that is acknowledged, so there is no point in waiting for them.
SHUTDOWN_S = 5


def main() -> None:
    """Run a command; the exit status is 0, 1 for a failure, 2 for wrong usage."""
    arguments = _parser().parse_args()
    try:
        arguments.run(settings.load(), arguments)
    except VoiceVerifyError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        sys.exit(1)


def _serve(config: Settings, _: argparse.Namespace) -> None:
    # Imported here because the engine takes seconds to load, which no other command needs.
    import uvicorn  # noqa: PLC0415

    from voice_verify.api.intake import DirectFrames  # noqa: PLC0415
    from voice_verify.app import create  # noqa: PLC0415
    from voice_verify.services.container import build  # noqa: PLC0415

    logs.configure()
    services = build(config)
    # The framework puts uploads there while it reads them: the system disk has no room for them.
    tempfile.tempdir = str(services.spool.folder)
    uvicorn.run(
        create(services),
        host=config.host,
        port=config.port,
        loop="uvloop",
        http="httptools",
        ws=DirectFrames,
        ws_max_size=config.websocket_frame_kb * 1024 * PROTOCOL_FRAME_FACTOR,
        # Telephone audio hardly compresses; trying costs more than it saves.
        ws_per_message_deflate=False,
        server_header=False,
        # We log requests ourselves, without what stands in paths and queries.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def _migrate(config: Settings, arguments: argparse.Namespace) -> None:
    database = _database(config)
    if arguments.to is not None and arguments.to < encryption.FIRST_ENCRYPTED:
        encryption.decrypt(database, open_vault(database, config.data_key_file))
        state = database.migrate(arguments.to)
    else:
        state = database.migrate(arguments.to or "head")
        encryption.encrypt(database, open_vault(database, config.data_key_file))
    print(f"the database has schema {state.current}")


def _backup(config: Settings, arguments: argparse.Namespace) -> None:
    # Imported here because they take a second, which no other command needs.
    from voice_verify.engine.model import read_model_info  # noqa: PLC0415
    from voice_verify.services.backup import write_backup  # noqa: PLC0415
    from voice_verify.services.sealing import parse_recipient, sealed  # noqa: PLC0415
    from voice_verify.services.spool import disk_full  # noqa: PLC0415
    from voice_verify.store.replica import ReplicaStore  # noqa: PLC0415

    key = parse_recipient(arguments.recipient)
    database = _database(config)
    replica = ReplicaStore(database, open_vault(database, config.data_key_file))
    model = read_model_info(config.model_dir)
    try:
        target = arguments.file.open("xb")
    except OSError as error:
        raise StartError(f"{arguments.file} cannot be made: {error.strerror}") from error
    try:
        with disk_full(), target:
            with sealed(target, key) as content:
                records = write_backup(content, database, replica, model)
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        arguments.file.unlink()
        raise
    replica.record(AuditAction.backup_made, "database", None, records=records)
    print(json.dumps({"records": records, "bytes": arguments.file.stat().st_size}))


def _create_key(config: Settings, arguments: argparse.Namespace) -> None:
    secret, key = _keys(config).create(arguments.name, arguments.role)
    print(f"key {key.id} ({key.name}, {', '.join(key.roles)}); shown only now:", file=sys.stderr)
    print(secret)


def _import_key(config: Settings, arguments: argparse.Namespace) -> None:
    key, is_new = _keys(config).accept(arguments.name, arguments.role, arguments.sha256)
    print(f"key {key.id} ({key.name}, {', '.join(key.roles)}) {'imported' if is_new else 'is there already'}")


def _list_keys(config: Settings, _: argparse.Namespace) -> None:
    for key in _keys(config).all():
        revoked = key.revoked and key.revoked.isoformat()
        line = {"id": key.id, "name": key.name, "roles": key.roles, "created": key.created.isoformat()}
        print(json.dumps({**line, "revoked": revoked}))


def _revoke_key(config: Settings, arguments: argparse.Namespace) -> None:
    _keys(config).revoke(arguments.id)
    print(f"key {arguments.id} is revoked; a running service refuses it within two seconds")


def _database(config: Settings) -> Database:
    return Database(config.database_url.get_secret_value())


def _keys(config: Settings) -> KeyService:
    return KeyService(KeyStore(_database(config)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voice-verify", description=__doc__, epilog="Settings come from VV_* variables or the file VV_ENV_FILE."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("serve", help="run the service").set_defaults(run=_serve)
    migrate = commands.add_parser("migrate", help="bring the database to what this version needs")
    migrate.set_defaults(run=_migrate)
    migrate.add_argument("--to", metavar="REVISION", help="or to what an older version needs, which loses what is new")
    backup = commands.add_parser("backup", help="write an encrypted backup of this moment; calls go on meanwhile")
    backup.set_defaults(run=_backup)
    backup.add_argument("--recipient", required=True, metavar="KEY", help="public key of age (age1…)")
    backup.add_argument("file", type=Path, metavar="FILE", help="a new file")
    keys = commands.add_parser("keys", help="API keys").add_subparsers(required=True, metavar="COMMAND")
    create_key = keys.add_parser("create", help="make a key and print it, once")
    create_key.set_defaults(run=_create_key)
    import_key = keys.add_parser("import", help="take in a key by its SHA-256; again changes nothing")
    import_key.set_defaults(run=_import_key)
    import_key.add_argument("--sha256", required=True, metavar="HEX", help="SHA-256 of the key")
    for command in (create_key, import_key):
        command.add_argument("--name", required=True, help="whose key it is")
        command.add_argument(
            "--role", required=True, action="append", type=Role, choices=list(Role), help="may be given several times"
        )
    revoke_key = keys.add_parser("revoke", help="make a key invalid, for ever")
    revoke_key.set_defaults(run=_revoke_key)
    revoke_key.add_argument("id", type=int, metavar="ID", help="see: voice-verify keys list")
    keys.add_parser("list", help="print the keys there are, without the keys themselves").set_defaults(run=_list_keys)
    return parser
