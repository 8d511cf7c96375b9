"""What can go wrong between a source and a corpus on disk.

Tree::

    CallerError
    ├── CorpusMissing       nothing was fetched yet, or a fetch was cut short
    ├── SourceUnknown       no source is at hand, or it is of no known kind
    ├── SourceUnreadable    a file is not what its name says
    ├── SourceTooLarge      a download or an archive is larger than the settings allow
    ├── DigestMismatch      the bytes are not the promised ones
    └── NothingKept         a source without one usable message
    OperationalError
    └── FetchFailed         a network, a server or the npm client failed
"""

from kit.errors import CallerError, OperationalError, UsageError


class CorpusMissing(CallerError):
    """No whole corpus is where it is looked for."""

    status = 404
    code = "corpus_missing"
    title = "No corpus"


class SourceUnknown(UsageError):
    """There is no source to fetch from, or it is of no known kind."""

    code = "source_unknown"
    title = "No usable source"


class SourceUnreadable(CallerError):
    """A source is not what its name says, or is damaged."""

    code = "source_unreadable"
    title = "Source cannot be read"


class SourceTooLarge(CallerError):
    """A source is larger than the settings allow."""

    status = 413
    code = "source_too_large"
    title = "Source too large"


class DigestMismatch(CallerError):
    """The bytes that arrived are not the promised ones."""

    code = "digest_mismatch"
    title = "Digest differs"


class NothingKept(CallerError):
    """A source without one usable message."""

    status = 422
    code = "nothing_kept"
    title = "No usable message"


class FetchFailed(OperationalError):
    """A network, a server or the npm client failed."""

    code = "fetch_failed"
    title = "Fetch failed"
