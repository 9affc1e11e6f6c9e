"""A back-up as a file: a ZIP that holds files and, as its last, a manifest with their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from matcher.errors import BackupError

MANIFEST = "manifest.json"
FORMAT = 1
# Bytes copied at a time.
CHUNK = 1 << 20
# A manifest is some KB; a larger one is none.
MANIFEST_LIMIT = 1 << 20
_NO_ARCHIVE = "{path} 不是 matcher backup 写出的完整备份（{reason}）。请换用另一个备份文件。"


def write(path: Path, files: Mapping[str, Path], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write an archive and make it durable; for who can read contacts only.

    :param files: name in the archive to path.
    :param manifest: what it shall say beside the files.
    :returns: the manifest as written.
    """
    entries: dict[str, Any] = {}
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, source in files.items():
                entries[name] = _add(archive, name, source)
            whole = {"format": FORMAT, **manifest, "files": entries}
            archive.writestr(MANIFEST, json.dumps(whole, ensure_ascii=False, indent=1))
        file.flush()
        os.fsync(file.fileno())
    return whole


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
        digest, size = _copy(source, target)
    return {"bytes": size, "sha256": digest}


def read_manifest(path: Path) -> dict[str, Any]:
    """What an archive says of itself.

    :raises BackupError: if it is none, or not complete.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MANIFEST).file_size > MANIFEST_LIMIT:
                raise ValueError("manifest")
            manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise BackupError(f"{path} 是另一版本的程序写的备份（格式 {manifest['format']}）。请升级程序后重试。")
            if not manifest["files"].keys() <= set(archive.namelist()):
                raise ValueError("files")
            return manifest
    except FileNotFoundError as error:
        raise BackupError(f"没有备份文件 {path}。请检查路径。") from error
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise BackupError(_NO_ARCHIVE.format(path=path, reason=type(error).__name__)) from error


def extract(path: Path, manifest: Mapping[str, Any], name: str, target: Path) -> None:
    """Take one file out and check it.

    :raises BackupError: if it is not what the manifest says; OSError: if there is no room.
    """
    wanted = manifest["files"][name]
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as source, target.open("wb") as file:
            digest, size = _copy(source, file, int(wanted["bytes"]))
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise BackupError(_NO_ARCHIVE.format(path=path, reason=f"{name} 已损坏")) from error
    if (digest, size) != (wanted["sha256"], wanted["bytes"]):
        raise BackupError(_NO_ARCHIVE.format(path=path, reason=f"{name} 与清单中的校验和不符"))


def _copy(source: IO[bytes], target: IO[bytes], limit: int | None = None) -> tuple[str, int]:
    """Copy to the end, or just past a limit; give SHA-256 and size of what was copied."""
    digest, size = hashlib.sha256(), 0
    while part := source.read(CHUNK):
        target.write(part)
        digest.update(part)
        size += len(part)
        if limit is not None and size > limit:
            break
    return digest.hexdigest(), size
