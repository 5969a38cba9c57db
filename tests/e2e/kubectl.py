"""kubectl, of the server's own version."""

import asyncio


class KubectlFailed(Exception):
    """It ended with another code than 0; the message is what it printed."""


async def kubectl(*arguments: str, stdin: str = "") -> str:
    """What it prints. Raises `KubectlFailed`."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("kubectl", *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate(stdin.encode())
    if process.returncode:
        raise KubectlFailed(f"kubectl {' '.join(arguments)}: {errors.decode().strip()}")
    return output.decode()
