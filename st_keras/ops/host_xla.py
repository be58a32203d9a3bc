"""Whether functions that run on the host may be compiled by XLA."""

_is_allowed = True


def forbid() -> None:
    """Makes the process do without it, in what is called or traced from now on."""
    global _is_allowed
    _is_allowed = False


def is_allowed() -> bool:
    """Whether host functions may be compiled; slower ones take their place."""
    return _is_allowed
