from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from matcher.errors import SettingError
from matcher.settings import DEFAULT_MODEL, Settings, load_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("MATCHER_")]:
        monkeypatch.delenv(name)


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()
    assert settings.home == Path("var")
    assert settings.model == DEFAULT_MODEL
    assert settings.database_url is settings.ranker is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.index, settings.milvus_token) == ("local", None)
    assert settings.threads >= 1


def test_every_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "home": "/srv/matcher",
        "database_url": "postgresql://host/name",
        "model": "BAAI/bge-small-zh",
        "index": "milvus",
        "milvus_uri": "http://milvus:19530/matcher",
        "milvus_token": "root:geheim",
        "ranker": "/srv/ranker",
        "threads": "3",
        "host": "0.0.0.0",
        "port": "8080",
        "workers": "2",
        "max_wait_seconds": "1.5",
        "anonymous": "False",
        "rate_limit": "7",
        "rate_limit_anonymous": "3",
        "max_body_bytes": "5000",
        "max_file_bytes": "5000000",
        "retention_days": "90",
        "public_url": "https://match.example/app",
        "smtp_host": "mail.example",
        "smtp_port": "2525",
        "smtp_security": "tls",
        "smtp_user": "matcher",
        "smtp_password": "geheim",
        "mail_from": "平台 <match@mail.example>",
        "mail_per_minute": "60",
        "refresh_seconds": "0.5",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"MATCHER_{name.upper()}", value)
    settings = load_settings()
    assert settings.milvus_token
    assert settings.milvus_token.get_secret_value() == values["milvus_token"]
    shown = {name: str(getattr(settings, name)) for name in values}
    assert shown == values | {"milvus_token": "**********", "smtp_password": "**********"}
    assert "geheim" not in repr(settings)
    assert settings.store_url == "postgresql://host/name"
    # A setting that joins later joins this test.
    assert values.keys() == Settings.model_fields.keys()


def test_what_the_caller_says_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MATCHER_PORT", "8080")
    monkeypatch.setenv("MATCHER_HOME", "/elsewhere")
    settings = load_settings(home=tmp_path, port=9000)
    assert (settings.home, settings.port) == (tmp_path, 9000)


def test_the_database_is_in_the_home_folder_wherever_the_program_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().store_url == f"sqlite:///{tmp_path / 'var' / 'matcher.db'}"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    # As docker compose passes on what the user left out.
    for name in Settings.model_fields:
        monkeypatch.setenv(f"MATCHER_{name.upper()}", "")
    assert load_settings() == Settings()
    assert load_settings().ranker is None
    assert load_settings().port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MATCHER_PORT", "achtzig"),
        ("MATCHER_PORT", "0"),
        ("MATCHER_PORT", "65536"),
        ("MATCHER_WORKERS", "0"),
        ("MATCHER_INDEX", "elastic"),
        ("MATCHER_THREADS", "0"),
        ("MATCHER_THREADS", "1.5"),
        ("MATCHER_MAX_BODY_BYTES", "10"),
        ("MATCHER_MAX_FILE_BYTES", "10"),
        ("MATCHER_REFRESH_SECONDS", "0"),
        ("MATCHER_REFRESH_SECONDS", "nie"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=f"设置 {name} 的值“{value}”不可用.*请改正"):
        load_settings()


def test_settings_do_not_change_while_the_program_runs() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_every_setting_says_in_chinese_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert not field.description.isascii(), name
