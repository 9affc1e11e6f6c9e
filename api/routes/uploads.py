"""Files handed in: taken at once, read in the background, to be watched."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse

from api.access import SignedIn
from api.deps import RunningService, StoreMatcher
from api.once import ID, Answered, Cursor, IdempotencyKey, cursor_of, once, position
from api.openapi import answers, problems
from api.problems import Refused
from api.schemas.duplicates import PreviewAnswer
from api.schemas.records import LIST_LIMIT
from api.schemas.uploads import UploadOut, UploadPage
from matcher.errors import InvalidQuery, UnknownColumn, UnreadableFile
from matcher.preview import preview_file
from matcher.records import Kind, Visibility
from matcher.uploads import KINDS_OF_ACCOUNTS, UNREAD_LIMIT, safe_name
from matcher.views import upload_json

router = APIRouter(prefix="/v1/uploads", tags=["上传"])
PATH = router.prefix

UploadId = Annotated[str, Path(alias="id", max_length=64, pattern=ID, description="上传编号，如 up-…")]
MAPPINGS = 50
# Seconds after which another preview may be asked for.
PREVIEW_RETRY = "2"
# Of a form beside its file.
FORM_BYTES = 100_000
# Seconds after which some of somebody's files will have been read.
RETRY_AFTER = "30"


@router.post(
    "",
    summary="上传文件",
    description="上传成果、专利或需求的表格。收到即返回，随后在后台处理；用 `GET /v1/uploads/{id}` 查看进度。",
    status_code=202,
    response_description="已收到",
    response_model=UploadOut,
    responses=problems(400, 401, 409, 413, 422, 429, 500, 503),
)
def upload(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: SignedIn,
    file: Annotated[UploadFile, File(description="文件")],
    kind: Annotated[Kind | None, Form(description="记录类型；缺省按列名判断")] = None,
    visibility: Annotated[Visibility, Form(description="没有写明公开范围的行按此处理")] = "public",
    mapping: Annotated[
        list[str] | None,
        Form(alias="map", max_length=MAPPINGS, description="指明某字段在哪一列：字段=列名，可重复"),
    ] = None,
    name: IdempotencyKey = None,
) -> Response:
    """Take a file."""
    columns = _mapping(mapping or [])
    if (file.size or 0) > service.settings.max_file_bytes:
        raise Refused(413, f"文件超过 {service.settings.max_file_bytes} 字节的上限。请拆成几个文件。")

    def work() -> Answered:
        if matcher.uploads.unread(caller.viewer.account) >= UNREAD_LIMIT:
            detail = f"您已有 {UNREAD_LIMIT} 个文件等待处理。请等其中一些处理完后再上传。"
            raise Refused(429, detail, {"Retry-After": RETRY_AFTER})
        id_, path = matcher.uploads.receive(file.filename or "")
        try:
            with path.open("wb") as target:
                shutil.copyfileobj(file.file, target)
            made = matcher.uploads.add(caller.viewer.account, id_, path, kind, visibility, columns)
        except BaseException:
            matcher.uploads.discard(id_)
            raise
        service.handed_in()
        return Answered(202, upload_json(made), {"Location": f"{PATH}/{id_}"})

    # Two files of one name and size may differ.
    digest = hashlib.file_digest(file.file, "sha256").hexdigest() if name else None  # type: ignore[arg-type]
    file.file.seek(0)
    asked = {"file": file.filename, "digest": digest, "kind": kind, "visibility": visibility, "map": columns}
    return once(request, service, caller, name, asked, work)


@router.post(
    "/preview",
    summary="预览文件会怎样读取",
    description="逐部分列出判断出的类型、各字段取自哪一列、最先的几条记录和会被拒收的行；什么都不写入。",
    response_description="预览",
    response_model=PreviewAnswer,
    responses=problems(400, 401, 413, 422, 429, 500, 503),
)
def preview(
    service: RunningService,
    caller: SignedIn,
    file: Annotated[UploadFile, File(description="文件")],
    kind: Annotated[Kind | None, Form(description="记录类型；缺省按列名判断")] = None,
    mapping: Annotated[
        list[str] | None,
        Form(alias="map", max_length=MAPPINGS, description="指明某字段在哪一列：字段=列名，可重复"),
    ] = None,
) -> dict[str, Any]:
    """Show how a file would be read."""
    columns = _mapping(mapping or [])
    if not service.previewing.acquire(blocking=False):
        raise Refused(429, "正在预览另一个文件。请稍后再试。", {"Retry-After": PREVIEW_RETRY})
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = FilePath(folder) / safe_name(file.filename or "")
            with path.open("wb") as target:
                shutil.copyfileobj(file.file, target)
            allowed = None if caller.viewer.role == "admin" else KINDS_OF_ACCOUNTS
            shown = preview_file(path, kind, columns, allowed=allowed, max_bytes=service.settings.max_file_bytes)
    except (UnreadableFile, UnknownColumn) as error:
        raise Refused(422, str(error)) from error
    finally:
        service.previewing.release()
    return shown.as_json()


@router.get(
    "",
    summary="列出自己的上传",
    description="最近的在前。",
    response_description="一页上传",
    response_model=UploadPage,
    responses=problems(401, 422, 429, 500, 503),
)
def page(
    matcher: StoreMatcher,
    caller: SignedIn,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="最多返回多少条")] = 20,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List the caller's uploads."""
    found = matcher.uploads.page(caller.viewer.account, limit + 1, position(cursor))
    return {
        "uploads": [upload_json(one) for one in found[:limit]],
        "next": cursor_of(found[limit - 1].id) if len(found) > limit else None,
    }


@router.get(
    "/{id}",
    summary="查看一次上传",
    description="处理到哪一步、各行的结果、失败的原因。",
    response_description="上传",
    response_model=UploadOut,
    responses=problems(401, 404, 422, 429, 500, 503),
)
def read(id_: UploadId, matcher: StoreMatcher, caller: SignedIn) -> dict[str, Any]:
    """Show an upload."""
    return upload_json(matcher.uploads.get(caller.viewer.account, id_))


@router.get(
    "/{id}/rejects",
    summary="下载拒收表",
    description="被拒收的行：行号、字段、原因和原始内容（CSV，UTF-8）。",
    response_class=FileResponse,
    responses=answers(200, content={"text/csv": {}}, description="拒收表") | problems(401, 404, 422, 429, 500, 503),
)
def rejects(id_: UploadId, matcher: StoreMatcher, caller: SignedIn) -> FileResponse:
    """Give the table of refused rows."""
    found = matcher.uploads.get(caller.viewer.account, id_)
    path = matcher.uploads.rejects_file(found)
    return FileResponse(path, media_type="text/csv", filename=f"{found.id}-rejects.csv")


def _mapping(given: list[str]) -> dict[str, str]:
    columns = {}
    for one in given:
        field, equals, column = one.partition("=")
        if not (equals and field.strip() and column.strip()):
            raise InvalidQuery("map", f"“{one[:40]}”应写成 字段=列名")
        columns[field.strip()] = column.strip()
    return columns
