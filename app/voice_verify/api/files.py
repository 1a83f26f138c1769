"""Large files as bodies: received into the spool, sent from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse

from voice_verify.errors import FieldProblem, InvalidRequest, MalformedBody
from voice_verify.services.spool import Spool, disk_full, size

BLOCK = 256 * 1024
FIELD = "file"
BINARY: dict[str, str] = {"type": "string", "format": "binary"}


def request_body(*media_types: str) -> dict[str, Any]:
    """Documents a file as the whole body, or as the field `file` of a form."""
    whole = {media_type: {"schema": BINARY} for media_type in media_types}
    form = {"type": "object", "properties": {FIELD: BINARY}, "required": [FIELD]}
    return {"requestBody": {"required": True, "content": {**whole, "multipart/form-data": {"schema": form}}}}


async def received(request: Request, spool: Spool) -> IO[bytes]:
    """The file in the body of a request, to be closed by the caller.

    Raises InvalidRequest, MalformedBody when the client goes away, and DiskFull.
    """
    try:
        return await _received(request, spool)
    except ClientDisconnect as error:
        raise MalformedBody("The body ended before its time", hint="send the file whole") from error


async def _received(request: Request, spool: Spool) -> IO[bytes]:
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=1) as form:
            upload = form.get(FIELD)
            if not isinstance(upload, UploadFile):
                raise InvalidRequest("The form has no file", errors=[FieldProblem(f"body.{FIELD}", "Field required")])
            return await _spooled(_blocks(upload), spool)
    return await _spooled(request.stream(), spool)


def sent(file: IO[bytes], *, name: str, media_type: str) -> StreamingResponse:
    """The file as an answer to be saved under `name`; it is closed when it was sent."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size(file))}
    blocks = iter(lambda: file.read(BLOCK), b"")
    return StreamingResponse(blocks, media_type=media_type, headers=headers, background=BackgroundTask(file.close))


async def _spooled(blocks: AsyncIterator[bytes], spool: Spool) -> IO[bytes]:
    file = await run_in_threadpool(spool.new)
    try:
        async for block in blocks:
            with disk_full():
                await run_in_threadpool(file.write, block)
    except BaseException:
        file.close()
        raise
    return file


async def _blocks(upload: UploadFile) -> AsyncIterator[bytes]:
    while block := await upload.read(BLOCK):
        yield block
