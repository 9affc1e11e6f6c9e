"""Every error the engine raises on purpose.

    MatcherError                 anything below; `str(error)` is a Chinese sentence fit for a user
    ├── SettingError             a MATCHER_* setting is wrong
    ├── ModelError               the embedding model is missing, damaged or of another kind
    ├── UnreadableFile           a file is no table at all
    ├── UnknownColumn            a column named by the caller is not in the table
    ├── FieldError               a value breaks a rule (carries the field and the reason)
    │   ├── InvalidRecord        ... in a record that comes in
    │   ├── InvalidQuery         ... in a question
    │   ├── InvalidAccount       ... in an account or its keys
    │   ├── InvalidSubscription  ... in a subscription
    │   └── InvalidLead          ... in a lead, a step of it, or a saved list
    ├── NotFound                 no such record, or none that the caller may see
    ├── Conflict                 somebody else has changed what the caller wants to change
    ├── InProgress               the same request is being answered already
    ├── Forbidden                the caller's role does not allow it
    ├── DamagedIndex             the index on disk is damaged or of another version
    ├── IndexUnavailable         the server that holds the index does not answer, or not as it should
    ├── RankerMismatch           a ranker was made for other features or another model
    ├── UntrainableJudgements    judgements from which nothing can be learned
    ├── BatchFailed              a process of a batch died; what it had finished is kept
    ├── Busy                     another process holds the writer's lock for too long
    ├── StoreUnavailable         the database is damaged, read-only, out of reach or cannot be read
    ├── DiskFull                 no room is left where the program writes
    ├── MailUnavailable          the mail server cannot be reached, or refuses to let the program in
    └── BackupError              a back-up cannot be made, is damaged, or would overwrite data

Each message says what is wrong, where, and what to do about it.
"""


class MatcherError(Exception):
    """Base of all errors raised on purpose; its text is meant for a user."""


class SettingError(MatcherError):
    """A MATCHER_* setting is wrong."""


class ModelError(MatcherError):
    """The embedding model is missing, damaged or of another kind."""


class UnreadableFile(MatcherError):
    """A file is no table at all."""


class UnknownColumn(MatcherError):
    """A column named by the caller is not in the table."""


class FieldError(MatcherError):
    """A value breaks a rule.

    :param field: the field's Chinese name, as the user knows it.
    :param reason: what is wrong with its value and what would be right.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}：{reason}")
        self.field = field
        self.reason = reason


class InvalidRecord(FieldError):
    """One record breaks a rule."""


class InvalidQuery(FieldError):
    """A question breaks a rule."""


class InvalidAccount(FieldError):
    """An account or one of its keys breaks a rule."""


class InvalidSubscription(FieldError):
    """A subscription breaks a rule."""


class InvalidLead(FieldError):
    """A lead, a step of it or a saved list breaks a rule."""


class NotFound(MatcherError):
    """No such record, or none that the caller may see."""


class Conflict(MatcherError):
    """Somebody else has changed what the caller wants to change."""


class InProgress(MatcherError):
    """The same request is being answered already."""


class Forbidden(MatcherError):
    """The caller's role does not allow it."""


class DamagedIndex(MatcherError):
    """The index on disk is damaged or was written by another version."""


class IndexUnavailable(MatcherError):
    """The server that holds the index does not answer, or not as it should."""


class RankerMismatch(MatcherError):
    """A ranker was made for other features or another model."""


class UntrainableJudgements(MatcherError):
    """Judgements from which nothing can be learned."""


class BatchFailed(MatcherError):
    """A process of a batch died; what it had finished is kept."""


class Busy(MatcherError):
    """Another process holds the writer's lock for too long."""


class StoreUnavailable(MatcherError):
    """The database is damaged, read-only, out of reach or cannot be read."""


class DiskFull(MatcherError):
    """No room is left where the program writes."""


class MailUnavailable(MatcherError):
    """The mail server cannot be reached, or refuses to let the program in."""


class BackupError(MatcherError):
    """A back-up cannot be made, is damaged, or would overwrite data."""
