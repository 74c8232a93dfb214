"""
The command line's way in and out, for the console script and for `python -m dualgauge`.

It imports next to nothing, so that Ctrl-C is answered from the first moment on: loading the rest takes a third of a
second, and what a library does with an interrupt while it is loaded is its own matter. Some swallow it.
"""

from __future__ import annotations

import os
import signal
import sys

_INTERRUPTED = 130
"""As `cli.terminal.output` has it, which is not loaded yet."""

_TOLD = "interrupted; what was being written is not in use: run the command again"

_ENVELOPE = f"""{{
  "schema": "dualgauge.dualgauge/1",
  "exit_code": {_INTERRUPTED},
  "result": null,
  "error": {{
    "type": "Interrupted",
    "message": "{_TOLD}"
  }},
  "next_steps": []
}}
"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Who was started deaf to Ctrl-C, as by nohup, stays so.
    heeds = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if heeds:
            signal.signal(signal.SIGINT, _leave)
        from dualgauge.cli import main as run

        if heeds:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run()
        finally:
            if heeds:
                # The command is over and has answered: nothing is left that could be interrupted.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        # Between a command and its end, where nobody else answers.
        _leave()


def _leave(*_: object) -> None:
    """Answer Ctrl-C and end at once: nothing was begun that would have to be cleaned up."""
    words = sys.argv[1:]
    in_json = "--format=json" in words or any(words[at : at + 2] == ["--format", "json"] for at in range(len(words)))
    number, text = (1, _ENVELOPE) if in_json else (2, f"error: {_TOLD}\n")
    try:  # noqa: SIM105  (contextlib would be loaded for it)
        os.write(number, text.encode())
    except OSError:  # nobody reads it
        pass
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
