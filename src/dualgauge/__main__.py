"""
The command line's way in and out, for the console script and for `python -m dualgauge`.

It imports next to nothing, so that Ctrl-C is answered from the first moment on: loading the rest takes a third of a
second, and what a library does with an interrupt while it is loaded is its own matter. Some swallow it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

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
            signal.signal(signal.SIGINT, _Interrupt())
        try:
            run()
        finally:
            if heeds:
                # The command is over and has answered: nothing is left that could be interrupted.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        # Between a command and its end, where nobody else answers.
        _leave()


class _Interrupt:
    """
    Ctrl-C while a command runs: KeyboardInterrupt, as ever, but not in the middle of an import.

    A command loads its libraries when it needs them. Seen: an interrupt in one written in C ended the process by abort.
    """

    means_interrupt = True
    """For whoever asks whether Ctrl-C means what Python makes of it."""

    _LONGEST = 2.0
    _PAUSE = 0.05

    def __init__(self) -> None:
        self._pressed: float | None = None

    def __call__(self, _: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self._pressed = self._pressed or now
        # Not for ever: a user's own module may compute for minutes while it is loaded.
        if now - self._pressed < self._LONGEST and _importing(frame):
            signal.signal(signal.SIGALRM, self)
            signal.setitimer(signal.ITIMER_REAL, self._PAUSE)
            return
        self._pressed = None
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


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
