"""All services, put together once at start."""

from __future__ import annotations

from dataclasses import dataclass

from voice_verify.engine import AudioSourceProfile, Engine, EngineError, packaged_profile
from voice_verify.errors import StartError
from voice_verify.services.enrolment import EnrolmentService
from voice_verify.services.health import HealthService
from voice_verify.services.keys import KeyService
from voice_verify.services.maintenance import MaintenanceService
from voice_verify.services.metrics import Metrics
from voice_verify.services.recordings import RecordingService
from voice_verify.services.register import StreamRegister
from voice_verify.services.speakers import SpeakerService
from voice_verify.services.streams import StreamService
from voice_verify.services.verification import VerificationService
from voice_verify.settings import Settings
from voice_verify.store import Database, KeyStore, SpeakerStore, open_vault


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    engine: Engine
    metrics: Metrics
    keys: KeyService
    speakers: SpeakerService
    recordings: RecordingService
    streams: StreamService
    maintenance: MaintenanceService
    register: StreamRegister
    health: HealthService

    def start(self) -> None:
        self.engine.start()

    def stop(self) -> None:
        """End the streams, then what they use."""
        self.streams.close()
        self.engine.stop()
        self.database.close()


def build(settings: Settings) -> Services:
    """Load the model and the profile and connect everything; raises StartError."""
    engine, profile = _load(settings)
    database = Database(settings.database_url.get_secret_value())
    metrics = Metrics()
    store = SpeakerStore(database, open_vault(database, settings.data_key_file))
    enrolment = EnrolmentService(store, lambda: profile, metrics, model=engine.model.identity)
    verification = VerificationService(store, profile, metrics, model=engine.model.identity)
    register = StreamRegister(database)
    streams = StreamService(
        engine,
        enrolment,
        verification,
        register,
        metrics,
        max_streams=settings.max_streams,
        idle_s=settings.stream_idle_s,
    )
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
            max_recordings=settings.recordings_per_request,
            max_minutes=settings.recording_minutes,
            at_once=settings.engine_threads + 1,
        ),
        streams=streams,
        maintenance=MaintenanceService(database, streams),
        register=register,
        health=HealthService(database, engine),
    )


def _load(settings: Settings) -> tuple[Engine, AudioSourceProfile]:
    try:
        engine = Engine(settings.model_dir, threads=settings.engine_threads)
        profile = packaged_profile(settings.profile)
    except EngineError as error:
        raise StartError(error.message, hint=error.hint) from error
    if profile.model_identity != engine.model.identity:
        raise StartError(
            f"profile {profile.name} was made for another model than the one in {settings.model_dir}",
            hint="build the model anew (vvctl model build) or name another profile in VV_PROFILE",
        )
    return engine, profile
