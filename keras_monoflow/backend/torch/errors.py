"""Why a step runs operation by operation."""


class NotRecordable(Exception):
    """A step does something that cannot be replayed."""
