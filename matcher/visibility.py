"""Who may see what. The only place that decides it: every query, page, count and export asks here.

A record is public, for intermediaries, or private to its owner. The operator at the command line sits at the
machine that holds everything; administrators of the service do not, and see no private record of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from matcher.records import KINDS, OFFER_KINDS, Kind, Visibility

Role = Literal["anonymous", "enterprise", "institution", "intermediary", "admin", "operator"]
# What an account can be.
AccountRole = Literal["enterprise", "intermediary", "institution", "admin"]
ROLES: tuple[AccountRole, ...] = get_args(AccountRole)
ROLE_NAMES: Mapping[AccountRole, str] = {
    "enterprise": "企业",
    "intermediary": "中介",
    "institution": "机构",
    "admin": "管理员",
}

_VISIBLE_TO: Mapping[Role, tuple[Visibility, ...]] = {
    "anonymous": ("public",),
    "enterprise": ("public",),
    "institution": ("public",),
    "intermediary": ("public", "intermediaries"),
    "admin": ("public", "intermediaries"),
    "operator": ("public", "intermediaries", "private"),
}


@dataclass(frozen=True)
class Viewer:
    """Who asks.

    :param account: the store's number of the account; 0 for nobody's and the operator's.
    """

    role: Role
    account: int = 0

    @property
    def sight(self) -> Sight:
        """What this viewer may find."""
        kinds = OFFER_KINDS if self.role == "anonymous" else KINDS
        return Sight(_VISIBLE_TO[self.role], self.account, kinds)

    def owns(self, owner: int) -> bool:
        """Whether a record of this owner is the viewer's to read in full and to change."""
        return self.role == "operator" or (self.account != 0 and owner == self.account)

    def may_change(self, kind: Kind, owner: int) -> bool:
        """Whether a record is the viewer's to change. Institutions are nobody's own: administrators keep them."""
        return self.role == "operator" or (self.role == "admin" if kind == "institution" else self.owns(owner))

    def may_know_names(self, visibility: Visibility, owner: int) -> bool:
        """Whether the viewer of a record may know whose it is."""
        return visibility == "public" or self.role == "admin" or self.owns(owner)


@dataclass(frozen=True)
class Sight:
    """Which records somebody may find: those of some visibilities, and his own.

    :param owner: the account whose own records are found whatever their visibility; 0 for none.
    """

    visibilities: tuple[Visibility, ...]
    owner: int
    kinds: tuple[Kind, ...]

    def shows(self, kind: Kind, visibility: Visibility, owner: int) -> bool:
        """Whether a record is among them."""
        return kind in self.kinds and (visibility in self.visibilities or (owner != 0 and owner == self.owner))


ANONYMOUS = Viewer("anonymous")
# Sees what every account sees: all that is public.
PUBLIC = Viewer("enterprise")
OPERATOR = Viewer("operator")
