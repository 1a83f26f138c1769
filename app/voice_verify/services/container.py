"""All services, put together once at start."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from voice_verify.engine import EngineClient, EngineError
from voice_verify.errors import DatabaseUnavailable, StartError
from voice_verify.services.backup import BackupService
from voice_verify.services.enrolment import EnrolmentService
from voice_verify.services.health import HealthService
from voice_verify.services.inventory import InventoryService
from voice_verify.services.keys import KeyService
from voice_verify.services.licences import LicenceService
from voice_verify.services.maintenance import MaintenanceService
from voice_verify.services.media_secrets import MediaSecretService
from voice_verify.services.metrics import Metrics
from voice_verify.services.pbx import PbxService
from voice_verify.services.profiles import ProfileService
from voice_verify.services.recordings import RecordingService
from voice_verify.services.register import StreamRegister
from voice_verify.services.reports import ReportService
from voice_verify.services.snapshot import SnapshotService
from voice_verify.services.speakers import SpeakerService
from voice_verify.services.spool import Spool
from voice_verify.services.streams import StreamService
from voice_verify.services.telephony import TelephonyService
from voice_verify.services.telephony_config import read_config
from voice_verify.services.telephony_metrics import TelephonyMetrics
from voice_verify.services.usage import UsageService
from voice_verify.services.verification import VerificationService
from voice_verify.services.voiceprints import VoiceprintCache
from voice_verify.settings import Settings
from voice_verify.store import Database, KeyStore, SpeakerStore, open_vault
from voice_verify.store.media_secrets import MediaSecretStore
from voice_verify.store.pbx import PbxStore
from voice_verify.store.replica import ReplicaStore


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    engine: EngineClient
    metrics: Metrics
    keys: KeyService
    speakers: SpeakerService
    recordings: RecordingService
    streams: StreamService
    maintenance: MaintenanceService
    profiles: ProfileService
    voiceprints: VoiceprintCache
    pbx: PbxService
    telephony: TelephonyService
    spool: Spool
    backup: BackupService
    snapshot: SnapshotService
    usage: UsageService
    register: StreamRegister
    reports: ReportService
    health: HealthService
    inventory: InventoryService
    licences: LicenceService
    media_secrets: MediaSecretService

    def start(self) -> None:
        self.engine.start()
        for part in (self.profiles.refresh, self.maintenance.recover, self.licences.tick):
            # The service starts without its database and says so; the tick catches up.
            with suppress(DatabaseUnavailable):
                part()
        self.telephony.start()

    def stop(self) -> None:
        """End the streams, then what they use."""
        self.telephony.refuse_new()
        self.streams.close()
        self.telephony.stop()
        self.engine.stop()
        self.database.close()


def build(settings: Settings) -> Services:
    """Load the model and the profile and connect everything; raises StartError."""
    database = Database(settings.database_url.get_secret_value())
    engine, profiles = _load(settings, database)
    metrics = Metrics(database.clock)
    vault = open_vault(database, settings.data_key_file)
    store = SpeakerStore(database, vault)
    voiceprints = VoiceprintCache(store)
    model = engine.model.identity
    enrolment = EnrolmentService(store, lambda: profiles.active, metrics, model=model)
    verification = VerificationService(voiceprints, lambda: profiles.active, metrics, model=model)
    register = StreamRegister(database)
    usage = UsageService(database)
    licences = LicenceService(
        database,
        issuers=settings.licence_issuers,
        packaged=settings.licence_file,
        evaluation_calls=settings.evaluation_calls,
        warn_days=settings.licence_warn_days,
    )
    streams = StreamService(
        engine,
        enrolment,
        verification,
        licences=licences,
        register=register,
        usage=usage,
        metrics=metrics,
        max_streams=settings.max_streams,
        idle_s=settings.stream_idle_s,
        silence_s=settings.stream_silence_s,
    )
    maintenance = MaintenanceService(database, streams)
    spool = Spool(settings.state_dir, settings.restore_mb * 1024 * 1024)
    replica = ReplicaStore(database, vault)
    telephony = TelephonyService(read_config(settings), streams, PbxStore(database, vault))
    metrics.registry.register(TelephonyMetrics(telephony))
    health = HealthService(database, engine, telephony)

    def changed() -> None:
        store.changed(None)
        profiles.refresh()

    return Services(
        settings=settings,
        database=database,
        engine=engine,
        metrics=metrics,
        keys=KeyService(KeyStore(database)),
        speakers=SpeakerService(store),
        recordings=RecordingService(
            engine,
            enrolment,
            verification,
            register,
            usage,
            licences=licences,
            max_recordings=settings.recordings_per_request,
            max_minutes=settings.recording_minutes,
            at_once=settings.engine_threads + 1,
        ),
        streams=streams,
        maintenance=maintenance,
        profiles=profiles,
        voiceprints=voiceprints,
        pbx=PbxService(PbxStore(database, vault)),
        telephony=telephony,
        spool=spool,
        backup=BackupService(database, replica, maintenance, spool, model=engine.model, changed=changed),
        snapshot=SnapshotService(replica, maintenance, spool, model=engine.model, changed=changed),
        usage=usage,
        register=register,
        reports=ReportService(database, days=settings.report_days),
        health=health,
        inventory=InventoryService(database, vault, health, usage),
        licences=licences,
        media_secrets=MediaSecretService(MediaSecretStore(database, vault)),
    )


def _load(settings: Settings, database: Database) -> tuple[EngineClient, ProfileService]:
    try:
        engine = EngineClient(settings.model_dir, threads=settings.engine_threads)
        profiles = ProfileService(database, engine.model, default=settings.profile)
    except EngineError as error:
        raise StartError(error.message, hint=error.hint) from error
    if profiles.active.model_identity != engine.model.identity:
        raise StartError(
            f"profile {settings.profile} was made for another model than the one in {settings.model_dir}",
            hint="build the model anew (vvctl model build) or name another profile in VV_PROFILE",
        )
    return engine, profiles
