"""Settings of one installation, read from MATCHER_* environment variables."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from matcher.errors import SettingError

DEFAULT_MODEL = "default"


class Settings(BaseSettings):
    """What one installation may choose; the README's table of settings is tested against these fields."""

    model_config = SettingsConfigDict(env_prefix="MATCHER_", env_ignore_empty=True, frozen=True)

    home: Path = Field(Path("var"), description="数据目录：数据库、模型、索引都在其中")
    database_url: str | None = Field(None, description="数据库地址，如 postgresql://…；缺省为数据目录中的 SQLite")
    model: str = Field(DEFAULT_MODEL, description="SentenceTransformer 模型的名称或目录；default 为内置模型")
    index: Literal["local", "milvus"] = Field(
        "local", description="索引引擎：local 在数据目录中，milvus 在 Milvus 服务器上"
    )
    milvus_uri: str = Field("http://127.0.0.1:19530", description="Milvus 服务器地址，其后可带 /数据库名")
    milvus_token: SecretStr | None = Field(None, description="Milvus 的登录凭据：“用户名:密码”或令牌")
    ranker: Path | None = Field(None, description="matcher train 写出的排序器目录；缺省为内置排序器")
    host: str = Field("127.0.0.1", description="API 监听地址")
    port: int = Field(8000, ge=1, le=65535, description="API 监听端口")
    workers: int = Field(1, ge=1, le=64, description="API 进程数；每个进程各自载入模型，各用 MATCHER_THREADS 个线程")
    threads: int = Field(
        default_factory=lambda known: max(1, (os.cpu_count() or 1) // known.get("workers", 1)),
        ge=1,
        le=256,
        description="每个进程的计算线程数；缺省为处理器核数除以 API 进程数",
    )
    max_wait_seconds: float = Field(0.6, ge=0.1, le=60, description="匹配请求预计等待超过该秒数时，API 立即以 429 拒绝")
    anonymous: bool = Field(True, description="是否允许不带密钥的匹配请求（只能匹配公开的成果和专利）")
    rate_limit: int = Field(6000, ge=1, description="每个密钥每分钟最多多少次请求")
    rate_limit_anonymous: int = Field(600, ge=1, description="不带密钥时，每个地址每分钟最多多少次请求")
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="API 请求体上限（字节）")
    max_file_bytes: int = Field(
        1_000_000_000, ge=1_000_000, description="导入文件的上限（字节）；压缩包解压后的总大小也不得超过它"
    )
    retention_days: int = Field(
        730,
        ge=1,
        le=36500,
        description="个人信息保留天数；matcher retention 清除更早的联系方式、已结束的记录和日志细节",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="邮件中的链接以它开头，如 https://match.example.cn；缺省为 http://MATCHER_HOST:MATCHER_PORT",
    )
    smtp_host: str | None = Field(None, description="发信服务器（SMTP）的地址；缺省不能发信")
    smtp_port: int | None = Field(
        None, ge=1, le=65535, description="发信服务器的端口；缺省按加密方式为 25（none）、587（starttls）或 465（tls）"
    )
    smtp_security: Literal["none", "starttls", "tls"] = Field("starttls", description="发信连接的加密方式")
    smtp_user: str | None = Field(None, description="发信服务器的登录名；缺省不登录")
    smtp_password: SecretStr | None = Field(None, description="发信服务器的登录密码")
    mail_from: str | None = Field(None, description="发件人，如 “科技成果匹配平台 <match@example.cn>”；缺省不能发信")
    mail_per_minute: int = Field(3000, ge=1, le=100_000, description="每分钟最多发出多少封邮件")
    refresh_seconds: float = Field(1.0, gt=0, le=60, description="API 检查新数据的间隔（秒）")

    @cached_property
    def store_url(self) -> str:
        """The store's SQLAlchemy address."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'matcher.db'}"

    @property
    def base_url(self) -> str:
        """What links in mails begin with, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment.

    :param overrides: values that win over the environment.
    :raises SettingError: naming the variable and the reason.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "MATCHER_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingError(
            f"设置 {name} 的值“{first['input']}”不可用：{first['msg']}。请改正该环境变量后重试。"
        ) from error
