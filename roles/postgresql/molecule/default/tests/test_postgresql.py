"""The cluster that first boot makes, and who gets in."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-postgresql"]
CLUSTER = "/data/postgresql/17/main"


@pytest.fixture(scope="module", autouse=True)
def started(host: Host) -> None:
    host.check_output("systemctl daemon-reload")
    # Debian's package has started its own unit of that name, which did nothing.
    host.check_output("systemctl restart postgresql")


def query(host: Host, account: str, statement: str, database: str = "voice-verify") -> str:
    return host.check_output(
        "runuser -u %s -- psql --host=/run/postgresql --no-psqlrc --tuples-only --no-align --command=%s %s",
        account, statement, database,
    )  # fmt: skip


def test_no_cluster_is_on_the_system_disk(host: Host) -> None:
    assert host.check_output("find /var/lib/postgresql -mindepth 1") == ""


def test_cluster_is_on_the_data_disk_and_checks_its_pages(host: Host) -> None:
    assert query(host, "postgres", "show data_directory", "postgres") == CLUSTER
    assert query(host, "postgres", "show data_checksums", "postgres") == "on"
    assert host.file(CLUSTER).mode == 0o700


def test_service_owns_its_database(host: Host) -> None:
    query(host, "voice-verify", "create table owned (id int); drop table owned")


def test_service_is_no_superuser(host: Host) -> None:
    assert query(host, "voice-verify", "select rolsuper from pg_roles where rolname = current_user") == "f"


def test_other_accounts_are_refused(host: Host) -> None:
    done = host.run("runuser -u www-data -- psql --host=/run/postgresql --username=voice-verify voice-verify")
    assert done.rc != 0
    assert "Peer authentication failed" in done.stderr


def test_no_network_socket_is_open(host: Host) -> None:
    assert not [address for address in host.socket.get_listening_sockets() if ":5432" in address]


def test_half_made_cluster_of_an_interrupted_first_boot_is_made_again(host: Host) -> None:
    host.check_output("systemctl stop postgresql")
    host.check_output(f"mv {CLUSTER} {CLUSTER}.new && rm {CLUSTER}.new/PG_VERSION")
    host.check_output("systemctl start postgresql")
    assert query(host, "voice-verify", "select 1") == "1"
    assert not host.file(f"{CLUSTER}.new").exists


def test_data_survives_a_crash(host: Host) -> None:
    query(host, "voice-verify", "create table kept as select 7 as n")
    host.check_output("systemctl kill --signal=KILL postgresql")
    host.run("systemctl stop postgresql")
    host.check_output("systemctl start postgresql")
    assert query(host, "voice-verify", "select n from kept") == "7"


def test_memory_follows_the_machine_and_defaults_hold_without_its_size(host: Host) -> None:
    assert query(host, "postgres", "show shared_buffers") == "128MB"
    host.check_output("mkdir -p /run/voice-verify && echo '{\"memory_gb\": 4}' > /run/voice-verify/sizing.json")
    host.check_output("systemctl restart postgresql")
    assert query(host, "postgres", "show shared_buffers") == "512MB"
    assert query(host, "postgres", "show effective_cache_size") == "2GB"
    host.check_output("rm /run/voice-verify/sizing.json && systemctl restart postgresql")
    assert query(host, "postgres", "show shared_buffers") == "128MB"


def test_clusters_are_left_to_the_unit(host: Host) -> None:
    assert host.run("pg_ctlcluster 17 main start").rc != 0


@pytest.mark.parametrize("unit", ["postgresql", "postgresql-cluster"])
def test_unit_is_sandboxed(host: Host, unit: str) -> None:
    report = host.check_output("systemd-analyze security --no-pager %s.service", unit)
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


@pytest.mark.parametrize("unit", ["postgresql", "postgresql-cluster"])
def test_unit_needs_the_data_disk(host: Host, unit: str) -> None:
    assert (
        "/data/postgresql" in host.check_output("systemctl show --property=RequiresMountsFor --value %s", unit).split()
    )
