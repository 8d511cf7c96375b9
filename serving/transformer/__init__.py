"""The transformer of `spam-detector`: e-mails in, the Open Inference Protocol on both sides."""

from typing import Final

from contracts.tensors import SPAM_DETECTOR

MODEL: Final = SPAM_DETECTOR
"""The one model that is asked through a transformer; every other one is asked at Triton."""
