"""`python -m gpu_worker.train config.toml`: trains a LoRA from the shell. `launch.py train` comes here.

Exit codes: 0 trained, 1 could not be finished, 2 bad input, 130 stopped. After 1 and 130 the same command goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gpu_worker.language.training.config_errors import ConfigError
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.training.options import read_options

__all__ = ["main"]

DONE, BAD_INPUT, STOPPED = 0, 2, 130

HELP = """Trains a LoRA from a folder of pictures; no bot, no Discord. Parameters have sd-scripts' (kohya's) names.

  train config.toml                                    a file of parameters, as sd-scripts' --config_file
  train config.toml --max_train_epochs 5               options win over the file
  train config.toml --dataset_config data.toml         pictures as sd-scripts' data set file says
  train --pretrained_model_name_or_path pincel-demo --train_data_dir pictures --output_dir out --output_name mychar

train_data_dir holds folders like 10_mychar, with pictures and captions of the same name (caption_extension = ".txt").
The checkpoint is a file, or a name from the library. Stop it with Ctrl-C; the same command goes on.

  --dry_run          say what would be trained, and stop
  --anew             forget what was begun or finished under this output_name
  --publish [NAME]   copy the result into the library's LoRAs
  --data FOLDER      the data folder; default: PINCEL_DATA, else data/ of the checkout
  --device NAME      auto, cpu, cuda or cuda:1

All parameters and their defaults: docs/train-cli.md."""


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words or {"-h", "--help"} & set(words):
        print(HELP, file=sys.stdout if words else sys.stderr)
        return DONE if words else BAD_INPUT
    try:
        options = read_options(words)
        from gpu_worker.shell.training.run import run  # torch, which takes seconds

        return run(options)
    except (BadInputError, ConfigError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)  # noqa: T201
        return STOPPED


if __name__ == "__main__":
    raise SystemExit(main())
