"""Accounts, keys and sessions, asked for and answered."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.asked import Text
from api.schemas.examples import shown
from matcher.accounts import NAME_LIMIT
from matcher.visibility import AccountRole

_KEY = {
    "id": "key-1f2e3d4c5b6a",
    "name": "默认密钥",
    "created_at": "2026-03-05T08:00:00+00:00",
    "expires_at": "2027-03-05T00:00:00+00:00",
    "revoked_at": None,
}
_ACCOUNT = {
    "id": "acc-1f2e3d4c5b6a7988",
    "name": "通江县雾里菌品有限公司",
    "role": "enterprise",
    "role_name": "企业",
    "created_at": "2026-03-05T08:00:00+00:00",
    "closed_at": None,
    "keys": [_KEY],
}
MAX_DAYS = 3650


class KeyOut(BaseModel):
    """A key without its secret."""

    model_config = shown("密钥（不含密钥本身）", _KEY)

    id: str = Field(description="密钥编号")
    name: str = Field(description="密钥名称")
    created_at: str = Field(description="发放时间（UTC）")
    expires_at: str | None = Field(description="到期时间（UTC）；长期有效时为 null")
    revoked_at: str | None = Field(description="吊销时间（UTC）；未吊销时为 null")


class AccountOut(BaseModel):
    """An account."""

    model_config = shown("账号", _ACCOUNT)

    id: str = Field(description="账号编号")
    name: str = Field(description="名称")
    role: AccountRole = Field(description="角色：enterprise 企业，intermediary 中介，institution 机构，admin 管理员")
    role_name: str = Field(description="角色的中文名称")
    created_at: str = Field(description="建立时间（UTC）")
    closed_at: str | None = Field(description="关闭时间（UTC）；未关闭时为 null")
    keys: list[KeyOut] = Field(description="密钥，先发放的在前")


class AccountMade(AccountOut):
    """An account or a key that was made, with the secret that is shown this once."""

    model_config = shown("新发放的密钥", {**_ACCOUNT, "secret": "mk_示例密钥不可用"})

    secret: str | None = Field(description="密钥，只显示这一次；重复的请求得到 null")


class AccountPage(BaseModel):
    """All accounts."""

    model_config = shown("全部账号", {"accounts": [_ACCOUNT]})

    accounts: list[AccountOut] = Field(description="账号，先建立的在前")


class AccountIn(BaseModel):
    """An account to make."""

    model_config = shown("要建立的账号", {"name": "通江县雾里菌品有限公司", "role": "enterprise"})

    name: Text = Field(min_length=1, max_length=NAME_LIMIT, description="名称")
    role: AccountRole = Field(description="角色：enterprise 企业，intermediary 中介，institution 机构，admin 管理员")
    key_name: Text = Field("默认密钥", min_length=1, max_length=NAME_LIMIT, description="第一个密钥的名称")
    days: int | None = Field(None, ge=1, le=MAX_DAYS, description="密钥在多少天后到期；缺省不到期")


class KeyIn(BaseModel):
    """A key to make."""

    model_config = shown("要发放的密钥", {"name": "夜间任务", "days": 365})

    name: Text = Field(min_length=1, max_length=NAME_LIMIT, description="密钥名称，便于日后辨认")
    days: int | None = Field(None, ge=1, le=MAX_DAYS, description="在多少天后到期；缺省不到期")


class SessionIn(BaseModel):
    """A key to sign in with."""

    model_config = shown("登录", {"key": "mk_示例密钥不可用"})

    key: Text = Field(min_length=1, max_length=200, description="密钥")


class SessionOut(BaseModel):
    """A session."""

    model_config = shown("登录结果", {"account": _ACCOUNT, "hours": 12})

    account: AccountOut = Field(description="账号")
    hours: int = Field(description="多少小时内有效")
