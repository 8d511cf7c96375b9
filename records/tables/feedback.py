"""`feedback`: what a person said a message really was, one row for each request."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from records.columns import CleanString, UtcDateTime
from records.tables.registry import NAME_LENGTH, REQUEST_ID_LENGTH, VERSION_LENGTH, Row, not_blank


class Feedback(Row):
    """The true label of one request; a later submission replaces an earlier one.

    There is no foreign key to `prediction_logs`: feedback may arrive while the prediction still waits in the
    gateway's queue or spool.
    """

    __tablename__ = "feedback"

    request_id: Mapped[str] = mapped_column(CleanString(REQUEST_ID_LENGTH))
    label: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))

    submitted_by: Mapped[str | None] = mapped_column(CleanString(NAME_LENGTH))
    """The name of the API key, or of the person."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the label was submitted."""

    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the row was last written; the cursor of the sender events goes by this one."""

    __table_args__ = (
        not_blank("request_id"),
        not_blank("label"),
        UniqueConstraint("request_id"),
        Index(None, "recorded_at", "id"),
    )
