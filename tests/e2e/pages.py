"""A tutorial's page as a script: its commands by section, run in one shell after the other as a reader's terminal would."""

import asyncio
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[2]
_SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_COMMANDS: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class CommandsFailed(Exception):
    """A command of a page ended with another code than 0; the message is all that its section has printed."""


@dataclass(frozen=True, slots=True)
class Page:
    """The commands of each section that has some, by its heading."""

    sections: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "Page":
        _, *parts = _SECTION.split(path.read_text())
        found = {heading: "\n".join(_COMMANDS.findall(text)) for heading, text in zip(parts[::2], parts[1::2], strict=True)}
        return cls({heading: commands for heading, commands in found.items() if commands})

    async def type_in(self, heading: str, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Run a section's commands in the top folder; the variables that are exported afterwards. Raises `CommandsFailed`."""
        with tempfile.TemporaryDirectory() as folder:
            exported = Path(folder) / "exported"
            script = f"set -eux -o pipefail\n{self.sections[heading]}\nset +x\nenv -0 > {shlex.quote(str(exported))}\n"
            process = await asyncio.create_subprocess_exec(
                *("bash", "-c", script),
                cwd=TOP,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                output, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
            print(f"--- {heading}\n{output.decode()}")
            if process.returncode:
                raise CommandsFailed(f"{heading}: exit code {process.returncode}:\n{output.decode()}")
            text = await asyncio.to_thread(exported.read_text)
            return dict(line.partition("=")[::2] for line in text.split("\0") if line)
