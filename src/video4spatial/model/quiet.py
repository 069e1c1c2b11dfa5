"""Model libraries, kept from printing their own progress and advice into a command's output."""

import logging
import warnings


def quiet_libraries() -> None:
    """For this process. Call it before diffusers' models are imported: torchao advises while it is imported."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("torchao", "torch.utils._pytree"):  # advice at torchao's import, which diffusers does where it can
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*_stable_hash_for_caching")  # compiled 8-bit weights are not cached
