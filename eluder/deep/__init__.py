"""Deep agents: torch networks in visible loops. Needs PyTorch; nothing else of the library does."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "eluder.deep needs PyTorch: pip install 'eluder[deep]', or any torch>=2.4 for your processor"
    ) from error
